import { type Instant, secondsBetween } from '@understudy/base/instant'

/** Now minus the instant of the newest sealed point, in seconds: the live RPO. Null before the first point. */
export const lagSeconds = (newestInstant: Instant | null, now: Instant): number | null =>
  newestInstant === null ? null : Math.max(0, secondsBetween(newestInstant, now))

export type LagVerdict = 'raise' | 'resolve' | 'leave'

/** Whether the lag alert changes. Raised beyond the target, resolved at or below it; unknown lag changes nothing. Pure. */
export function checkLag(facts: {
  lagSeconds: number | null
  targetSeconds: number
  raised: boolean
}): LagVerdict {
  if (facts.lagSeconds === null) return 'leave'
  const late = facts.lagSeconds > facts.targetSeconds
  if (late === facts.raised) return 'leave'
  return late ? 'raise' : 'resolve'
}
