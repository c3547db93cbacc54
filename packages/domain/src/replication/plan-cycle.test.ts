import { describe, expect, test } from 'vitest'
import type { PointId, RecoveryPoint } from '../recovery-points/recovery-point.ts'
import { planCycle } from './plan-cycle.ts'

const newest: RecoveryPoint = {
  id: '000000000007' as PointId,
  instant: 1,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: 'mark-7',
  cycle: 'delta',
  sealedAt: 2,
  disks: [],
  changedBytes: 0,
  storedBytes: 0,
  annotations: {},
  heldBy: [],
}

describe('planCycle', () => {
  test('an empty replica is seeded, whatever else is known', () => {
    const resyncReason = { code: 'replica/damaged', message: 'y' }
    for (const interruptedAt of [null, 'mark-3'])
      expect(planCycle({ newest: null, interruptedAt, resyncReason })).toMatchObject({
        kind: 'seed',
        since: null,
      })
  })

  test('a first copy that was interrupted goes on from its mark, and one that became a point is none', () => {
    const facts = { interruptedAt: 'mark-3', resyncReason: null }
    expect(planCycle({ ...facts, newest: null })).toMatchObject({ kind: 'seed', since: 'mark-3' })
    expect(planCycle({ ...facts, newest })).toMatchObject({ kind: 'delta', since: 'mark-7' })
    const resyncReason = { code: 'cycle/resync-asked', message: 'Asked for' }
    expect(planCycle({ ...facts, newest: null, resyncReason })).toMatchObject({
      kind: 'seed',
      since: 'mark-3',
    })
  })

  test('a replica whose newest point names a mark gets a delta since exactly that mark', () => {
    expect(planCycle({ newest, interruptedAt: null, resyncReason: null })).toEqual({
      kind: 'delta',
      base: newest.id,
      since: 'mark-7',
    })
  })

  test('a point without a mark is never a base for a delta: a missing extent would be silent data loss', () => {
    const plan = planCycle({
      newest: { ...newest, checkpoint: null },
      interruptedAt: null,
      resyncReason: null,
    })
    expect(plan).toMatchObject({ kind: 'resync', base: newest.id, reason: { code: 'cycle/no-checkpoint' } })
  })

  test('a resync that was asked for happens although a delta were possible, and carries its reason', () => {
    const resyncReason = { code: 'operator', message: 'Asked for' }
    expect(planCycle({ newest, interruptedAt: null, resyncReason })).toEqual({
      kind: 'resync',
      base: newest.id,
      reason: resyncReason,
    })
  })
})
