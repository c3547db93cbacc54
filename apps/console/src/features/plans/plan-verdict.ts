// What the list and the head of a plan say about it. Pure.
import type { PlanSummary } from '@understudy/contract/recovery-plan'
import type { Tone } from '../../ui/tone.ts'

type Verdict = { readonly tone: Tone; readonly words: string }

/** Whether it could be run now, as the server sees it. */
export function verdictOf({ blockers, warnings }: Pick<PlanSummary, 'blockers' | 'warnings'>): Verdict {
  if (blockers > 0) return { tone: 'bad', words: `${blockers} ${blockers === 1 ? 'blocker' : 'blockers'}` }
  if (warnings > 0)
    return { tone: 'at-risk', words: `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}` }
  return { tone: 'good', words: 'can run' }
}

export function testOf({ lastTest }: Pick<PlanSummary, 'lastTest'>): Verdict {
  if (!lastTest) return { tone: 'off', words: 'never tested' }
  return lastTest.passed ? { tone: 'good', words: 'passed' } : { tone: 'bad', words: 'not passed' }
}

export type Rto = {
  readonly predictedSeconds: number | null
  readonly targetSeconds: number | null
  /** Of the target; null: there is none, or nobody can say. */
  readonly share: number | null
  readonly tone: Tone
}

/** What it would take against what it may take. Close to the target is a warning: the next machine breaks it. */
export function rtoOf({
  predictedSeconds,
  targetRtoSeconds,
}: Pick<PlanSummary, 'predictedSeconds' | 'targetRtoSeconds'>): Rto {
  const targetSeconds = targetRtoSeconds
  if (predictedSeconds === null || targetSeconds === null)
    return { predictedSeconds, targetSeconds, share: null, tone: 'off' }
  const share = predictedSeconds / Math.max(1, targetSeconds)
  return {
    predictedSeconds,
    targetSeconds,
    share,
    tone: share > 1 ? 'bad' : share > 0.9 ? 'at-risk' : 'good',
  }
}
