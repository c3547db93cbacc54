import type { PlanActivity } from '@understudy/contract/recovery-plan'
import { describe, expect, it } from 'vitest'
import { layoutGantt, sizesToFit, ticksOf } from './gantt-layout.ts'

const startedAt = Date.parse('2026-03-01T02:00:00Z')
const at = (seconds: number): string => new Date(startedAt + seconds * 1000).toISOString()
const activity = (itemId: string, change: Partial<PlanActivity> = {}): PlanActivity => ({
  itemId,
  name: itemId,
  groupId: 'a',
  part: 'machines',
  kind: 'machine',
  state: 'pending',
  attempt: 0,
  jobId: null,
  protectionId: null,
  runId: null,
  addresses: [],
  pointInstant: null,
  hasScreenshot: false,
  startedAt: null,
  endedAt: null,
  deadline: null,
  note: null,
  failure: null,
  output: null,
  answer: null,
  steeredBy: null,
  asks: null,
  predicted: { startSeconds: 10, endSeconds: 40, slackSeconds: 0, critical: true },
  ...change,
})
const groups = [
  { id: 'a', name: 'First' },
  { id: 'b', name: 'Second' },
  { id: 'none', name: 'Without anything' },
]
const sizes = { item: 20, band: 30 }
const layout = (activities: readonly PlanActivity[], seconds = 25) =>
  layoutGantt({ groups, activities, startedAt, until: startedAt + seconds * 1000 }, sizes)

describe('the Gantt chart', () => {
  it('puts items below the band of their group, and leaves groups without items out', () => {
    const { rows, height } = layout([activity('one'), activity('two'), activity('three', { groupId: 'b' })])
    expect(rows.map((row) => [row.kind, row.top])).toEqual([
      ['band', 0],
      ['item', 30],
      ['item', 50],
      ['band', 70],
      ['item', 100],
    ])
    expect(height).toBe(120)
  })
  it('draws what runs up to now and what has ended up to its end', () => {
    const { rows } = layout([
      activity('over', { state: 'succeeded', startedAt: at(2), endedAt: at(12) }),
      activity('going', { state: 'running', startedAt: at(12) }),
    ])
    const items = rows.filter((row) => row.kind === 'item')
    expect(items.map(({ actual }) => actual)).toEqual([
      { fromSeconds: 2, toSeconds: 12 },
      { fromSeconds: 12, toSeconds: 25 },
    ])
    expect(items.map(({ predicted }) => predicted === null)).toEqual([true, false])
  })
  it('expects nothing of what is left out, and never counts it', () => {
    const { rows, criticalPath } = layout([activity('out', { state: 'left-out' }), activity('in')])
    expect(rows[0]).toMatchObject({ kind: 'band', done: 0, total: 1 })
    expect(rows[1]).toMatchObject({ predicted: null, actual: null, critical: false })
    expect(criticalPath.map(({ activity: { itemId } }) => itemId)).toEqual(['in'])
  })
  it('never draws a bar that ends before it begins, whatever the clocks say', () => {
    const { rows } = layout([activity('early', { state: 'running', startedAt: at(30) })], 25)
    expect(rows[1]).toMatchObject({ actual: { fromSeconds: 30, toSeconds: 30 } })
  })
  it('has an axis that reaches beyond everything on it', () => {
    expect(layout([activity('one')]).endSeconds).toBeGreaterThan(40)
    expect(layout([activity('one')], 90).endSeconds).toBeGreaterThan(90)
  })
})

describe('the time axis', () => {
  it('has round marks that do not run into each other', () => {
    expect(ticksOf(60, 400, 80)).toEqual([0, 15, 30, 45, 60])
    for (const [end, width] of [
      [7, 300],
      [4000, 1200],
      [900_000, 500],
    ] as const) {
      const [first = 0, second = end] = ticksOf(end, width, 80)
      expect(((second - first) / end) * width).toBeGreaterThanOrEqual(80)
    }
    expect(ticksOf(60, 0, 80)).toEqual([])
  })
})

describe('rows that fit', () => {
  it('are as high as is pleasant when there is room, and lower when there is not', () => {
    expect(sizesToFit({ items: 5, bands: 2 }, 900, sizes)).toEqual(sizes)
    const low = sizesToFit({ items: 200, bands: 8 }, 900, sizes)
    expect(200 * low.item + 8 * low.band).toBeLessThanOrEqual(900)
  })
})
