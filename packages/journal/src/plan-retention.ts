// Which recovery points stay. Pure.
import type { Instant } from '@understudy/base/instant'
import type { RetentionTier } from '@understudy/domain/protection/policy'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'

export type RetentionFacts = {
  /** From old to new. */
  readonly points: readonly RecoveryPoint[]
  /** From young to old. */
  readonly tiers: readonly RetentionTier[]
  readonly now: Instant
}

/**
 * The ids of the points to drop. The newest stays, also those held or pinned; of the others each tier keeps the oldest of
 * every step of `everySeconds`. Steps are counted from 1970, so that the choice does not wander while time goes on.
 */
export function planRetention({ points, tiers, now }: RetentionFacts): readonly PointId[] {
  const taken = new Set<string>()
  const newest = points.at(-1)?.id
  const stays = (point: RecoveryPoint): boolean => {
    const isFirst = isFirstOfStep(point, tiers, { now, taken })
    return isFirst || point.id === newest || point.heldBy.length > 0 || point.annotations.pinned === true
  }
  return points.filter((point) => !stays(point)).map(({ id }) => id)
}

function isFirstOfStep(
  { id, instant }: RecoveryPoint,
  tiers: readonly RetentionTier[],
  { now, taken }: { readonly now: Instant; readonly taken: Set<string> },
): boolean {
  const ageSeconds = (now - instant) / 1000
  const tier = tiers.find(({ forSeconds }) => ageSeconds < forSeconds)
  if (tier === undefined) return false
  const step = tier.everySeconds === 0 ? id : String(Math.floor(instant / 1000 / tier.everySeconds))
  const key = `${tier.everySeconds}/${step}`
  if (taken.has(key)) return false
  taken.add(key)
  return true
}
