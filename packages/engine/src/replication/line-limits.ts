// What the cycles of this process may take of the lines between sites.
import { type RateClock, type RateLimit, rateLimit } from '@understudy/block/with-rate-limit'
import type { Protection } from '@understudy/domain/protection/protection'
import { bytesPerSecondAt } from '@understudy/domain/sites/bandwidth'
import type { EngineParts } from '../engine-parts.ts'

type Ends = Pick<Protection, 'sourceSiteId' | 'targetSiteId'>

export type LineLimits = {
  /** Brings them up to what is wanted now, also for cycles that are copying. At every look. */
  refresh(): Promise<void>
  /** Shared by all cycles between these sites, also by those that began before anything was limited. */
  of(ends: Ends): RateLimit
}

export function openLineLimits(parts: Pick<EngineParts, 'stores' | 'clock' | 'sleep'>): LineLimits {
  const limits = new Map<string, RateLimit>()
  let wantedRates: ReadonlyMap<string, number | null> = new Map()
  return {
    async refresh() {
      const wanted = await parts.stores.bandwidth.list()
      const share = wanted.length === 0 ? 1 : 1 / (await countMovers(parts))
      const now = parts.clock.now()
      const rates = new Map(
        wanted.map((limit) => [keyOf(limit), bytesPerSecondAt(limit.calendar, now)] as const),
      )
      wantedRates = new Map([...rates].map(([key, rate]) => [key, rate === null ? null : rate * share]))
      for (const [key, limit] of limits) {
        const rate = wantedRates.get(key) ?? null
        if (limit.bytesPerSecond !== rate) limit.change(rate)
      }
    },
    of(ends) {
      const key = keyOf(ends)
      const limit = limits.get(key) ?? rateLimit(wantedRates.get(key) ?? null, rateClockOf(parts))
      limits.set(key, limit)
      return limit
    },
  }
}

/** Every process with work has an equal part: none knows what the others have to copy. */
async function countMovers({ stores, clock }: Pick<EngineParts, 'stores' | 'clock'>): Promise<number> {
  const now = clock.now()
  const working = (await stores.leases.movers()).filter(
    ({ expiresAt, protections }) => expiresAt > now && protections > 0,
  )
  return Math.max(1, working.length)
}

export const rateClockOf = ({ clock, sleep }: Pick<EngineParts, 'clock' | 'sleep'>): RateClock => ({
  nowMs: () => clock.now(),
  pause: sleep,
})

const keyOf = ({ sourceSiteId, targetSiteId }: Ends): string => `${sourceSiteId} ${targetSiteId}`
