import type { Protection, ProtectionState } from '../protection/protection.ts'
import type { Run } from './failover.ts'

export type ProtectionAction =
  | 'test-failover'
  | 'clean-up-test'
  | 'planned-failover'
  | 'unplanned-failover'
  | 'change-point'
  | 'start-replica'
  | 'commit'
  | 'roll-back'
  | 'reprotect'
  | 'fail-back'
  | 'resync'
  | 'pause'
  | 'resume'
  | 'edit'
  | 'end'

/** `reason` says why it is not allowed; null when it is. The console draws exactly these. */
export type AllowedAction = {
  readonly action: ProtectionAction
  readonly allowed: boolean
  readonly reason: string | null
}

export type ActionFacts = {
  readonly protection: Pick<Protection, 'state' | 'direction' | 'originalRef'>
  readonly hasPoint: boolean
  readonly test: Pick<Run, 'testState'> | null
  /** A job is working on this protection right now: its name. */
  readonly busyWith: string | null
}

const replicating: readonly ProtectionState[] = ['protected', 'resyncing']
const committed: readonly ProtectionState[] = ['committed', 'reprotecting']
const recoverable: readonly ProtectionState[] = ['seeding', 'protected', 'resyncing', 'paused', 'broken']

/** What comes before an action that needs a machine which replicates, or could again. */
const doFirst: Record<ProtectionState, string> = {
  enabling: 'Wait until it is set up',
  seeding: 'Wait until the first copy is made',
  protected: 'It replicates already',
  resyncing: 'It is resynchronising already',
  paused: 'Resume it first',
  broken: 'Resynchronise it first',
  failingOver: 'Wait until the failover is done',
  failedOver: 'Commit the failover or roll it back first',
  rollingBack: 'Wait until it is rolled back',
  committing: 'Wait until the failover is committed',
  committed: 'Reprotect it first',
  reprotecting: 'Wait until it is reprotected',
  ending: 'Its protection is being ended',
  gone: 'Its protection has ended',
}

/** Every action with its verdict, always in the same order. Pure. */
export function allowedActions(facts: ActionFacts): readonly AllowedAction[] {
  return actions.map((action) => {
    const reason = whyNot(action, facts)
    return { action, allowed: reason === null, reason }
  })
}

const actions: readonly ProtectionAction[] = [
  'test-failover',
  'clean-up-test',
  'planned-failover',
  'unplanned-failover',
  'change-point',
  'start-replica',
  'commit',
  'roll-back',
  'reprotect',
  'fail-back',
  'resync',
  'pause',
  'resume',
  'edit',
  'end',
]

function whyNot(action: ProtectionAction, facts: ActionFacts): string | null {
  const { state, direction, originalRef } = facts.protection
  if (facts.busyWith !== null && action !== 'end') return `Wait until "${facts.busyWith}" is done`
  const only = (states: readonly ProtectionState[], otherwise = doFirst[state]): string | null =>
    states.includes(state) ? null : otherwise
  switch (action) {
    case 'test-failover':
      if (facts.test) return 'A test failover is up; clean it up first'
      if (!facts.hasPoint) return 'There is no recovery point yet'
      return only(recoverable)
    case 'clean-up-test':
      return facts.test ? null : 'No test failover is up'
    case 'planned-failover':
      if (facts.test) return 'Clean up the test failover first'
      if (!facts.hasPoint) return 'There is no recovery point yet'
      return only(replicating)
    case 'unplanned-failover':
      if (!facts.hasPoint) return 'There is no recovery point yet'
      return only(recoverable)
    case 'change-point':
    case 'start-replica':
    case 'roll-back':
    case 'commit':
      return only(
        ['failedOver'],
        committed.includes(state) ? 'The failover is committed' : 'Only after a failover',
      )
    case 'reprotect':
      return only(['committed'], 'Only after a committed failover')
    case 'fail-back':
      if (direction === 'forward') return 'Only after a failover and a reprotect'
      if (originalRef === null) return 'The original machine is not known; use a planned failover'
      if (!facts.hasPoint) return 'There is no recovery point yet'
      return only(replicating)
    case 'resync':
      return only(['protected', 'paused', 'broken'])
    case 'pause':
      return only(
        ['seeding', 'protected', 'resyncing'],
        state === 'paused' ? 'It is paused already' : doFirst[state],
      )
    case 'resume':
      return only(['paused'], 'Only while it is paused')
    case 'edit':
      return only(['seeding', 'protected', 'resyncing', 'paused', 'broken'])
    case 'end':
      // An end that stopped early is begun again: nothing else leads out of `ending`.
      if (state === 'gone') return 'It has ended'
      return state === 'ending' && facts.busyWith !== null ? 'It is already ending' : null
  }
}
