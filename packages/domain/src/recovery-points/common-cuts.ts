// Which instants several machines have in common. A cycle of a group seals one point in the replica of each machine, one after the
// other: only the marks on all of them together say that an instant is there as a whole.
import type { Instant } from '@understudy/base/instant'
import type { Consistency, CutId, PointId, RecoveryPoint } from './recovery-point.ts'

export type CommonCut = {
  readonly cut: CutId
  readonly instant: Instant
  readonly consistency: Consistency
  /** Of each machine the point at that instant, in the order in which the machines were given. */
  readonly points: readonly PointId[]
}

type Point = Pick<RecoveryPoint, 'id' | 'instant' | 'consistency' | 'group'>

/** From old to new. `machines`: of each its points from old to new. Of one machine every marked point is one. Pure. */
export function commonCuts(machines: readonly (readonly Point[])[]): readonly CommonCut[] {
  const [first = [], ...others] = machines
  const known = others.map((points) => new Map(points.map((point) => [point.group?.cut, point.id])))
  return first.flatMap(({ id, instant, consistency, group }) => {
    if (!group) return []
    const found = known.flatMap((points) => points.get(group.cut) ?? [])
    return found.length === known.length
      ? [{ cut: group.cut, instant, consistency, points: [id, ...found] }]
      : []
  })
}

export type CutChoice =
  | { readonly kind: 'latest' }
  | { readonly kind: 'latest-application-consistent' }
  | { readonly kind: 'at'; readonly instant: Instant }

/** `cuts` from old to new. `at`: the newest one that is not younger than the instant. Null: there is none of that kind. Pure. */
export function chooseCut(cuts: readonly CommonCut[], choice: CutChoice): CommonCut | null {
  switch (choice.kind) {
    case 'latest':
      return cuts.at(-1) ?? null
    case 'latest-application-consistent':
      return cuts.findLast(({ consistency }) => consistency === 'application') ?? null
    case 'at':
      return cuts.findLast(({ instant }) => instant <= choice.instant) ?? null
  }
}

/**
 * For retention: how many of the machines have the cut of each marked point. Where a tier keeps one point of several, the one that
 * most machines have is worth most, so that all keep the same. Pure.
 */
export function sharesOf(machines: readonly (readonly Point[])[]): ReadonlyMap<CutId, number> {
  const shares = new Map<CutId, number>()
  for (const points of machines)
    for (const { group } of points) if (group) shares.set(group.cut, (shares.get(group.cut) ?? 0) + 1)
  return shares
}
