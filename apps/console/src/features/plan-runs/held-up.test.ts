import type { PlanRun } from '@understudy/contract/recovery-plan'
import { describe, expect, it } from 'vitest'
import { heldUpBy } from './held-up.ts'

const item = (id: string, needs: readonly string[] = []) => ({ id, needs, whenItFails: 'stop' })
const step = (id: string) => ({
  ...item(id),
  name: id,
  kinds: [],
  directions: [],
  action: { kind: 'wait', seconds: 1 },
})
const machine = (id: string, needs: readonly string[] = []) => ({ ...item(id, needs), protectionId: id })
const group = (id: string, start: 'in-order' | 'at-once', parts: object) => ({
  id,
  name: id,
  start,
  before: [],
  machines: [],
  after: [],
  ...parts,
})
const run = (done: readonly string[] = []): Pick<PlanRun, 'plan' | 'activities'> => {
  const groups = [
    group('first', 'in-order', {
      before: [step('b1'), step('b2')],
      machines: [machine('m1'), machine('m2')],
      after: [step('a1')],
    }),
    group('beside', 'at-once', { machines: [machine('m3'), machine('m4', ['m1'])] }),
    group('last', 'in-order', { machines: [machine('m5')] }),
  ]
  const ids = ['b1', 'b2', 'm1', 'm2', 'a1', 'm3', 'm4', 'm5']
  return {
    plan: { groups } as unknown as PlanRun['plan'],
    activities: ids.map((itemId) => ({
      itemId,
      state: done.includes(itemId) ? 'succeeded' : 'pending',
    })) as PlanRun['activities'],
  }
}

describe('what waits for whom', () => {
  it('is what comes after it in its group, later groups in order, and what needs it', () => {
    expect(heldUpBy(run(), 'b2')).toEqual(['m1', 'm2', 'a1', 'm4', 'm5'])
    expect(heldUpBy(run(), 'm1')).toEqual(['a1', 'm4', 'm5'])
  })
  it('is not what starts at once, nor machines beside it', () => {
    expect(heldUpBy(run(), 'm2')).toEqual(['a1', 'm5'])
    expect(heldUpBy(run(), 'm3')).toEqual(['m5'])
  })
  it('is nothing that has begun already', () => {
    expect(heldUpBy(run(['a1', 'm5']), 'm1')).toEqual(['m4'])
  })
})
