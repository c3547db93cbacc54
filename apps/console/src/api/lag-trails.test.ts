import { describe, expect, test } from 'vitest'
import { createLagTrails } from './lag-trails.ts'

const filled = (count: number) => {
  const trails = createLagTrails()
  for (let at = 1; at <= count; at += 1) trails.add({ protectionId: 'p', at, lagSeconds: at / 10 })
  return trails
}

describe('what is remembered of a lag', () => {
  test('is oldest first, and no lag stays no lag', () => {
    const trails = filled(2)
    trails.add({ protectionId: 'p', at: 3, lagSeconds: null })
    expect(trails.get('p')).toEqual([
      { at: 1, lagSeconds: 0.1 },
      { at: 2, lagSeconds: 0.2 },
      { at: 3, lagSeconds: null },
    ])
    expect(trails.get('another')).toEqual([])
  })
  test('is the same list until something is added: React draws nothing for nothing', () => {
    const trails = filled(3)
    const before = trails.get('p')
    expect(trails.get('p')).toBe(before)
    trails.add({ protectionId: 'another', at: 4, lagSeconds: 1 })
    expect(trails.get('p')).toBe(before)
    trails.add({ protectionId: 'p', at: 4, lagSeconds: 1 })
    expect(trails.get('p')).not.toBe(before)
  })
  test.each([89, 90, 91, 179, 180, 181, 1_000])(
    'after %d measurements it is the newest 90 at most',
    (count) => {
      const shown = filled(count).get('p')
      expect(shown.length).toBe(Math.min(90, count))
      expect(shown.at(-1)?.at).toBe(count)
      expect(shown[0]?.at).toBe(Math.max(1, count - 89))
    },
  )
})
