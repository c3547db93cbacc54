import { Box, Table, Text, VisuallyHidden } from '@mantine/core'
import { inPriority } from '@understudy/contract/plan-editing'
import type { PlanSummary } from '@understudy/contract/recovery-plan'
import { formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { ReadinessMark } from '../../ui/ReadinessMark.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import classes from './PlanOutlook.module.css'
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
    <Table.ScrollContainer minWidth={0}>
      <Table className={classes.table}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>If its site died now</Table.Th>
            <Table.Th visibleFrom="sm" ta="right" style={{ whiteSpace: 'nowrap' }}>
              Data loss
            </Table.Th>
            <Table.Th visibleFrom="sm" ta="right" style={{ whiteSpace: 'nowrap' }}>
              Back after
            </Table.Th>
            <Table.Th>Verdict and readiness</Table.Th>
            <Table.Th visibleFrom="sm">
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
                  <Text hiddenFrom="sm" size="xs" c="var(--ink-quiet)" className="number">
                    Data loss {lossOf(plan)}, back after {backAfter(plan)}
                  </Text>
                </Table.Td>
                <Table.Td visibleFrom="sm" ta="right" className="number" style={{ whiteSpace: 'nowrap' }}>
                  {lossOf(plan)}
                </Table.Td>
                <Table.Td visibleFrom="sm" ta="right" className="number" style={{ whiteSpace: 'nowrap' }}>
                  {backAfter(plan)}
                </Table.Td>
                <Table.Td>
                  <StatusMark tone={verdict.tone}>{verdict.words}</StatusMark>
                  <div>
                    <ReadinessMark readiness={plan.readiness} of={plan.name} />
                  </div>
                  <Box hiddenFrom="sm" mt={6}>
                    <StartPlan planId={plan.id} name={plan.name} compact />
                  </Box>
                </Table.Td>
                <Table.Td visibleFrom="sm" ta="right">
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

const lossOf = ({ worstLagSeconds }: PlanSummary): string =>
  worstLagSeconds === null ? '–' : formatDuration(Math.round(worstLagSeconds))

const backAfter = ({ predictedSeconds }: PlanSummary): string =>
  predictedSeconds === null ? 'not known' : formatDuration(Math.round(predictedSeconds))

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
