import { Table, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { formatCount } from '../../lib/format.ts'
import { CopyText } from '../../ui/CopyText.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'

/** The processes that replicate. What one of them had is taken over by the others when it falls silent. */
export function MoverList() {
  const { data, error } = useQuery({ ...api.movers.list.queryOptions(), refetchInterval: 5000 })
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={2} />
  if (data.items.length === 0)
    return (
      <Text size="sm" c="var(--bad)" p="md">
        No process replicates at the moment. Start a server.
      </Text>
    )
  return (
    <Table.ScrollContainer minWidth={560} tabIndex={0}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Process</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th ta="right">Protections</Table.Th>
            <Table.Th>Last sign of life</Table.Th>
            <Table.Th>Taken over</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {data.items.map((mover) => (
            <Table.Tr key={mover.id}>
              <Table.Td>
                <CopyText text={mover.id} what="id of the process" />
              </Table.Td>
              <Table.Td>
                <StatusMark tone={mover.alive ? 'good' : 'bad'}>
                  {mover.alive ? 'Alive' : 'Silent'}
                </StatusMark>
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatCount(mover.protections)}
              </Table.Td>
              <Table.Td>
                <When at={mover.beatAt} />
              </Table.Td>
              <Table.Td>
                if silent until <When at={mover.expiresAt} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
