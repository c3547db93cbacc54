import type { TimedPoint } from './time-line-layout.ts'

/** When everything was copied or compared, from the points that came of it: in milliseconds, oldest first. Pure. */
export const bulkCopiesOf = (
  points: readonly TimedPoint[],
): readonly { readonly from: number; readonly to: number }[] =>
  points
    .filter(({ point }) => point.cycle !== 'delta')
    .map(({ at, point }) => ({ from: at, to: Date.parse(point.sealedAt) }))
