import { describe, expect, it } from 'vitest'
import { chooseLayout, chooseRun, cycleOf, type WallFacts } from './wall-rotation.ts'

const facts: WallFacts = { chosen: 'plans', cycleSeconds: null, now: 0, hasIncident: false, hasRun: false }

describe('what the wall shows', () => {
  it('stays with what the address says when it does not cycle', () => {
    expect([0, 60_000, 999_000].map((now) => chooseLayout({ ...facts, now }))).toEqual([
      'plans',
      'plans',
      'plans',
    ])
  })
  it('turns from one to the next, and shows runs only when there is one', () => {
    const shown = (hasRun: boolean) =>
      [0, 10, 20, 30, 40].map((seconds) =>
        chooseLayout({ ...facts, cycleSeconds: 10, hasRun, now: seconds * 1000 }),
      )
    expect(shown(false)).toEqual(['sites', 'machines', 'plans', 'sites', 'machines'])
    expect(shown(true)).toEqual(['sites', 'machines', 'plans', 'incident', 'sites'])
  })
  it('shows a failover whatever else was asked for', () => {
    expect(chooseLayout({ ...facts, hasIncident: true })).toBe('incident')
    expect(chooseLayout({ ...facts, hasIncident: true, cycleSeconds: 10, now: 5000 })).toBe('incident')
  })
  it('never turns quicker than can be read, and not at all for nonsense', () => {
    expect([30, 1, 0, -4, undefined].map(cycleOf)).toEqual([30, 5, null, null, null])
  })
})

describe('the run that the room looks at', () => {
  const now = Date.parse('2026-03-01T03:00:00Z')
  const run = (id: string, minutes: number, ended: number | null, waitingForPeople = 0) => ({
    id,
    startedAt: new Date(now - minutes * 60_000).toISOString(),
    endedAt: ended === null ? null : new Date(now - ended * 60_000).toISOString(),
    waitingForPeople,
  })
  it('is what goes on before what is over, and what waits before what does not', () => {
    expect(chooseRun([run('over', 5, 1), run('goes on', 9, null)], now)?.id).toBe('goes on')
    expect(chooseRun([run('newer', 1, null), run('waits', 9, null, 1)], now)?.id).toBe('waits')
    expect(chooseRun([run('older', 9, null), run('newer', 1, null)], now)?.id).toBe('newer')
  })
  it('is one that has just ended for a while, then none', () => {
    expect(chooseRun([run('over', 9, 4)], now)?.id).toBe('over')
    expect(chooseRun([run('over', 9, 6)], now)).toBeNull()
  })
})
