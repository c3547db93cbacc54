import { clockText } from '../../lib/clock.ts'

/** Since the start of a run, as it is expected: to the nearest second. Pure. */
export const clockOf = (seconds: number): string => clockText(Math.round(seconds))
