import type { WallActivity } from '@understudy/contract/wall'
import { describe, expect, it } from 'vitest'
import { incidentLists } from './incident-lists.ts'

const activity = (itemId: string, change: Partial<WallActivity> = {}): WallActivity =>
  ({
    itemId,
    name: itemId,
    state: 'pending',
    asks: null,
    predicted: null,
    startedAt: null,
    endedAt: null,
    ...change,
  }) as WallActivity
const running = (...activities: WallActivity[]) => ({ state: 'running' as const, activities })
const asks = { kind: 'manual', role: 'owner' } as const

describe('what a room has to know of a run', () => {
  it('names what waits for whom apart from what works by itself', () => {
    const lists = incidentLists(
      running(
        activity('manual', { state: 'running', asks, startedAt: '2026-03-01T02:00:00Z' }),
        activity('boot', { state: 'running' }),
        activity('broken', { state: 'failed' }),
        activity('undecided', { state: 'failed', asks: { ...asks, kind: 'failed' } }),
      ),
      () => 7,
    )
    expect(lists.waiting.map(({ name, who, holdsUp }) => [name, who, holdsUp])).toEqual([
      ['manual', 'owner', 7],
      ['undecided', 'owner', 7],
    ])
    expect(lists.running.map(({ itemId }) => itemId)).toEqual(['boot'])
    expect(lists.failed.map(({ itemId }) => itemId)).toEqual(['broken'])
  })
  it('is never longer than can be read, says how much it leaves out, and keeps what is critical', () => {
    const many = Array.from({ length: 200 }, (_, index) => activity(`boot ${index}`, { state: 'running' }))
    const critical = { startSeconds: 0, endSeconds: 1, slackSeconds: 0, critical: true }
    const lists = incidentLists(
      running(...many, activity('slowest', { state: 'running', predicted: critical })),
      () => 0,
    )
    expect(lists.running.length).toBeLessThan(10)
    expect(lists.running[0]?.itemId).toBe('slowest')
    expect(lists.hidden.running).toBe(201 - lists.running.length)
  })
  it('shows what comes next in the order of time', () => {
    const at = (startSeconds: number) => ({ startSeconds, endSeconds: 99, slackSeconds: 0, critical: false })
    const run = running(activity('later', { predicted: at(9) }), activity('soon', { predicted: at(1) }))
    expect(incidentLists(run, () => 0).next.map(({ itemId }) => itemId)).toEqual(['soon', 'later'])
  })
  it.each(['cancelling', 'cancelled', 'failed'] as const)(
    'shows nothing to come of a run that is %s: it begins nothing more',
    (state) => {
      const run = { ...running(activity('left'), activity('boot', { state: 'running' })), state }
      const lists = incidentLists(run, () => 0)
      expect([lists.next.length, lists.running.length]).toEqual([0, 1])
    },
  )
})
