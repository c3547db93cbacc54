import type { RecoveryPoint } from './recovery-point.ts'

const isWhole = ({ unfinished }: RecoveryPoint): boolean => unfinished === undefined

/** Recovery points. `sealed`: everything, from old to new. */
export const wholeOf = (sealed: readonly RecoveryPoint[]): readonly RecoveryPoint[] =>
  sealed.every(isWhole) ? sealed : sealed.filter(isWhole)

/** What was sealed last, if it is no recovery point. */
export function unfinishedOf(sealed: readonly RecoveryPoint[]): RecoveryPoint | null {
  const newest = sealed.at(-1)
  return newest === undefined || isWhole(newest) ? null : newest
}
