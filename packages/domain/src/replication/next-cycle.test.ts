import { describe, expect, test } from 'vitest'
import { chooseNextCycle, nextCycleAt, retryDelaySeconds } from './next-cycle.ts'

describe('nextCycleAt', () => {
  test('cycles keep their beat from start to start', () => {
    expect(nextCycleAt({ startedAt: 1000, endedAt: 2500, intervalSeconds: 5 })).toBe(6000)
  })

  test('a cycle longer than its interval is followed at once, without making up for missed beats', () => {
    expect(nextCycleAt({ startedAt: 1000, endedAt: 21_000, intervalSeconds: 5 })).toBe(21_000)
  })
})

test('outages are retried after 1, 2, 4, 8, 10, 10 ... minutes', () => {
  const delays = [60, 120, 240, 480, 600]
  expect([1, 2, 3, 4, 5, 6, 100].map((failures) => retryDelaySeconds(failures, delays))).toEqual([
    60, 120, 240, 480, 600, 600, 600,
  ])
})

describe('chooseNextCycle', () => {
  const low = { name: 'low', dueAt: 0, priority: 1, intervalSeconds: 5 }
  const high = { name: 'high', dueAt: 9_000, priority: 9, intervalSeconds: 5 }

  test('nothing is chosen before it is due', () => {
    expect(chooseNextCycle([high], 8_999)).toBeNull()
    expect(chooseNextCycle([high], 9_000)).toBe(high)
  })

  test('the higher priority goes first', () => {
    expect(chooseNextCycle([low, high], 9_000)).toBe(high)
  })

  test('a low priority that has waited for long enough goes before a high one, so nobody starves', () => {
    const now = 60_000
    expect(chooseNextCycle([low, { ...high, dueAt: now }], now)).toBe(low)
  })
})
