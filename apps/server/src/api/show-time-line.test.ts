import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { expect, test } from 'vitest'
import { showTimeLine } from './show-time-line.ts'

const history = (count: number): readonly RecoveryPoint[] =>
  Array.from({ length: count }, (_, index) => ({
    id: String(index) as PointId,
    instant: index * 5000,
    sealedAt: index * 5000,
    consistency: 'crash',
    consistencyNote: null,
    checkpoint: null,
    cycle: 'delta',
    disks: [],
    changedBytes: 0,
    storedBytes: 0,
    annotations: {},
    heldBy: [],
  }))

const machines = (count: number, points: readonly RecoveryPoint[]) =>
  Array.from({ length: count }, (_, index) => ({
    itemId: `m-${index}` as ItemId,
    name: `m-${index}`,
    points,
    why: null,
  }))

test('a plan of a hundred machines with long histories is one answer that a browser can draw, and says what it leaves out', () => {
  const shown = showTimeLine(machines(100, history(2000)))
  const points = shown.machines.flatMap((machine) => machine.points)
  expect(points.length).toBeLessThanOrEqual(21_000)
  for (const { points: own, left } of shown.machines) expect(own.length + left).toBe(2000)
  expect(shown.latestProcessed).toBe(new Date(1999 * 5000).toISOString())
})

test('a machine whose points cannot be read says why, and the common instants are not known', () => {
  const away = { itemId: 'm' as ItemId, name: 'away', points: null, why: 'The store is away' }
  expect(showTimeLine([...machines(1, history(3)), away])).toMatchObject({
    machines: [{ problem: null }, { problem: 'The store is away', points: [] }],
    earliestCommon: null,
    latestProcessed: null,
  })
})
