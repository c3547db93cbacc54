import { Table, Text } from '@mantine/core'
import type { PlanRunSummary } from '@understudy/contract/recovery-plan'
import { formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { When } from '../../ui/When.tsx'
import { elapsedSeconds } from './run-clock.ts'
import { isActive, statusOfRun, wordsOfRunKind } from './run-words.ts'

type PlanRunListProps = {
  readonly runs: readonly PlanRunSummary[]
  /** Runs of several plans: name them. */
  readonly withPlan?: boolean
  /** What stands there instead of a table without rows. */
  readonly empty: string
}

/** Runs of plans, newest first, each with how it ended or how far it is. */
export function PlanRunList({ runs, withPlan = false, empty }: PlanRunListProps) {
  const now = useNow(1000)
  if (runs.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)" p={14}>
        {empty}
      </Text>
    )
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Run</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Started</Table.Th>
            <Table.Th>By</Table.Th>
            <Table.Th ta="right">Took</Table.Th>
            <Table.Th ta="right">Done</Table.Th>
            <Table.Th ta="right">Version</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {runs.map((run) => (
            <Table.Tr key={run.id}>
              <Table.Td>
                <LinkAnchor to="/plans/$planId/runs/$runId" params={{ planId: run.planId, runId: run.id }}>
                  {wordsOfRunKind[run.kind]}
                  {withPlan ? ` of ${run.planName}` : ''}
                </LinkAnchor>
              </Table.Td>
              <Table.Td>
                <RunStatus run={run} />
              </Table.Td>
              <Table.Td>
                <When at={run.startedAt} plain />
              </Table.Td>
              <Table.Td>{run.startedBy}</Table.Td>
              <Table.Td ta="right" className="number">
                {formatDuration(Math.round(elapsedSeconds(run, now)))}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {run.doneItems} of {run.totalItems}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {run.version}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function RunStatus({ run }: { readonly run: PlanRunSummary }) {
  const waits = run.waitingForPeople > 0 && isActive(run)
  const { tone, words } = waits ? { tone: 'at-risk' as const, words: 'Waiting for you' } : statusOfRun(run)
  return <StatusMark tone={tone}>{words}</StatusMark>
}
