import { ScrollArea, Table, Text } from '@mantine/core'
import type { PlanDryRun } from '@understudy/contract/recovery-plan'
import { formatDuration, formatWithZone } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { backSeconds, wordsOfAge } from './points-of-machines.ts'

/** Which machine goes back how far, the farthest first. */
export function PointsOfMachines({ points }: { readonly points: PlanDryRun['points'] }) {
  const now = useNow(1000)
  if (points.length === 0) return null
  const rows = points.toSorted((left, right) => backSeconds(right, now) - backSeconds(left, now))
  return (
    <ScrollArea.Autosize
      mah={220}
      type="auto"
      viewportProps={{ tabIndex: 0, role: 'group', 'aria-label': 'Points of the machines' }}
    >
      <Table aria-label="Which machine goes back how far">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Machine</Table.Th>
            <Table.Th>Its point</Table.Th>
            <Table.Th ta="right">Goes back</Table.Th>
            <Table.Th>Against the instant</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.itemId}>
              <Table.Td fw={500}>{row.name}</Table.Td>
              <Table.Td className="number">
                {row.instant === null ? (
                  <StatusMark tone="bad">has none</StatusMark>
                ) : (
                  <>
                    {formatWithZone(row.instant)}
                    {row.consistency === 'application' && (
                      <Text size="xs" c="var(--ink-quiet)">
                        application-consistent
                      </Text>
                    )}
                  </>
                )}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {row.instant === null ? '–' : formatDuration(Math.max(0, backSeconds(row, now)))}
              </Table.Td>
              <Table.Td className="number">{wordsOfAge(row.ageSeconds)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea.Autosize>
  )
}
