import type { Instant } from '@understudy/base/instant'
import { describe, expect, test } from 'vitest'
import type { Consistency, PointId, RecoveryPoint } from '../recovery-points/recovery-point.ts'
import type { ItemId } from './plan-ids.ts'
import {
  checkPlanPoints,
  choosePlanPoints,
  earliestCommon,
  fixPoint,
  latestProcessed,
  type MemberPoints,
} from './plan-points.ts'

const noon = 1_800_000_000_000
const at = (second: number): Instant => noon + second * 1000
const now = at(60)

const point = (second: number, consistency: Consistency = 'crash'): RecoveryPoint => ({
  id: String(second).padStart(12, '0') as PointId,
  instant: at(second),
  sealedAt: at(second + 1),
  consistency,
  consistencyNote: null,
  checkpoint: null,
  cycle: 'delta',
  disks: [],
  changedBytes: 0,
  storedBytes: 0,
  annotations: {},
  heldBy: [],
})

const member = (name: string, points: readonly RecoveryPoint[] | null): MemberPoints => ({
  itemId: `m-${name}` as ItemId,
  name,
  points,
  why: points === null ? 'The store does not answer' : null,
})

const db = member('db', [point(0), point(10, 'application'), point(20)])
const web = member('web', [point(3), point(8), point(13)])

const secondsOf = (members: readonly MemberPoints[], choice: Parameters<typeof choosePlanPoints>[1]) =>
  choosePlanPoints(members, choice).map(({ point: chosen, ageSeconds }) => [
    chosen === null ? null : (chosen.instant - noon) / 1000,
    ageSeconds,
  ])

describe('one point for all machines', () => {
  test('the latest that all have reached is the newest point of the machine farthest behind', () => {
    expect(latestProcessed([db, web])).toBe(at(13))
    expect(fixPoint({ kind: 'latest-processed' }, [db, web])).toEqual({
      kind: 'latest-processed',
      instant: at(13),
    })
    expect(secondsOf([db, web], { kind: 'latest-processed' })).toEqual([
      [10, 3],
      [13, 0],
    ])
  })

  test('at an instant each machine has its newest point that is not younger, and its age against the instant is told', () => {
    expect(secondsOf([db, web], { kind: 'at', instant: at(9) })).toEqual([
      [0, 9],
      [8, 1],
    ])
  })

  test('latest and latest application-consistent have no instant to be compared with', () => {
    expect(secondsOf([db, web], { kind: 'latest' })).toEqual([
      [20, null],
      [13, null],
    ])
    expect(secondsOf([db], { kind: 'latest-application-consistent' })).toEqual([[10, null]])
  })

  test('the machines that have no point at an instant are named, with the oldest that they have', () => {
    const found = checkPlanPoints([db, web], { kind: 'at', instant: at(2) }, now)
    expect(found).toMatchObject([
      { at: { kind: 'item', id: 'm-web' }, level: 'blocker', code: 'recovery-plan/no-point-then' },
    ])
    expect(found[0]?.message).toContain('"web"')
    expect(found[0]?.message).toContain(new Date(at(3)).toISOString())
    expect(checkPlanPoints([db, web], { kind: 'at', instant: at(3) }, now)).toEqual([])
    expect(earliestCommon([db, web])).toBe(at(3))
  })

  test('an instant that has not come yet is a mistake, unless a site whose clock is ahead has a point of it', () => {
    expect(checkPlanPoints([db, web], { kind: 'at', instant: at(61) }, now)).toMatchObject([
      { at: { kind: 'plan' }, level: 'blocker', code: 'recovery-plan/instant-ahead' },
    ])
    expect(checkPlanPoints([db, web], { kind: 'at', instant: at(60) }, now)).toEqual([])
    expect(checkPlanPoints([db, web], { kind: 'at', instant: at(20) }, at(15))).toEqual([])
  })

  test('a machine whose history begins after the newest point of another is named for the latest that all have reached', () => {
    const young = member('young', [point(50)])
    expect(checkPlanPoints([web, young], { kind: 'latest-processed' }, now)).toMatchObject([
      { at: { id: 'm-young' }, code: 'recovery-plan/no-point-then' },
    ])
  })

  test('a machine without an application-consistent point is named', () => {
    expect(checkPlanPoints([db, web], { kind: 'latest-application-consistent' }, now)).toMatchObject([
      { at: { id: 'm-web' }, code: 'recovery-plan/no-consistent-point' },
    ])
  })

  test('a machine whose points cannot be read is named with the reason, and one without any is left to others to tell', () => {
    const away = member('away', null)
    const fresh = member('fresh', [])
    for (const kind of ['latest-processed', 'latest-application-consistent'] as const) {
      const found = checkPlanPoints([away, fresh], { kind }, now)
      expect(found.map(({ code }) => code)).toEqual(['recovery-plan/points-unreadable'])
      expect(found[0]?.message).toContain('The store does not answer')
    }
    expect(fixPoint({ kind: 'latest-processed' }, [db, fresh])).toBeNull()
  })
})
