import { expect, test } from 'vitest'
import { recoverySeconds, unattendedSeconds } from './failover.ts'

test('recovery time runs from the click to the answer and is unknown without one', () => {
  expect(recoverySeconds({ startedAt: 10_000, answeredAt: 52_500 })).toBe(42.5)
  expect(recoverySeconds({ startedAt: 10_000, answeredAt: null })).toBeNull()
})

test('a clock that was set back makes no negative recovery time', () => {
  expect(recoverySeconds({ startedAt: 52_500, answeredAt: 10_000 })).toBe(0)
})

test('the forecast leaves out what the job waited for a person, and is never below zero', () => {
  const run = { startedAt: 10_000, answeredAt: 52_500, waitedSeconds: 40 }
  expect(unattendedSeconds(run)).toBe(2.5)
  expect(unattendedSeconds({ ...run, waitedSeconds: 60 })).toBe(0)
  expect(unattendedSeconds({ ...run, answeredAt: null })).toBeNull()
})
