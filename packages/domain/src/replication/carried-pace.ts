// How often recovery points really come, where that is less often than the policy wants.
import type { Instant } from '@understudy/base/instant'
import type { PolicySettings } from '../protection/policy.ts'

/**
 * `source`: the platform that the machine runs on gives points no more often. `throttled`: the place of the replica asks for fewer
 * requests. `waiting`: cycles are short enough, but begin late. `slow`: they take too long.
 */
export type PaceCause = 'source' | 'throttled' | 'waiting' | 'slow'

/** Points come every `carriedSeconds`, though every `wantedSeconds` is wanted. */
export type Pace = {
  readonly wantedSeconds: number
  readonly carriedSeconds: number
  readonly cause: PaceCause
  readonly since: Instant
}

/** From one point to the next one, both of changes only, and without an outage that is told by itself. */
export type PointGap = {
  readonly seconds: number
  /** How long the cycle of the second one took. */
  readonly cycleSeconds: number
  /** The place of the replica asked for fewer requests in the meantime. */
  readonly throttled: boolean
}

/** One slow cycle is nothing, and one quick cycle no recovery: so many in a row decide. */
export const GAPS_THAT_COUNT = 3

const LATE = { share: 1.5, atLeastSeconds: 2 }
const IN_TIME = { share: 1.2, atMostSeconds: 1 }
/** A figure that moves less is the same one. */
const NEWS_SHARE = 0.2

export type PaceFacts = {
  readonly former: Pace | null
  /** From old to new, the last ones under this policy. */
  readonly gaps: readonly PointGap[]
  readonly wantedSeconds: number
  /** Of the source; 0 while nobody has asked it. */
  readonly shortestSeconds: number
  readonly now: Instant
}

/** Null: points come as often as is wanted. The same object as `former` where there is nothing new to tell. Pure. */
export function judgePace(facts: PaceFacts): Pace | null {
  const { wantedSeconds, shortestSeconds, now, gaps } = facts
  // Under another interval nothing of what was known counts.
  const former = facts.former?.wantedSeconds === wantedSeconds ? facts.former : null
  const possibleSeconds = Math.max(wantedSeconds, shortestSeconds)
  const last = gaps.slice(-GAPS_THAT_COUNT)
  const isBehind = former !== null && former.cause !== 'source'
  const isFull = last.length === GAPS_THAT_COUNT
  const staysBehind = isBehind && !(isFull && last.every((gap) => isInTime(gap, possibleSeconds)))
  const fallsBehind = isFull && last.every((gap) => isLate(gap, possibleSeconds))
  if (staysBehind || fallsBehind) {
    if (last.length === 0) return former
    return unlessSame(former, {
      wantedSeconds,
      carriedSeconds: Math.round(mean(last.map(({ seconds }) => seconds))),
      cause: causeOf(last, possibleSeconds),
      since: isBehind && former ? former.since : now,
    })
  }
  if (possibleSeconds === wantedSeconds) return null
  const since = former?.cause === 'source' ? former.since : now
  return unlessSame(former, { wantedSeconds, carriedSeconds: possibleSeconds, cause: 'source', since })
}

const isLate = ({ seconds }: PointGap, wanted: number): boolean =>
  seconds > Math.max(wanted * LATE.share, wanted + LATE.atLeastSeconds)

const isInTime = ({ seconds }: PointGap, wanted: number): boolean =>
  seconds <= Math.max(wanted * IN_TIME.share, wanted + IN_TIME.atMostSeconds)

function causeOf(gaps: readonly PointGap[], wantedSeconds: number): PaceCause {
  if (gaps.some(({ throttled }) => throttled)) return 'throttled'
  return mean(gaps.map(({ cycleSeconds }) => cycleSeconds)) < wantedSeconds ? 'waiting' : 'slow'
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

function unlessSame(former: Pace | null, next: Pace): Pace {
  if (former === null || former.cause !== next.cause) return next
  const difference = Math.abs(former.carriedSeconds - next.carriedSeconds)
  return difference <= former.carriedSeconds * NEWS_SHARE ? former : next
}

/**
 * The lag beyond which somebody is called. What the source cannot give is nobody's trouble: its points may be as much older as they
 * come further apart than the policy wants. Everything else is. Pure.
 */
export function lagTargetAt(
  { lagTargetSeconds }: Pick<PolicySettings, 'lagTargetSeconds'>,
  pace: Pace | null | undefined,
): number {
  if (pace?.cause !== 'source') return lagTargetSeconds
  return lagTargetSeconds + pace.carriedSeconds - pace.wantedSeconds
}
