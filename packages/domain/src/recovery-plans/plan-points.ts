// One choice of a point for all machines of a plan: which point of each machine it means, and who has none.
import { type Instant, secondsBetween, toIso } from '@understudy/base/instant'
import { findPoint, type PointChoice } from '../recovery-points/choose-point.ts'
import type { RecoveryPoint } from '../recovery-points/recovery-point.ts'
import { atItem, blocker, type PlanFinding, wholePlan } from './plan-finding.ts'
import type { ItemId } from './plan-ids.ts'
import type { PlanPointChoice, PlanRunPoint } from './plan-run.ts'

/** A machine of a plan with what its replica holds. */
export type MemberPoints = {
  readonly itemId: ItemId
  readonly name: string
  /** From old to new; null: they could not be read, for the reason in `why`. */
  readonly points: readonly RecoveryPoint[] | null
  readonly why: string | null
}

/** What a choice means for one machine. */
export type ChosenPoint = {
  readonly itemId: ItemId
  readonly name: string
  /** Null: it has none that fits. */
  readonly point: RecoveryPoint | null
  /** How much older its point is than the instant that was chosen for all; null: there is no such instant, or no point. */
  readonly ageSeconds: number | null
}

/**
 * The newest instant that every machine has reached already: with it nothing is waited for, and no machine is further ahead than
 * the slowest. Null: a machine has no point, or there is no machine. Pure.
 */
export function latestProcessed(members: readonly Pick<MemberPoints, 'points'>[]): Instant | null {
  const newest = members.map(({ points }) => points?.at(-1)?.instant ?? null)
  return newest.length === 0 || newest.includes(null) ? null : Math.min(...newest.map(Number))
}

/** The earliest instant for which every machine has a point; null as for `latestProcessed`. Pure. */
export function earliestCommon(members: readonly Pick<MemberPoints, 'points'>[]): Instant | null {
  const oldest = members.map(({ points }) => points?.[0]?.instant ?? null)
  return oldest.length === 0 || oldest.includes(null) ? null : Math.max(...oldest.map(Number))
}

/** What was wished for as it is kept with a run: what depends on when one looks has its instant from now on. Pure. */
export function fixPoint(
  choice: PlanPointChoice,
  members: readonly Pick<MemberPoints, 'points'>[],
): PlanRunPoint | null {
  if (choice.kind !== 'latest-processed') return choice
  const instant = latestProcessed(members)
  return instant === null ? null : { kind: 'latest-processed', instant }
}

/** What each machine is asked for. Pure. */
export const choiceOf = (point: PlanRunPoint): PointChoice =>
  point.kind === 'latest-processed' ? { kind: 'at', instant: point.instant } : point

const instantOf = (point: PlanRunPoint): Instant | null =>
  point.kind === 'at' || point.kind === 'latest-processed' ? point.instant : null

/** Of each machine the point that it would be booted from. Pure. */
export function choosePlanPoints(
  members: readonly MemberPoints[],
  choice: PlanPointChoice,
): readonly ChosenPoint[] {
  const fixed = fixPoint(choice, members)
  // As long as a machine has none at all, each of the others is told by its own newest one.
  const wanted: PlanRunPoint = fixed ?? { kind: 'latest' }
  const instant = instantOf(wanted)
  return members.map(({ itemId, name, points }) => {
    const point = findPoint(points ?? [], choiceOf(wanted)) ?? null
    const ageSeconds = point === null || instant === null ? null : secondsBetween(point.instant, instant)
    return { itemId, name, point, ageSeconds }
  })
}

/** Who cannot be brought up from such a point, and why. `now`: an instant that has not come yet is a mistake. Pure. */
export function checkPlanPoints(
  members: readonly MemberPoints[],
  choice: PlanPointChoice,
  now: Instant,
): readonly PlanFinding[] {
  if (choice.kind === 'at' && isAhead(choice.instant, members, now)) return [ahead(choice.instant)]
  const fixed = fixPoint(choice, members)
  const instant = fixed && instantOf(fixed)
  const chosen = choosePlanPoints(members, choice)
  return members.flatMap((member, index) => {
    if (member.points === null) return [unread(member)]
    const [oldest] = member.points
    // That there is none at all is told by validateAgainst.
    if (oldest === undefined || chosen[index]?.point) return []
    return [instant === null ? noneConsistent(member) : noneThen(member, { instant, oldest })]
  })
}

/** The clocks of sites differ: an instant that a point is of has come, whatever our own clock says. */
const isAhead = (instant: Instant, members: readonly MemberPoints[], now: Instant): boolean =>
  instant > Math.max(now, ...members.map(({ points }) => points?.at(-1)?.instant ?? now))

const ahead = (instant: Instant): PlanFinding =>
  blocker(wholePlan, {
    code: 'instant-ahead',
    message: `${toIso(instant)} has not come yet`,
    remedy: 'Choose "latest" for the newest points, or an earlier instant.',
  })

const unread = ({ itemId, name, why }: MemberPoints): PlanFinding =>
  blocker(atItem(itemId), {
    code: 'points-unreadable',
    message: `The recovery points of "${name}" could not be read${why === null ? '' : `: ${why}`}`,
    remedy:
      'Choose "latest", which asks each machine only when its turn comes; or see to its target site first.',
  })

const noneConsistent = ({ itemId, name }: MemberPoints): PlanFinding =>
  blocker(atItem(itemId), {
    code: 'no-consistent-point',
    message: `"${name}" has no application-consistent recovery point`,
    remedy: 'Choose another point for the plan, or have one made for this machine.',
  })

const noneThen = (
  { itemId, name }: MemberPoints,
  { instant, oldest }: { readonly instant: Instant; readonly oldest: RecoveryPoint },
): PlanFinding =>
  blocker(atItem(itemId), {
    code: 'no-point-then',
    message: `"${name}" has no recovery point at or before ${toIso(instant)}: its oldest is of ${toIso(oldest.instant)}`,
    remedy: 'Choose a later instant, or leave the machine out.',
  })
