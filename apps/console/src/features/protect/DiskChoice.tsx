import { Checkbox, Group, Table, Text } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import { withMember } from '../../lib/with-member.ts'
import type { Excluded } from './excluded-disks.ts'

type DiskChoiceProps = {
  readonly machines: readonly Machine[]
  readonly excluded: Excluded
  readonly onChange: (machineId: string, excluded: readonly string[]) => void
}

/** The disks of machines that have several: which of them are replicated. */
export function DiskChoice({ machines, excluded, onChange }: DiskChoiceProps) {
  return (
    <>
      <Table.ScrollContainer minWidth={480} maxHeight={280}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Machine</Table.Th>
              <Table.Th>Replicated disks</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {machines.map(({ id, name, hardware }) => {
              const out = excluded[id] ?? []
              return (
                <Table.Tr key={id}>
                  <Table.Td fw={500}>{name}</Table.Td>
                  <Table.Td>
                    <Group gap="md">
                      {hardware.disks.map((disk) => (
                        <Checkbox
                          key={disk.key}
                          size="xs"
                          label={`${disk.label}, ${formatBytes(disk.bytes)}${disk.boot ? ', boots' : ''}`}
                          checked={!out.includes(disk.key)}
                          onChange={(event) =>
                            onChange(id, withMember(out, disk.key, !event.currentTarget.checked))
                          }
                        />
                      ))}
                    </Group>
                  </Table.Td>
                </Table.Tr>
              )
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {machines
        .filter(({ id }) => (excluded[id] ?? []).length > 0)
        .map(({ id, name, hardware }) => (
          <Text key={id} size="sm" c="var(--at-risk)" mt={6} role="status">
            {name} will come up without{' '}
            {hardware.disks
              .filter(({ key }) => excluded[id]?.includes(key))
              .map(({ label }) => label)
              .join(' and ')}
            .
          </Text>
        ))}
      <Text size="xs" c="var(--ink-quiet)" mt={6}>
        A replica lacks the disks that are left out: good for swap and scratch space, not for what the machine
        needs to start.
      </Text>
    </>
  )
}
