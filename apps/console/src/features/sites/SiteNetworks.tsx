import { Badge, Table, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'

/** Networks that a replica can be connected to at this site. */
export function SiteNetworks({ siteId }: { readonly siteId: string }) {
  const { data, error } = useQuery(api.sites.networks.queryOptions({ input: { id: siteId } }))
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={3} />
  if (data.items.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)" p="md">
        This site offers no network. Add one under Settings, or machines that fail over to here have no
        connection.
      </Text>
    )
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Network</Table.Th>
          <Table.Th>For</Table.Th>
          <Table.Th>What it is</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {data.items.map((network) => (
          <Table.Tr key={network.id}>
            <Table.Td>{network.name}</Table.Td>
            <Table.Td>
              {network.isolated ? (
                <Badge color="teal">tests, isolated</Badge>
              ) : (
                <Badge color="gray">failover</Badge>
              )}
            </Table.Td>
            <Table.Td>{network.description}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}
