// How long to wait before the next attempt to reach the server.
const FIRST_MILLISECONDS = 500
const LONGEST_MILLISECONDS = 30_000

/** Pure. Doubles, up to half a minute; `chance` (0 to 1) spreads agents that have all lost the same server. */
export function backOff(failures: number, chance: number): number {
  const full = Math.min(LONGEST_MILLISECONDS, FIRST_MILLISECONDS * 2 ** Math.min(failures, 20))
  return full / 2 + (full / 2) * chance
}
