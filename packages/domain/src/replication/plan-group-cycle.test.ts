import { describe, expect, test } from 'vitest'
import { planGroupCycle } from './plan-group-cycle.ts'

const member = (name: string, change: object = {}) => ({
  name,
  inStep: true,
  busySince: null as number | null,
  dueAt: 100_000,
  ...change,
})
const plan = (...members: readonly ReturnType<typeof member>[]) => {
  const { dueAt, together } = planGroupCycle({ members, intervalSeconds: 5, lagTargetSeconds: 60 })
  return { dueAt, names: together.map(({ name }) => name) }
}

describe('planGroupCycle', () => {
  test('opens all that are in step when the first of them is due', () => {
    expect(plan(member('a', { dueAt: 103_000 }), member('b'))).toEqual({ dueAt: 100_000, names: ['a', 'b'] })
  })
  test('waits for nobody who seeds, resynchronises or is in trouble', () => {
    const away = member('b', { inStep: false, dueAt: 50_000, busySince: 40_000 })
    expect(plan(member('a'), away)).toEqual({ dueAt: 100_000, names: ['a'] })
  })
  test('waits for one that still copies, but not longer than half of the lag target', () => {
    const busy = member('b', { busySince: 90_000 })
    expect(plan(member('a'), busy)).toEqual({ dueAt: 120_000, names: ['a'] })
    expect(plan(member('a'), member('b', { busySince: 1_000 })).dueAt).toBe(100_000)
  })
  test('has nothing to open while all of them copy', () => {
    expect(plan(member('a', { busySince: 1 }))).toEqual({ dueAt: Number.POSITIVE_INFINITY, names: [] })
    expect(plan()).toEqual({ dueAt: Number.POSITIVE_INFINITY, names: [] })
  })
})
