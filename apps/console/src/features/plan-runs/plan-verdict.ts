// What a plan would come to if it had to be run now. Pure.
import type { PlanSummary } from '@understudy/contract/recovery-plan'
import { formatDuration } from '../../lib/format.ts'
import type { Tone } from '../../ui/tone.ts'

type Facts = Pick<
  PlanSummary,
  'blockers' | 'warnings' | 'predictedSeconds' | 'targetRtoSeconds' | 'lastTest' | 'worstLagSeconds'
>

/** The gravest thing first: what cannot be run, what comes too late, what nobody has proven. */
export function planVerdict(plan: Facts): { readonly tone: Tone; readonly words: string } {
  const { blockers, warnings, predictedSeconds, targetRtoSeconds, lastTest } = plan
  if (blockers > 0)
    return { tone: 'bad', words: `cannot be run: ${blockers} ${blockers === 1 ? 'blocker' : 'blockers'}` }
  if (lastTest !== null && !lastTest.passed) return { tone: 'bad', words: 'its last test failed' }
  if (targetRtoSeconds !== null && predictedSeconds !== null && predictedSeconds > targetRtoSeconds)
    return {
      tone: 'at-risk',
      words: `${formatDuration(Math.round(predictedSeconds - targetRtoSeconds))} beyond its target`,
    }
  if (lastTest === null) return { tone: 'at-risk', words: 'never tested' }
  if (warnings > 0)
    return { tone: 'at-risk', words: `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}` }
  return { tone: 'good', words: 'its last test passed' }
}
