import { expect, test } from 'vitest'
import type { MachineRef } from '../machines/machine.ts'
import { type ProtectionState, protectionLife } from '../protection/protection.ts'
import { chooseExit, type StrandedFacts } from './choose-exit.ts'

const named = { machineRef: 'run-1' as MachineRef }
const unnamed = { machineRef: null }
const facts = (change: Partial<StrandedFacts>): StrandedFacts => ({
  state: 'protected',
  former: null,
  failover: null,
  left: 'none',
  turned: false,
  sourceMayGoOff: false,
  ...change,
})

test.each<[string, Partial<StrandedFacts>, ReturnType<typeof chooseExit>]>([
  ['a replica that may run counts', { state: 'failingOver', failover: named }, 'failed-over'],
  ['without a machine everything is put back', { state: 'failingOver', failover: unnamed }, 'put-back'],
  ['without a run everything is put back', { state: 'failingOver' }, 'put-back'],
  [
    'a change of the point is failed over still',
    { state: 'failingOver', former: 'failedOver' },
    'failed-over',
  ],
  ['a replica that was not removed counts', { state: 'rollingBack', failover: named }, 'failed-over'],
  ['a replica that was removed leaves the source to start', { state: 'rollingBack' }, 'start-source'],
  ['a commit is where its run is', { state: 'committing', failover: named }, 'commit'],
  ['a reprotect that has not turned is committed', { state: 'reprotecting' }, 'not-turned'],
  ['a reprotect that has turned goes on', { state: 'reprotecting', turned: true }, 'turned'],
  ['a run that never had a machine is let go', { state: 'protected', failover: unnamed }, 'let-go'],
  ['a guest that shuts down late is started again', { sourceMayGoOff: true }, 'start-late'],
  [
    'a guest that shuts down late is not started beside a replica that may run',
    { sourceMayGoOff: true, failover: named },
    'none',
  ],
  ['a replica that was left behind goes once its site answers', { left: 'reachable' }, 'remove-left'],
  ['also while it is paused', { state: 'paused', left: 'reachable' }, 'remove-left'],
  ['and not before', { left: 'out-of-reach' }, 'none'],
  [
    'a replica that was left behind may be the only one that runs',
    { state: 'broken', left: 'reachable' },
    'none',
  ],
  [
    'a source that was not started for a replica that is left is started',
    { state: 'rollingBack', left: 'out-of-reach' },
    'start-source',
  ],
  ['a replica that could not be put back waits for a person', { state: 'broken', failover: named }, 'none'],
])('%s', (_, change, exit) => {
  expect(chooseExit(facts(change))).toBe(exit)
})

test('every state out of which no action leads has an exit, or may be ended', () => {
  const working: readonly ProtectionState[] = ['failingOver', 'rollingBack', 'committing', 'reprotecting']
  for (const state of working) {
    expect(chooseExit(facts({ state })), state).not.toBe('none')
    expect(protectionLife.allows(state, 'ending'), state).toBe(true)
  }
})
