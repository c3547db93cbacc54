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
const recoverable: readonly ProtectionState[] = ['seeding', 'protected', 'resyncing', 'paused', 'broken']

const stateWords: Record<ProtectionState, string> = {
  enabling: 'being set up',
  seeding: 'making its first copy',
  protected: 'protected',
  resyncing: 'resynchronising',
  paused: 'paused',
  broken: 'broken',
  failingOver: 'failing over',
  failedOver: 'failed over and not committed',
  rollingBack: 'rolling back',
  committing: 'being committed',
  committed: 'committed',
  reprotecting: 'reprotecting',
  ending: 'ending',
  gone: 'gone',
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
  const only = (states: readonly ProtectionState[]): string | null =>
    states.includes(state) ? null : `Not while the protection is ${stateWords[state]}`
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
      return only(['failedOver'])
    case 'reprotect':
      return only(['committed'])
    case 'fail-back':
      if (direction === 'forward') return 'Only after a failover and a reprotect'
      if (originalRef === null) return 'The original machine is not known; use a planned failover'
      if (!facts.hasPoint) return 'There is no recovery point yet'
      return only(replicating)
    case 'resync':
      return only(['protected', 'paused', 'broken'])
    case 'pause':
      return only(['seeding', 'protected', 'resyncing'])
    case 'resume':
      return only(['paused'])
    case 'edit':
      return only(['seeding', 'protected', 'resyncing', 'paused', 'broken'])
    case 'end':
      // An end that stopped early is begun again: nothing else leads out of `ending`.
      if (state === 'gone') return 'It has ended'
      return state === 'ending' && facts.busyWith !== null ? 'It is already ending' : null
  }
}
