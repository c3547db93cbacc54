// How often the account asked for fewer requests in the last hour: what an operator looks at when lag grows.
import type { Clock, Instant } from '@understudy/base/instant'
import type { StoreStrain } from '@understudy/engine/ports/replica-store'

const MINUTE = 60_000
const MINUTES = 60

const WHAT = 'the storage account asks for fewer requests'
/** Not a premium account: its page blobs cannot keep recovery points. */
const REMEDY =
  'Lengthen the interval of machines that can wait, or spread machines over several storage accounts: register another one as a site of its own. Azure raises the limit of a standard account on request.'

export type SlowedDown = { note(): void; strain(): StoreStrain }

/** Counts by the minute, so that an account that throttles for days costs no memory. */
export function slowedDown(clock: Clock): SlowedDown {
  const counts = new Map<number, number>()
  let times = 0
  let lastAt: Instant | null = null
  const forgetOld = (): void => {
    const oldest = Math.floor(clock.now() / MINUTE) - MINUTES
    for (const minute of counts.keys()) if (minute <= oldest) counts.delete(minute)
  }
  return {
    note() {
      lastAt = clock.now()
      times += 1
      const minute = Math.floor(lastAt / MINUTE)
      counts.set(minute, (counts.get(minute) ?? 0) + 1)
      forgetOld()
    },
    strain() {
      forgetOld()
      const timesLastHour = [...counts.values()].reduce((sum, count) => sum + count, 0)
      return { timesLastHour, times, lastAt, what: WHAT, remedy: REMEDY }
    },
  }
}
