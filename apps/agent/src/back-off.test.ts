import { expect, test } from 'vitest'
import { backOff } from './back-off.ts'

test('an agent comes back soon at first, then less and less often, and never more than half a minute later', () => {
  const pauses = [0, 1, 2, 3, 10, 10_000].map((failures) => backOff(failures, 1))
  expect(pauses).toEqual([500, 1000, 2000, 4000, 30_000, 30_000])
  expect(backOff(3, 0)).toBe(2000)
})
