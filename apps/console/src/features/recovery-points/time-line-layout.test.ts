import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { describe, expect, test } from 'vitest'
import {
  densityOf,
  firstFrom,
  marksOf,
  nearestIndex,
  panWindow,
  shortestWindow,
  ticksOf,
  toTimed,
  wholeWindow,
  windowShowing,
  zoomWindow,
} from './time-line-layout.ts'

const start = Date.parse('2026-03-01T00:00:00Z')
const point = (seconds: number, part: Partial<RecoveryPoint> = {}): RecoveryPoint => ({
  id: `p${seconds}`,
  instant: new Date(start + seconds * 1000).toISOString(),
  sealedAt: new Date(start + seconds * 1000).toISOString(),
  consistency: 'crash',
  consistencyNote: null,
  cycle: 'delta',
  changedBytes: 0,
  storedBytes: 0,
  verifiedAt: null,
  suspicious: null,
  note: null,
  pinned: false,
  held: false,
  group: null,
  ...part,
})
const everyTen = toTimed(Array.from({ length: 100 }, (_, index) => point(index * 10)))
const bounds = { from: start, to: start + 1_000_000 }

describe('finding points', () => {
  test('points are sorted, whatever their order in the answer', () => {
    expect(toTimed([point(20), point(0), point(10)]).map(({ point: { id } }) => id)).toEqual([
      'p0',
      'p10',
      'p20',
    ])
  })
  test.each([
    [-5, 0],
    [0, 0],
    [4, 0],
    [6, 1],
    [15, 1],
    [5000, 99],
  ])('the nearest point to second %d is number %d', (seconds, index) => {
    expect(nearestIndex(everyTen, start + seconds * 1000)).toBe(index)
  })
  test('without points there is no nearest one', () => {
    expect(nearestIndex([], start)).toBe(-1)
  })
  test('the first from an instant includes the instant itself', () => {
    expect(firstFrom(everyTen, start + 10_000)).toBe(1)
    expect(firstFrom(everyTen, start + 10_001)).toBe(2)
  })
})

describe('windows', () => {
  test('zooming keeps the instant under the pointer in its place', () => {
    const anchor = start + 250_000
    const closer = zoomWindow(bounds, 0.5, anchor, bounds)
    expect(closer.to - closer.from).toBe(500_000)
    expect((anchor - closer.from) / 500_000).toBeCloseTo(0.25)
  })
  test('zooming ends at the whole line and at the shortest window', () => {
    expect(zoomWindow(bounds, 10, start, bounds)).toEqual(bounds)
    const closest = zoomWindow(bounds, 1e-9, start + 500_000, bounds)
    expect(closest.to - closest.from).toBe(shortestWindow)
  })
  test('panning stops at the ends and keeps its span', () => {
    const window = { from: start + 100_000, to: start + 200_000 }
    expect(panWindow(window, -500_000, bounds)).toEqual({ from: start, to: start + 100_000 })
    expect(panWindow(window, 5_000_000, bounds)).toEqual({ from: bounds.to - 100_000, to: bounds.to })
  })
  test('a point out of sight is brought to the middle; one in sight moves nothing', () => {
    const window = { from: start + 100_000, to: start + 200_000 }
    expect(windowShowing(window, start + 150_000, bounds)).toBe(window)
    expect(windowShowing(window, start + 600_000, bounds)).toEqual({
      from: start + 550_000,
      to: start + 650_000,
    })
  })
  test('the whole line holds the oldest point and now', () => {
    const now = start + 2_000_000
    const window = wholeWindow(everyTen, now)
    expect(window.from).toBeLessThan(start)
    expect(window.to).toBeGreaterThan(now)
  })
})

describe('drawing', () => {
  test('every point in the window is in exactly one column', () => {
    const density = densityOf(everyTen, { from: start, to: start + 495_000 }, 300, 3)
    expect(density.reduce((sum, count) => sum + count, 0)).toBe(50)
    expect(density.length).toBe(100)
  })
  test('marks closer than the gap become one that says how many', () => {
    const points = toTimed([
      point(0, { pinned: true }),
      point(1, { pinned: true }),
      point(500, { held: true }),
      point(600),
    ])
    const marks = marksOf(points, 'pinned', bounds, 1000, 8)
    expect(marks.map(({ count }) => count)).toEqual([2, 1])
    expect(marks[1]?.x).toBeCloseTo(500)
  })
  test('ticks are round in local time and as far apart as asked at least', () => {
    const window = { from: start, to: start + 86_400_000 }
    const { step, at } = ticksOf(window, 800, 100, -60)
    expect(step).toBe(10_800_000)
    for (const tick of at) expect((tick + 3_600_000) % step).toBe(0)
  })
  test('twenty thousand points become no more marks than the width has room for, and none is lost', () => {
    const consistency = (index: number) => (index % 2 === 0 ? 'application' : 'crash')
    const many = toTimed(
      Array.from({ length: 20_000 }, (_, index) => point(index * 5, { consistency: consistency(index) })),
    )
    const window = wholeWindow(many, start + 100_000_000)
    const columns = densityOf(many, window, 1200, 3)
    expect(columns).toHaveLength(400)
    expect(columns.reduce((sum, count) => sum + count, 0)).toBe(20_000)
    const marks = marksOf(many, 'application', window, 1200, 9)
    expect(marks.length).toBeLessThanOrEqual(1200 / 9 + 1)
    expect(marks.reduce((sum, { count }) => sum + count, 0)).toBe(10_000)
  })
})
