import { Table, Text } from '@mantine/core'
import type { ScheduledTest } from '@understudy/contract/plan-tests'
import type { PlanRunSummary } from '@understudy/contract/recovery-plan'
import { formatDuration, formatWithZone, readable } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { EvidenceLinks } from './EvidenceLinks.tsx'
import { type TestRow, testRows } from './test-rows.ts'

type TestHistoryProps = {
  readonly scheduled: readonly ScheduledTest[]
  readonly runs: readonly PlanRunSummary[]
}

/** Every test of the plan, with what came of it and its report. */
export function TestHistory({ scheduled, runs }: TestHistoryProps) {
  const rows = testRows(scheduled, runs)
  if (rows.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)" p={14}>
        It has never been tested. A test touches nothing: begin with one.
      </Text>
    )
  return (
    <Table.ScrollContainer minWidth={680}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>When</Table.Th>
            <Table.Th>By</Table.Th>
            <Table.Th>Result</Table.Th>
            <Table.Th ta="right">Took</Table.Th>
            <Table.Th>Report</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.key}>
              <Table.Td className="number">
                {row.run ? (
                  <LinkAnchor
                    to="/plans/$planId/runs/$runId"
                    params={{ planId: row.run.planId, runId: row.run.id }}
                  >
                    {formatWithZone(row.at)}
                  </LinkAnchor>
                ) : (
                  formatWithZone(row.at)
                )}
              </Table.Td>
              <Table.Td>{row.by}</Table.Td>
              <Table.Td>
                <StatusMark tone={row.tone}>{row.words}</StatusMark>
                {row.note && (
                  <Text size="xs" c="var(--ink-quiet)">
                    {readable(row.note)}
                  </Text>
                )}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {tookOf(row)}
              </Table.Td>
              <Table.Td>
                {row.run?.evidence ? (
                  <EvidenceLinks
                    runId={row.run.id}
                    of={`the test of ${formatWithZone(row.at)}`}
                    evidence={row.run.evidence}
                  />
                ) : (
                  '–'
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

const tookOf = ({ run }: TestRow): string =>
  run?.endedAt ? formatDuration((Date.parse(run.endedAt) - Date.parse(run.startedAt)) / 1000) : '–'
