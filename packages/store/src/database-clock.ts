// Movers and job runners judge each other by the time of their last sign of life. They run on several computers whose clocks may
// differ, so these instants are in the time of the database, which all of them share.
import type { Database } from './database.ts'

/** Smaller differences are the way of the question and the answer, and do no harm. */
const toleratedMilliseconds = 2000
const askAgainMilliseconds = 30_000

export type DatabaseClock = {
  /** What to add to an instant of this computer's clock to get the database's; whole seconds, 0 when they agree. */
  skewMilliseconds(): Promise<number>
}

export function databaseClock(pool: Database['pool'], now: () => number = () => Date.now()): DatabaseClock {
  let known: { readonly skew: number; readonly wall: number; readonly steady: number } | null = null
  return {
    async skewMilliseconds() {
      // Asked again at once when this computer's clock was set meanwhile.
      const drift = known === null ? 0 : Math.abs(now() - known.wall - (performance.now() - known.steady))
      const fresh =
        known !== null &&
        performance.now() - known.steady < askAgainMilliseconds &&
        drift < toleratedMilliseconds
      if (known !== null && fresh) return known.skew
      const before = now()
      const { rows } = await pool.query<{ at: string }>(
        'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at',
      )
      const wall = now()
      const skew = Number(rows[0]?.at ?? wall) - (before + wall) / 2
      const rounded = Math.abs(skew) < toleratedMilliseconds ? 0 : Math.round(skew / 1000) * 1000
      known = { skew: rounded, wall, steady: performance.now() }
      return rounded
    },
  }
}
