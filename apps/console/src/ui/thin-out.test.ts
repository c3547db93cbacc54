import { describe, expect, test } from 'vitest'
import { thinOut } from './thin-out.ts'

describe('a line with more values than pixels', () => {
  test('shows every peak, wherever it lies', () => {
    for (let peak = 0; peak < 90; peak += 1) {
      const values = Array.from({ length: 90 }, (_, index) => (index === peak ? 50 : 1))
      const thin = thinOut(values, 20)
      expect(thin).toHaveLength(20)
      expect(thin.filter((value) => value === 50)).toHaveLength(1)
    }
  })
  test('is left as it is when there are few', () => {
    const values = [3, 1, 2]
    expect(thinOut(values, 20)).toBe(values)
  })
})
