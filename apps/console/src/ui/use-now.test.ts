import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { tickerOf } from './use-now.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => void vi.useRealTimers())

test('a view that is drawn more often than the time advances does not hold the time up', () => {
  // React subscribes anew with every drawing when the function is another one.
  expect(tickerOf(5000).subscribe).toBe(tickerOf(5000).subscribe)
  expect(tickerOf(5000).now).toBe(tickerOf(5000).now)
})

test('the time goes on while one reader is left, and is not behind for one who comes after a pause', () => {
  const { subscribe, now } = tickerOf(1000)
  const heard = vi.fn()
  const leaveFirst = subscribe(() => {})
  const leaveSecond = subscribe(heard)
  leaveFirst()
  vi.advanceTimersByTime(3000)
  expect(heard).toHaveBeenCalledTimes(3)
  expect(now()).toBe(1_003_000)
  leaveSecond()
  vi.advanceTimersByTime(60_000)
  const leaveThird = subscribe(heard)
  expect(now()).toBe(1_063_000)
  leaveThird()
})
