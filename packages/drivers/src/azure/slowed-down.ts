// How often the account asked for fewer requests in the last hour: what an operator looks at when lag grows.
import type { Clock, Instant } from '@understudy/base/instant'
import type { StoreStrain } from '@understudy/engine/ports/replica-store'

const MINUTE = 60_000
const MINUTES = 60

export type SlowedDown = { note(): void; strain(): StoreStrain }

/** Counts by the minute, so that an account that throttles for days costs no memory. */
export function slowedDown(clock: Clock): SlowedDown {
  const counts = new Map<number, number>()
  let lastAt: Instant | null = null
  const forgetOld = (): void => {
    const oldest = Math.floor(clock.now() / MINUTE) - MINUTES
    for (const minute of counts.keys()) if (minute <= oldest) counts.delete(minute)
  }
  return {
    note() {
      lastAt = clock.now()
      const minute = Math.floor(lastAt / MINUTE)
      counts.set(minute, (counts.get(minute) ?? 0) + 1)
      forgetOld()
    },
    strain() {
      forgetOld()
      return { timesLastHour: [...counts.values()].reduce((sum, count) => sum + count, 0), lastAt }
    },
  }
}
