import { expect, test } from 'vitest'
import { recoverySeconds } from './failover.ts'

test('recovery time runs from the click to the answer and is unknown without one', () => {
  expect(recoverySeconds({ startedAt: 10_000, answeredAt: 52_500 })).toBe(42.5)
  expect(recoverySeconds({ startedAt: 10_000, answeredAt: null })).toBeNull()
})

test('a clock that was set back makes no negative recovery time', () => {
  expect(recoverySeconds({ startedAt: 52_500, answeredAt: 10_000 })).toBe(0)
})
