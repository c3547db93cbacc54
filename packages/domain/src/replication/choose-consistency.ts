import type { Instant } from '@understudy/base/instant'
import type { Consistency } from '../recovery-points/recovery-point.ts'

export type ConsistencyFacts = {
  /** From the policy; 0: never application-consistent. */
  readonly everySeconds: number
  readonly lastSuccessAt: Instant | null
  /** An attempt that fell back counts too: freezing a guest that cannot every few seconds helps nobody. */
  readonly lastAttemptAt: Instant | null
  readonly now: Instant
}

/** An application-consistent attempt that fell back is repeated after this long, or at the schedule if that is sooner. */
export const CONSISTENCY_RETRY_SECONDS = 300

/** Decides how consistent the next point shall be. Pure. */
export function chooseConsistency(facts: ConsistencyFacts): Consistency {
  const { everySeconds, lastSuccessAt, lastAttemptAt, now } = facts
  if (everySeconds === 0) return 'crash'
  if (lastSuccessAt !== null && now - lastSuccessAt < everySeconds * 1000) return 'crash'
  const failedSince = lastAttemptAt !== null && (lastSuccessAt === null || lastAttemptAt > lastSuccessAt)
  const pauseSeconds = Math.min(everySeconds, CONSISTENCY_RETRY_SECONDS)
  if (failedSince && now - lastAttemptAt < pauseSeconds * 1000) return 'crash'
  return 'application'
}
