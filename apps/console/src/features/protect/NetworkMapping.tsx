import { Select, Table, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import type { NetworkChoice, NetworkGroup } from './network-groups.ts'

type NetworkMappingProps = {
  readonly groups: readonly NetworkGroup[]
  readonly targetSiteId: string
  readonly targetName: string
  readonly chosen: Readonly<Record<string, NetworkChoice>>
  readonly onChange: (sourceNetworkId: string, choice: NetworkChoice) => void
}

/** Each network of the source with what it becomes at the target, in a failover and in a test. */
export function NetworkMapping({ groups, targetSiteId, targetName, chosen, onChange }: NetworkMappingProps) {
  const { data, error } = useQuery(api.sites.networks.queryOptions({ input: { id: targetSiteId } }))
  if (error) return <ProblemAlert error={error} title={`The networks of ${targetName} are not known`} />
  if (groups.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)">
        The chosen machines have no network adapter.
      </Text>
    )
  const networks = data?.items ?? []
  const options = (isolatedFirst: boolean) =>
    networks
      .toSorted(
        (left, right) => Number(right.isolated === isolatedFirst) - Number(left.isolated === isolatedFirst),
      )
      .map(({ id, name, isolated }) => ({ value: id, label: isolated ? `${name} (isolated)` : name }))
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Network at the source</Table.Th>
            <Table.Th>In a test at {targetName}</Table.Th>
            <Table.Th>In a failover at {targetName}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {groups.map((group) => {
            const choice = chosen[group.sourceNetworkId] ?? group
            const { failoverNetworkId, testNetworkId } = choice
            const name = group.sourceNetworkId === '' ? 'Not connected' : group.sourceNetworkId
            return (
              <Table.Tr key={group.sourceNetworkId}>
                <Table.Td>
                  {name}
                  <Text size="xs" c="var(--ink-quiet)">
                    {group.machines} {group.machines === 1 ? 'machine' : 'machines'}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <Select
                    aria-label={`Network for ${name} in a test`}
                    placeholder="Not connected"
                    clearable
                    clearButtonProps={{ 'aria-label': 'Not connected' }}
                    data={options(true)}
                    value={testNetworkId}
                    onChange={(value) =>
                      onChange(group.sourceNetworkId, { failoverNetworkId, testNetworkId: value })
                    }
                  />
                </Table.Td>
                <Table.Td>
                  <Select
                    aria-label={`Network for ${name} in a failover`}
                    placeholder="Not connected"
                    clearable
                    clearButtonProps={{ 'aria-label': 'Not connected' }}
                    data={options(false)}
                    value={failoverNetworkId}
                    onChange={(value) =>
                      onChange(group.sourceNetworkId, { failoverNetworkId: value, testNetworkId })
                    }
                  />
                </Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
