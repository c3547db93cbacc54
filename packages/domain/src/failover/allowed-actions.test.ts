import { expect, test } from 'vitest'
import type { MachineRef } from '../machines/machine.ts'
import { protectionLife } from '../protection/protection.ts'
import { type ActionFacts, allowedActions, type ProtectionAction } from './allowed-actions.ts'

const endOf = (state: ActionFacts['protection']['state'], busyWith: string | null = null) =>
  allowedActions({
    protection: { state, direction: 'forward', originalRef: null },
    hasPoint: true,
    test: null,
    seed: null,
    busyWith,
    waitsForAnswer: false,
    noTarget: null,
  }).find(({ action }) => action === 'end')

test('a protection can be ended in every state but when it has ended', () => {
  for (const state of protectionLife.states) expect(endOf(state)?.allowed, state).toBe(state !== 'gone')
})

test('an end that stopped early can be begun again, one that is at work cannot', () => {
  expect(endOf('ending')?.allowed).toBe(true)
  expect(endOf('ending', 'End protection')?.reason).toBe('It is already ending')
  expect(endOf('protected', 'Planned failover')?.allowed).toBe(true)
})

const reasonOf = (state: ActionFacts['protection']['state'], action: ProtectionAction) =>
  allowedActions({
    protection: { state, direction: 'reverse', originalRef: 'lab-db' as MachineRef },
    hasPoint: true,
    test: null,
    seed: null,
    busyWith: null,
    waitsForAnswer: false,
    noTarget: null,
  }).find((each) => each.action === action)?.reason

test.each([
  ['protected', 'commit', 'Only after a failover'],
  ['protected', 'roll-back', 'Only after a failover'],
  ['protected', 'change-point', 'Only after a failover'],
  ['protected', 'reprotect', 'Only after a committed failover'],
  ['protected', 'resume', 'Only while it is paused'],
  ['resyncing', 'resync', 'It is resynchronising already'],
  ['paused', 'pause', 'It is paused already'],
  ['paused', 'fail-back', 'Resume it first'],
  ['paused', 'replicate-now', 'Resume it first'],
  ['broken', 'replicate-now', 'Resynchronise it first'],
  ['broken', 'planned-failover', 'Resynchronise it first'],
  ['failedOver', 'reprotect', 'Only after a committed failover'],
  ['failedOver', 'planned-failover', 'Commit the failover or roll it back first'],
  ['committed', 'roll-back', 'The failover is committed'],
  ['committed', 'test-failover', 'Reprotect it first'],
] as const)('a protection that is %s refuses to %s because: %s', (state, action, reason) => {
  expect(reasonOf(state, action)).toBe(reason)
})

test('a first copy that waits for its target is tried again at once when somebody asks, though its job is at work', () => {
  const facts = {
    hasPoint: false,
    test: null,
    seed: null,
    busyWith: 'Protect',
    waitsForAnswer: false,
    noTarget: null,
  } as const
  const protection = { state: 'seeding', direction: 'forward', originalRef: null } as const
  const allowed = allowedActions({ ...facts, protection }).filter((each) => each.allowed)
  expect(allowed.map(({ action }) => action)).toEqual(['replicate-now', 'end'])
})

test('what is refused says what has to come first, never that a state stands in the way', () => {
  for (const state of protectionLife.states)
    for (const { allowed, reason, remedy } of allowedActions({
      protection: { state, direction: 'reverse', originalRef: 'lab-db' as MachineRef },
      hasPoint: true,
      test: null,
      seed: null,
      busyWith: null,
      waitsForAnswer: false,
      noTarget: null,
    })) {
      expect(reason === null, state).toBe(allowed)
      expect(remedy === null, state).toBe(allowed)
      expect(reason ?? '', state).not.toContain('Not while')
    }
})

test('a test of a failed over protection is refused with both ways out of it', () => {
  const verdict = allowedActions({
    protection: { state: 'failedOver', direction: 'forward', originalRef: null },
    hasPoint: true,
    test: null,
    seed: null,
    busyWith: null,
    waitsForAnswer: false,
    noTarget: null,
  }).find(({ action }) => action === 'test-failover')
  expect(verdict?.remedy).toBe(
    'Commit the failover to stay at the target site, or roll it back to return to the source.',
  )
})

test('an end waits for the answer that a job asks for: what it is about to do would be taken away under it', () => {
  const facts = {
    protection: { state: 'failingOver', direction: 'forward', originalRef: null },
    hasPoint: true,
    test: null,
    seed: null,
    busyWith: 'Unplanned failover',
    noTarget: null,
  } as const
  const end = (waitsForAnswer: boolean) =>
    allowedActions({ ...facts, waitsForAnswer }).find(({ action }) => action === 'end')
  expect(end(true)).toMatchObject({ allowed: false, reason: '"Unplanned failover" waits for an answer' })
  expect(end(false)).toMatchObject({ allowed: true })
})

test('where no machine can run, every way to one is refused with the reason, and everything else is as elsewhere', () => {
  const facts = {
    protection: { state: 'protected', direction: 'forward', originalRef: null },
    hasPoint: true,
    test: null,
    seed: null,
    busyWith: null,
    waitsForAnswer: false,
  } as const
  const noTarget = { reason: 'Cloud keeps replicas but cannot run machines yet', remedy: 'Use another site.' }
  const elsewhere = allowedActions({ ...facts, noTarget: null })
  const ways = ['test-failover', 'planned-failover', 'unplanned-failover']
  for (const [index, verdict] of allowedActions({ ...facts, noTarget }).entries())
    expect(verdict).toEqual(
      ways.includes(verdict.action)
        ? { action: verdict.action, allowed: false, ...noTarget }
        : elsewhere[index],
    )
})
