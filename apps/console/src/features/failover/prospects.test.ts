import type { Run } from '@understudy/contract/protection'
import { describe, expect, test } from 'vitest'
import { prospectsOf } from './prospects.ts'

const failover: Run = {
  id: 'run',
  protectionId: 'p',
  kind: 'unplanned',
  state: 'failedOver',
  over: false,
  targetSiteId: 'hillside',
  pointId: 'point',
  pointInstant: '2026-03-01T11:58:00Z',
  addresses: [],
  hydrated: 1,
  failure: null,
  hasScreenshot: false,
  startedAt: '2026-03-01T12:00:00Z',
  answeredAt: null,
  endedAt: null,
  recoverySeconds: null,
  waitedSeconds: 0,
  commitDeadline: null,
}
const facts: Parameters<typeof prospectsOf>[1] = {
  protection: {
    source: { id: 'harbour', name: 'Harbour', platform: 'kvm', emulated: false },
    target: { id: 'hillside', name: 'Hillside', platform: 'kvm', emulated: false, runsMachines: true },
    failover,
    lastRecoverySeconds: 41,
    pointCount: 64,
  },
  pointInstant: '2026-03-01T11:55:00Z',
  now: Date.parse('2026-03-01T12:10:00Z'),
}
const said = (action: Parameters<typeof prospectsOf>[0], more: Partial<typeof facts> = {}) =>
  Object.fromEntries(prospectsOf(action, { ...facts, ...more }).map(({ label, value }) => [label, value]))

describe('what is said before a step after a failover', () => {
  test('another point loses all that was written since that point', () => {
    expect(said('change-point')).toMatchObject({ 'Data loss': '15 min', 'Answers after about': '41 s' })
  })
  test('a roll back loses what was written since the failover, whatever point is selected', () => {
    expect(said('roll-back')).toMatchObject({ 'Data loss': '10 min', 'Runs then at': 'Harbour' })
  })
  test('a commit loses nothing and leaves the machine unprotected', () => {
    expect(said('commit')).toMatchObject({
      'Data loss': 'none',
      Protected: 'no',
      'Runs for good at': 'Hillside',
    })
  })
  test('reprotect names the new direction', () => {
    expect(said('reprotect')).toMatchObject({ 'Replicates then': 'Hillside → Harbour' })
  })
  test('reprotect says that the recovery points of now are deleted', () => {
    expect(said('reprotect')).toMatchObject({ 'Recovery points of now': '64 are deleted' })
    const [points] = prospectsOf('reprotect', facts).filter(({ isLoss }) => isLoss)
    expect(points?.note).toContain('the former replica at Hillside')
  })
  test('what is not known is not guessed', () => {
    const protection = { ...facts.protection, failover: null, lastRecoverySeconds: null }
    expect(said('change-point', { protection, pointInstant: null })).toEqual({
      'Data loss': 'not known',
      'Answers after about': 'not measured',
      'Runs now from': 'not known',
    })
  })
  test('what the server foresees is left to it', () => {
    expect(prospectsOf('unplanned-failover', facts)).toEqual([])
  })
})
