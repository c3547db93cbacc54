import { expect, it } from 'vitest'
import { commonLine } from './common-line.ts'

const point = (id: string, second: number) => ({
  id,
  instant: new Date(1_800_000_000_000 + second * 1000).toISOString(),
  consistency: 'crash' as const,
  verifiedAt: null,
  suspicious: null,
  pinned: false,
  held: false,
})

it('puts the points of all machines in the order of time, and still knows whose each is', () => {
  const { points, ownerOf } = commonLine([
    { itemId: 'm-db', name: 'db', points: [point('1', 0), point('2', 10)] },
    { itemId: 'm-web', name: 'web', points: [point('1', 5), point('2', 15)] },
  ])
  expect(points.map(({ point: { id } }) => ownerOf(id))).toEqual(['db', 'web', 'db', 'web'])
  expect(new Set(points.map(({ point: { id } }) => id)).size).toBe(4)
})
