import { expect, test } from 'vitest'
import { statusOfRun, wordsOfRecovery, wordsOfRunKind } from './run-words.ts'

const harbour = { id: 'harbour', name: 'Harbour', platform: 'kvm', emulated: false, runsMachines: true }
const hillside = { id: 'hillside', name: 'Hillside', platform: 'kvm', emulated: false, runsMachines: true }
const forward = { direction: 'forward', source: harbour, target: hillside } as const
const reverse = { direction: 'reverse', source: hillside, target: harbour } as const

test('a planned failover to where the machine came from is a fail back, before and after the direction turns again', () => {
  const home = { kind: 'planned', targetSiteId: 'harbour' } as const
  expect(wordsOfRunKind(home, reverse)).toBe('Fail back')
  expect(wordsOfRunKind(home, forward)).toBe('Fail back')
  expect(wordsOfRunKind({ kind: 'planned', targetSiteId: 'hillside' }, forward)).toBe('Planned failover')
  expect(wordsOfRunKind({ kind: 'planned', targetSiteId: 'hillside' }, reverse)).toBe('Planned failover')
  expect(wordsOfRunKind({ kind: 'unplanned', targetSiteId: 'harbour' }, reverse)).toBe('Unplanned failover')
})

test('a failover waits for a decision only once it is up, and for an answer while its job asks', () => {
  const answeredAt = '2026-01-01T00:00:00.000Z'
  const run = { kind: 'planned', state: 'failedOver', answeredAt, failure: null } as const
  expect(statusOfRun(run, 'failingOver', false)?.words).toBe('Under way')
  expect(statusOfRun(run, 'failingOver', true)?.words).toBe('Waiting for your answer')
  expect(statusOfRun(null, 'failingOver', true)?.words).toBe('Waiting for your answer')
  expect(statusOfRun(run, 'failedOver', false)?.words).toBe('Waits for your decision')
  const silent = { ...run, answeredAt: null }
  expect(statusOfRun(silent, 'failedOver', false)?.words).toBe('Waiting for the guest to answer')
  expect(statusOfRun({ ...silent, failure: 'no answer' }, 'failedOver', false)?.words).toBe(
    'Waits for your decision',
  )
  expect(statusOfRun(run, 'rollingBack', false)?.words).toBe('Rolling back')
})

test('a test has a state of its own, whatever its protection is doing', () => {
  expect(
    statusOfRun({ kind: 'test', state: 'running', answeredAt: null, failure: null }, 'failingOver', false)
      ?.words,
  ).toBe('Running')
})

test('what a job waited for a person is told apart from what the machine took', () => {
  expect(wordsOfRecovery({ recoverySeconds: 42, waitedSeconds: 0 })).toBe('answered 42 s after the click')
  expect(wordsOfRecovery({ recoverySeconds: 360, waitedSeconds: 300 })).toBe(
    'answered 6 min after the click, 5 min of it waiting for a person',
  )
  expect(wordsOfRecovery({ recoverySeconds: null, waitedSeconds: 300 })).toBe('no answer recorded')
})
