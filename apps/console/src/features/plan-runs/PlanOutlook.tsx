import { Table, Text, VisuallyHidden } from '@mantine/core'
import { inPriority } from '@understudy/contract/plan-editing'
import type { PlanSummary } from '@understudy/contract/recovery-plan'
import { formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { ReadinessMark } from '../../ui/ReadinessMark.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { planVerdict } from './plan-verdict.ts'
import { titleOfRun, toneOfRun, wordsOfRun, wordsOfRunKind } from './run-words.ts'
import { StartPlan } from './StartPlan.tsx'

type PlanOutlookProps = { readonly plans: readonly PlanSummary[] }

/** "If this site died now", plan by plan, in the order in which they are failed over; and what runs of them. */
export function PlanOutlook({ plans }: PlanOutlookProps) {
  if (plans.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)" p={14}>
        No plan yet. What fails in a disaster is not a machine but an application: a plan brings its machines
        up in order.
      </Text>
    )
  const ordered = inPriority(plans)
  return (
    <Table.ScrollContainer minWidth={620}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>If its site died now</Table.Th>
            <Table.Th ta="right" style={{ whiteSpace: 'nowrap' }}>
              Data loss
            </Table.Th>
            <Table.Th ta="right" style={{ whiteSpace: 'nowrap' }}>
              Back after
            </Table.Th>
            <Table.Th>Verdict and readiness</Table.Th>
            <Table.Th>
              <VisuallyHidden>Run</VisuallyHidden>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {ordered.map((plan) => {
            const verdict = planVerdict(plan)
            return (
              <Table.Tr key={plan.id}>
                <Table.Td>
                  <LinkAnchor to="/plans/$planId/runs" params={{ planId: plan.id }}>
                    {plan.name}
                  </LinkAnchor>
                  {plan.activeRun && <ActiveRun run={plan.activeRun} />}
                </Table.Td>
                <Table.Td ta="right" className="number" style={{ whiteSpace: 'nowrap' }}>
                  {plan.worstLagSeconds === null ? '–' : formatDuration(Math.round(plan.worstLagSeconds))}
                </Table.Td>
                <Table.Td ta="right" className="number" style={{ whiteSpace: 'nowrap' }}>
                  {plan.predictedSeconds === null
                    ? 'not known'
                    : formatDuration(Math.round(plan.predictedSeconds))}
                </Table.Td>
                <Table.Td>
                  <StatusMark tone={verdict.tone}>{verdict.words}</StatusMark>
                  <div>
                    <ReadinessMark readiness={plan.readiness} of={plan.name} />
                  </div>
                </Table.Td>
                <Table.Td ta="right">
                  <StartPlan planId={plan.id} name={plan.name} compact />
                </Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function ActiveRun({ run }: { readonly run: NonNullable<PlanSummary['activeRun']> }) {
  const waits = run.waitingForPeople > 0
  return (
    <div>
      <LinkAnchor
        to="/plans/$planId/runs/$runId"
        params={{ planId: run.planId, runId: run.id }}
        aria-label={titleOfRun(run)}
        underline="never"
      >
        <StatusMark tone={waits ? 'at-risk' : toneOfRun[run.state]}>
          {wordsOfRunKind[run.kind]}: {waits ? 'waiting for you' : wordsOfRun[run.state].toLowerCase()},{' '}
          {run.doneItems} of {run.totalItems}
        </StatusMark>
      </LinkAnchor>
    </div>
  )
}
