import { Alert, Text } from '@mantine/core'
import { IconHandStop } from '@tabler/icons-react'
import type { PlanSummary } from '@understudy/contract/recovery-plan'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { titleOfRun } from './run-words.ts'

/** Runs of plans that want something of a person, each with the way to its questions. */
export function WaitingRuns({ plans }: { readonly plans: readonly PlanSummary[] }) {
  const waiting = plans.flatMap(({ activeRun }) =>
    activeRun && activeRun.waitingForPeople > 0 ? [activeRun] : [],
  )
  return waiting.map((run) => (
    <Alert
      key={run.id}
      color="yellow"
      variant="light"
      icon={<IconHandStop size={18} />}
      title={`Waiting for you: ${titleOfRun(run)}`}
      role="alert"
    >
      <Text size="sm" span>
        {run.waitingForPeople === 1 ? 'It has one question. ' : `It has ${run.waitingForPeople} questions. `}
      </Text>
      <LinkAnchor to="/plans/$planId/runs/$runId" params={{ planId: run.planId, runId: run.id }}>
        Answer
      </LinkAnchor>
    </Alert>
  ))
}
