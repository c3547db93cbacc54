import { expect, test } from 'vitest'
import { thinPoints } from './thin-points.ts'

const points = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    instant: index * 5000,
    consistency: 'crash' as const,
    annotations: index === 17 ? { pinned: true } : {},
  }))

test('a short history is shown whole', () => {
  expect(thinPoints(points(10), 10)).toHaveLength(10)
})

test('of a long one stay the oldest, the newest, what stands out, and points over the whole of it', () => {
  const all = points(10_000)
  const shown = thinPoints(all, 200)
  expect(shown.length).toBeLessThanOrEqual(204)
  expect(shown[0]).toBe(all[0])
  expect(shown.slice(-100)).toEqual(all.slice(-100))
  expect(shown).toContain(all[17])
  const gaps = shown.slice(1).map(({ instant }, index) => instant - (shown[index]?.instant ?? 0))
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1_010_000)
  expect(Math.min(...gaps)).toBeGreaterThan(0)
})
