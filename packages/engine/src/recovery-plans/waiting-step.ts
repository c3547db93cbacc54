// Steps that nobody works on: they wait for time to pass, or for a person. Pure.
import type { FailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { PlanStep } from '@understudy/domain/recovery-plans/plan'
import type { PlanActivity } from '@understudy/domain/recovery-plans/plan-run'
import type { StepAction } from '@understudy/domain/recovery-plans/step-action'

export const needsJob = (action: StepAction): boolean => {
  switch (action.kind) {
    case 'wait':
    case 'manual':
    case 'approval':
      return false
    case 'script':
    case 'probe':
    case 'http':
    case 'dns':
    case 'load-balancer':
    case 'traffic-manager':
    case 'azure-load-balancer':
    case 'azure-dns':
    case 'azure-run-command':
      return true
  }
}

/** When the wait is over, or the attempt given up. From its start, so that a restart of ours begins nothing anew. */
export const deadlineOf = (action: StepAction, startedAt: Instant): Instant =>
  startedAt + (action.kind === 'wait' ? action.seconds : action.timeoutSeconds) * 1000

type Verdict = Pick<PlanActivity, 'state' | 'note' | 'failure'>

/** Null: it goes on waiting. */
export function verdictOfWaiting(
  { action }: Pick<PlanStep, 'action'>,
  { answer, deadline }: Pick<PlanActivity, 'answer' | 'deadline'>,
  now: Instant,
): Verdict | null {
  if (answer !== null) {
    const note = `${answer.by}: ${answer.comment === '' ? wordsOfAnswer(action, answer.value) : answer.comment}`
    return answer.value === 'done'
      ? { state: 'succeeded', note, failure: null }
      : failed(action.kind === 'approval' ? 'refused' : 'not-done', note)
  }
  if (deadline === null || now < deadline) return null
  if (action.kind === 'wait') return { state: 'succeeded', note: null, failure: null }
  if (action.kind === 'manual' && action.whenTimedOut === 'continue')
    return { state: 'succeeded', note: 'Nobody answered in time; the plan goes on as it says', failure: null }
  return failed('not-answered', 'Nobody answered in time')
}

const wordsOfAnswer = ({ kind }: StepAction, value: 'done' | 'failed'): string => {
  if (kind === 'approval') return value === 'done' ? 'approved' : 'not approved'
  return value === 'done' ? 'done' : 'could not be done'
}

const failed = (code: string, message: string): Verdict => {
  const failure: FailureReport = {
    kind: 'refusal',
    code: `recovery-plan/${code}`,
    message,
    remedy: 'Have it tried again, or skip it.',
  }
  return { state: 'failed', note: message, failure }
}
