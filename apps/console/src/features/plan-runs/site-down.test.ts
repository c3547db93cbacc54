import { describe, expect, it } from 'vitest'
import {
  missingOf,
  progressOf,
  startTicks,
  statusOfSitePlan,
  tickedSharers,
  uncoveredWords,
} from './site-down.ts'

const plan = {
  planId: 'p',
  name: 'Shop',
  priority: 5,
  machinesHere: 1,
  machinesElsewhere: [],
  blockers: [],
  asked: [],
  keptSecrets: [],
  sharedWith: [],
  predictedSeconds: null,
  worstLagSeconds: null,
  activeRun: null,
}
const run = {
  id: 'r',
  planId: 'p',
  planName: 'Shop',
  version: 1,
  kind: 'unplanned',
  followsUp: null,
  direction: 'forward',
  state: 'running',
  startedBy: 'olga',
  startedAt: '2026-03-01T00:00:00.000Z',
  endedAt: null,
  note: null,
  doneItems: 1,
  totalItems: 2,
  waitingForPeople: 0,
  evidence: null,
} as const

describe('a site that is down', () => {
  it('has every plan ticked that can be begun, but none that drags along what runs elsewhere', () => {
    const plans = [
      plan,
      { ...plan, planId: 'blocked', blockers: ['No point'] },
      { ...plan, planId: 'dragging', machinesElsewhere: ['db'] },
      { ...plan, planId: 'busy', activeRun: { ...run } },
    ]
    expect(startTicks(plans)).toEqual(['p'])
  })
  it('says which of the ticked plans have machines of it too', () => {
    const shares = ['first', 'other'].map((planId) => ({ planId, name: planId, machines: ['db'] }))
    expect(tickedSharers({ sharedWith: shares }, ['first', 'p']).map(({ planId }) => planId)).toEqual([
      'first',
    ])
  })
  it('says of a plan what it asks for and has no value yet', () => {
    const none: string[] = []
    const ask = { description: '', type: 'text', choices: none, default: null, asked: true } as const
    const asked = [
      { ...ask, name: 'ticket' },
      { ...ask, name: 'zone', default: 'example.com' },
      { ...ask, name: 'key', type: 'secret' as const },
    ]
    const missing = (values: Record<string, string>, keptSecrets: string[] = []) =>
      missingOf({ asked, keptSecrets }, { values })
    expect(missing({})).toEqual(['ticket', 'key'])
    expect(missing({ ticket: 'x' }, ['key'])).toEqual([])
  })
  it('says plainly what no plan brings back', () => {
    expect(uncoveredWords({ uncovered: [], unprotected: 0 })).toEqual([])
    const uncovered = Array.from({ length: 14 }, (_, index) => ({
      protectionId: `${index}`,
      name: `m${index}`,
    }))
    const [first, second] = uncoveredWords({ uncovered, unprotected: 3 })
    expect(first).toContain('m0, m1')
    expect(first).toContain('and 2 more')
    expect(second).toContain('3 machines')
  })
  it('counts what is up, what is in trouble and what waits, without what was left out', () => {
    expect(
      progressOf([
        { state: 'begun', run: { ...run, state: 'succeeded' } },
        { state: 'begun', run: { ...run, waitingForPeople: 1 } },
        { state: 'begun', run: { ...run, state: 'failed', waitingForPeople: 1 } },
        { state: 'refused', run: null },
        { state: 'waiting', run: null },
        { state: 'left-out', run: null },
      ]),
    ).toEqual({ up: 1, total: 5, troubled: 2, waiting: 2 })
  })
  it('tells a plan that waits for people from one that works', () => {
    expect(statusOfSitePlan({ state: 'begun', run: { ...run, waitingForPeople: 1 } }).words).toBe(
      'Waiting for you',
    )
    expect(statusOfSitePlan({ state: 'begun', run: { ...run } }).words).toBe('Running')
    expect(statusOfSitePlan({ state: 'begun', run: null }).words).toBe('Beginning')
  })
})
