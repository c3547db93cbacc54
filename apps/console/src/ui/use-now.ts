import { useSyncExternalStore } from 'react'

// One timer per period for the whole page, not one per row.
type Ticker = {
  now: number
  readonly listeners: Set<() => void>
  timer: ReturnType<typeof setInterval> | null
}
const tickers = new Map<number, Ticker>()

function tickerOf(period: number): Ticker {
  const known = tickers.get(period)
  if (known) return known
  const made: Ticker = { now: Date.now(), listeners: new Set(), timer: null }
  tickers.set(period, made)
  return made
}

/** The time in milliseconds, advancing every `period` milliseconds. */
export function useNow(period: number): number {
  const ticker = tickerOf(period)
  return useSyncExternalStore(
    (listener) => {
      ticker.listeners.add(listener)
      ticker.timer ??= setInterval(() => {
        ticker.now = Date.now()
        for (const each of ticker.listeners) each()
      }, period)
      return () => {
        ticker.listeners.delete(listener)
        if (ticker.listeners.size === 0 && ticker.timer !== null) {
          clearInterval(ticker.timer)
          ticker.timer = null
        }
      }
    },
    () => ticker.now,
  )
}
