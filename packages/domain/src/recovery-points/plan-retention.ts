// Which recovery points stay. Pure.
import type { Instant } from '@understudy/base/instant'
import type { RetentionTier } from '../protection/policy.ts'
import type { CutId, PointId, RecoveryPoint } from './recovery-point.ts'

export type RetentionFacts = {
  /** From old to new. */
  readonly points: readonly RecoveryPoint[]
  /** From young to old. */
  readonly tiers: readonly RetentionTier[]
  readonly now: Instant
  /** How many machines of the group have a cut. */
  readonly shares?: ReadonlyMap<CutId, number>
}

/**
 * The ids of the points to drop. The newest stays, also those held or pinned; of the others each tier keeps one of every step of
 * `everySeconds`: the oldest of those that most machines have. Steps are counted from 1970, so that the choice does not wander while
 * time goes on. An unfinished copy goes once something newer is there.
 */
export function planRetention({ points, tiers, now, shares }: RetentionFacts): readonly PointId[] {
  const shareOf = ({ group }: RecoveryPoint): number => (group && shares?.get(group.cut)) || 1
  const chosen = new Map<string, RecoveryPoint>()
  for (const point of points) {
    if (point.unfinished !== undefined) continue
    const step = stepOf(point, tiers, now)
    const best = step === null ? undefined : chosen.get(step)
    if (step !== null && (best === undefined || shareOf(point) > shareOf(best))) chosen.set(step, point)
  }
  const kept = new Set([...chosen.values()].map(({ id }) => id))
  const newest = points.at(-1)?.id
  const stays = ({ id, heldBy, annotations }: RecoveryPoint): boolean =>
    kept.has(id) || id === newest || heldBy.length > 0 || annotations.pinned === true
  return points.filter((point) => !stays(point)).map(({ id }) => id)
}

/** Null: too old for every tier. */
function stepOf(
  { id, instant }: RecoveryPoint,
  tiers: readonly RetentionTier[],
  now: Instant,
): string | null {
  const ageSeconds = (now - instant) / 1000
  const tier = tiers.find(({ forSeconds }) => ageSeconds < forSeconds)
  if (tier === undefined) return null
  const step = tier.everySeconds === 0 ? id : String(Math.floor(instant / 1000 / tier.everySeconds))
  return `${tier.everySeconds}/${step}`
}
