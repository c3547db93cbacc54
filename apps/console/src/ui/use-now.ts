import { useSyncExternalStore } from 'react'

type Ticker = {
  readonly subscribe: (listener: () => void) => () => void
  readonly now: () => number
}

// One timer per period for the whole page, not one per row.
const tickers = new Map<number, Ticker>()

/** The same for every caller with this period: React subscribes anew, and the timer begins anew, whenever it is not. */
export function tickerOf(period: number): Ticker {
  const known = tickers.get(period)
  if (known) return known
  const made = createTicker(period)
  tickers.set(period, made)
  return made
}

function createTicker(period: number): Ticker {
  const listeners = new Set<() => void>()
  let now = Date.now()
  let timer: ReturnType<typeof setInterval> | null = null
  const tick = (): void => {
    now = Date.now()
    for (const each of listeners) each()
  }
  return {
    now: () => now,
    subscribe(listener) {
      listeners.add(listener)
      if (timer === null) {
        // Nobody has looked for a while: it may be far behind.
        now = Date.now()
        timer = setInterval(tick, period)
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0 || timer === null) return
        clearInterval(timer)
        timer = null
      }
    },
  }
}

/** The time in milliseconds, advancing every `period` milliseconds. */
export function useNow(period: number): number {
  const { subscribe, now } = tickerOf(period)
  return useSyncExternalStore(subscribe, now)
}
