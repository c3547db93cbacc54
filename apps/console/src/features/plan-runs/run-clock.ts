// How long a run has taken, when it is expected to end, and what that means for its target. Pure.
import type { PlanRun } from '@understudy/contract/recovery-plan'
import type { WallRun } from '@understudy/contract/wall'
import { formatDuration } from '../../lib/format.ts'
import type { Tone } from '../../ui/tone.ts'
import { isActive } from './run-words.ts'

type Timed = Pick<
  PlanRun,
  'state' | 'startedAt' | 'endedAt' | 'predictedSeconds' | 'spreadSeconds' | 'targetRtoSeconds'
>

/** Seconds since the start; of a run that is over, how long it took. Never below zero, whatever the clocks say. */
export const elapsedSeconds = (run: Pick<PlanRun, 'startedAt' | 'endedAt'>, now: number): number =>
  Math.max(0, ((run.endedAt === null ? now : Date.parse(run.endedAt)) - Date.parse(run.startedAt)) / 1000)

/** `11 of 12 done, 1 failed`: the server counts what has failed as over. */
export function progressWords(run: Pick<WallRun, 'doneItems' | 'totalItems' | 'activities'>): string {
  const failed = run.activities.filter(({ state }) => state === 'failed').length
  const done = `${run.doneItems - failed} of ${run.totalItems}`
  return failed === 0 ? done : `${done}, ${failed} failed`
}

export type Outlook = {
  /** From the start to the end: measured when it is over, else as it is expected now. Null: nobody knows. */
  readonly totalSeconds: number | null
  readonly spreadSeconds: number | null
  /** When it is expected to be over, milliseconds; null when it is over or nobody knows. */
  readonly endsAt: number | null
  readonly verdict: { readonly tone: Tone; readonly words: string } | null
}

export function outlookOf(run: Timed, now: number): Outlook {
  const elapsed = elapsedSeconds(run, now)
  const goesOn = isActive(run)
  // An expectation that has passed already is none: then it ends now at the earliest.
  const expected = run.predictedSeconds === null ? null : Math.max(run.predictedSeconds, elapsed)
  const totalSeconds = goesOn ? expected : elapsed
  const spreadSeconds = goesOn ? run.spreadSeconds : null
  return {
    totalSeconds,
    spreadSeconds,
    endsAt: goesOn && expected !== null ? Date.parse(run.startedAt) + expected * 1000 : null,
    verdict: verdictOf(run, { elapsed, totalSeconds, spreadSeconds: spreadSeconds ?? 0 }),
  }
}

function verdictOf(
  run: Timed,
  times: { readonly elapsed: number; readonly totalSeconds: number | null; readonly spreadSeconds: number },
): Outlook['verdict'] {
  const target = run.targetRtoSeconds
  const { elapsed, totalSeconds, spreadSeconds } = times
  if (target === null || totalSeconds === null) return null
  if (!isActive(run)) {
    if (run.state !== 'succeeded') return null
    return elapsed <= target
      ? { tone: 'good', words: `kept, ${formatDuration(target - elapsed)} to spare` }
      : { tone: 'bad', words: `missed by ${formatDuration(elapsed - target)}` }
  }
  if (elapsed > target) return { tone: 'bad', words: `passed ${formatDuration(elapsed - target)} ago` }
  if (totalSeconds > target)
    return { tone: 'bad', words: `expected ${formatDuration(totalSeconds - target)} too late` }
  // One spread more or less is what happens every third time.
  if (totalSeconds + spreadSeconds > target) return { tone: 'at-risk', words: 'may be missed' }
  return { tone: 'good', words: `${formatDuration(target - totalSeconds)} to spare` }
}
