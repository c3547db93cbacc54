import type { Instant } from '@understudy/base/instant'
import type { PolicySettings } from '../protection/policy.ts'
import type { RecoveryPoint } from './recovery-point.ts'

/** After a pause in replication the history from before it stays for this long: time for somebody to look. */
const GRACE_SECONDS = 24 * 3600
const SHORTEST_PAUSE_SECONDS = 2 * 3600

export type HistoryFacts = {
  /** From old to new. */
  readonly points: readonly Pick<RecoveryPoint, 'instant'>[]
  readonly policy: Pick<PolicySettings, 'intervalSeconds' | 'retention'>
  readonly now: Instant
}

/**
 * The instant from which the age of recovery points is counted. Never later than the newest point: while nothing new comes in
 * (the source is away, the machine is off), the history must not melt away down to what an attacker left last. And for a day
 * after a pause, or after a clock that jumped ahead, still the instant at which the pause began. Pure.
 */
export function historyPresent({ points, policy, now }: HistoryFacts): Instant {
  const newest = points.at(-1)
  if (newest === undefined) return now
  const pauseMilliseconds = pauseSeconds(policy) * 1000
  let later = newest.instant
  for (let index = points.length - 2; index >= 0; index -= 1) {
    const { instant } = points[index] ?? newest
    if (later < newest.instant - GRACE_SECONDS * 1000) break
    if (later - instant > pauseMilliseconds) return Math.min(now, instant)
    later = Math.min(later, instant)
  }
  return Math.min(now, newest.instant)
}

/** Gaps that the policy itself makes, by its interval or by thinning out, are no pause. */
function pauseSeconds({ intervalSeconds, retention }: HistoryFacts['policy']): number {
  const widest = Math.max(intervalSeconds, ...retention.map(({ everySeconds }) => everySeconds))
  return Math.max(SHORTEST_PAUSE_SECONDS, 3 * widest)
}
