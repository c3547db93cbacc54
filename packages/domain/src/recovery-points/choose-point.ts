import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { CutId, PointId, RecoveryPoint } from './recovery-point.ts'

/** Which point a failover uses. `at`: the newest one not younger than the instant. */
export type PointChoice =
  | { readonly kind: 'latest' }
  | { readonly kind: 'latest-application-consistent' }
  | { readonly kind: 'point'; readonly id: PointId }
  | { readonly kind: 'at'; readonly instant: Instant }
  /** The one of this machine at an instant that others share. */
  | { readonly kind: 'cut'; readonly cut: CutId }

/** Decides which point to use. `points` are sorted from old to new. Refuses when there is none of that kind. */
export function choosePoint(points: readonly RecoveryPoint[], choice: PointChoice): RecoveryPoint {
  const found = findPoint(points, choice)
  if (found) return found
  throw new Refusal({
    code: points.length === 0 ? 'recovery-point/none' : 'recovery-point/not-found',
    message: points.length === 0 ? 'There is no recovery point yet' : `There is no ${describeChoice(choice)}`,
    remedy:
      points.length === 0
        ? 'Wait until the first replication cycle is done.'
        : 'Choose another recovery point.',
  })
}

/** The same; undefined: there is none of that kind. */
export function findPoint(points: readonly RecoveryPoint[], choice: PointChoice): RecoveryPoint | undefined {
  switch (choice.kind) {
    case 'latest':
      return points.at(-1)
    case 'latest-application-consistent':
      return points.findLast((point) => point.consistency === 'application')
    case 'point':
      return points.find((point) => point.id === choice.id)
    case 'at':
      return points.findLast((point) => point.instant <= choice.instant)
    case 'cut':
      return points.find((point) => point.group?.cut === choice.cut)
  }
}

function describeChoice(choice: PointChoice): string {
  switch (choice.kind) {
    case 'latest':
      return 'recovery point'
    case 'latest-application-consistent':
      return 'application-consistent recovery point'
    case 'point':
      return `recovery point ${choice.id} any more`
    case 'at':
      return `recovery point at or before ${new Date(choice.instant).toISOString()}`
    case 'cut':
      return 'recovery point at the instant that its group shares any more'
  }
}
