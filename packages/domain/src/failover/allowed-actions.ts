import type { Protection, ProtectionState } from '../protection/protection.ts'
import type { Seed } from '../seeds/seed.ts'
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
  | 'replicate-now'
  | 'resync'
  | 'pause'
  | 'resume'
  | 'export-seed'
  | 'import-seed'
  | 'give-up-seed'
  | 'edit'
  | 'end'

/**
 * `reason` says why it is not allowed, `remedy` what to do to get there; null when it is. The console draws exactly these.
 */
export type AllowedAction = {
  readonly action: ProtectionAction
  readonly allowed: boolean
  readonly reason: string | null
  readonly remedy: string | null
}

export type ActionFacts = {
  readonly protection: Pick<Protection, 'state' | 'direction' | 'originalRef'>
  readonly hasPoint: boolean
  readonly test: Pick<Run, 'testState'> | null
  /** A job is working on this protection right now: its name. */
  readonly busyWith: string | null
  /** Its target site keeps replicas only. Null: machines can run there. */
  readonly noTarget: Obstacle | null
  /** Of its first copy, where that travels on a disk; null: it does not. */
  readonly seed: Pick<Seed, 'export'> | null
  /** One of its jobs waits for a person to answer. */
  readonly waitsForAnswer: boolean
}

const replicating: readonly ProtectionState[] = ['protected', 'resyncing']
const committed: readonly ProtectionState[] = ['committed', 'reprotecting']
const recoverable: readonly ProtectionState[] = [
  'seeding',
  'awaitingSeed',
  'protected',
  'resyncing',
  'paused',
  'broken',
]

/** What leads out of a job that hangs, and what one may be waiting for. */
const besideJobs: readonly ProtectionAction[] = ['end', 'replicate-now']

export type Obstacle = { readonly reason: string; readonly remedy: string }

/** What comes before an action that needs a machine which replicates, or could again. */
const doFirst: Record<ProtectionState, Obstacle> = {
  enabling: { reason: 'Wait until it is set up', remedy: 'Follow its job; it is ready with the first copy.' },
  seeding: {
    reason: 'Wait until the first copy is made',
    remedy: 'Follow its job; it is ready with the first recovery point.',
  },
  awaitingSeed: {
    reason: 'It waits for its first copy, which travels on a disk',
    remedy: 'Import the seed, or give it up: then it is copied over the line.',
  },
  protected: { reason: 'It replicates already', remedy: 'There is nothing to do.' },
  resyncing: {
    reason: 'It is resynchronising already',
    remedy: 'Wait until it is done; the protection shows how far it is.',
  },
  paused: { reason: 'Resume it first', remedy: 'Resume the protection, then wait for a recovery point.' },
  broken: {
    reason: 'Resynchronise it first',
    remedy: 'Resynchronise the protection; its note says what broke it.',
  },
  failingOver: {
    reason: 'Wait until the failover is done',
    remedy: 'Follow its job, or cancel it while it can be cancelled.',
  },
  failedOver: {
    reason: 'Commit the failover or roll it back first',
    remedy: 'Commit the failover to stay at the target site, or roll it back to return to the source.',
  },
  rollingBack: { reason: 'Wait until it is rolled back', remedy: 'Follow its job.' },
  committing: { reason: 'Wait until the failover is committed', remedy: 'Follow its job.' },
  committed: {
    reason: 'Reprotect it first',
    remedy: 'Reprotect it: then it replicates back from where it runs now.',
  },
  reprotecting: { reason: 'Wait until it is reprotected', remedy: 'Follow its job.' },
  ending: {
    reason: 'Its protection is being ended',
    remedy: 'Protect the machine anew once the protection has ended.',
  },
  gone: { reason: 'Its protection has ended', remedy: 'Protect the machine anew.' },
}

const noPoint: Obstacle = {
  reason: 'There is no recovery point yet',
  remedy: 'Wait for the first one; while it is paused or broken, resume or resynchronise it.',
}

/** Every action with its verdict, always in the same order. Pure. */
export function allowedActions(facts: ActionFacts): readonly AllowedAction[] {
  return actions.map((action) => {
    const obstacle = whyNot(action, facts)
    return {
      action,
      allowed: obstacle === null,
      reason: obstacle?.reason ?? null,
      remedy: obstacle?.remedy ?? null,
    }
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
  'replicate-now',
  'resync',
  'pause',
  'resume',
  'export-seed',
  'import-seed',
  'give-up-seed',
  'edit',
  'end',
]

function whyNot(action: ProtectionAction, facts: ActionFacts): Obstacle | null {
  const { state, direction, originalRef } = facts.protection
  if (facts.busyWith !== null && !besideJobs.includes(action))
    return {
      reason: `Wait until "${facts.busyWith}" is done`,
      remedy: 'Follow that job, or cancel it; the jobs of the protection show it.',
    }
  const only = (states: readonly ProtectionState[], reason = doFirst[state].reason): Obstacle | null =>
    states.includes(state) ? null : { reason, remedy: doFirst[state].remedy }
  const after = (states: readonly ProtectionState[], obstacle: Obstacle): Obstacle | null =>
    states.includes(state) ? null : obstacle
  switch (action) {
    case 'test-failover':
      if (facts.noTarget) return facts.noTarget
      if (facts.test) return { reason: 'A test failover is up; clean it up first', remedy: cleanUp }
      if (!facts.hasPoint) return noPoint
      return only(recoverable)
    case 'clean-up-test':
      return facts.test
        ? null
        : { reason: 'No test failover is up', remedy: 'Start a test failover; it is cleaned up after that.' }
    case 'planned-failover':
      if (facts.noTarget) return facts.noTarget
      if (facts.test) return { reason: 'Clean up the test failover first', remedy: cleanUp }
      if (!facts.hasPoint) return noPoint
      if (state === 'awaitingSeed') return importedOnly
      return only(replicating)
    case 'unplanned-failover':
      if (facts.noTarget) return facts.noTarget
      if (!facts.hasPoint) return noPoint
      return only(recoverable)
    case 'change-point':
    case 'start-replica':
    case 'roll-back':
    case 'commit':
      if (committed.includes(state)) return only(['failedOver'], 'The failover is committed')
      return after(['failedOver'], { reason: 'Only after a failover', remedy: 'Fail over first.' })
    case 'reprotect':
      return after(['committed'], {
        reason: 'Only after a committed failover',
        remedy: 'Fail over and commit the failover first.',
      })
    case 'fail-back':
      if (direction === 'forward')
        return {
          reason: 'Only after a failover and a reprotect',
          remedy: 'Fail over, commit and reprotect first; to move the machine now, use a planned failover.',
        }
      if (originalRef === null)
        return {
          reason: 'The original machine is not known; use a planned failover',
          remedy: 'Use a planned failover: it makes a new machine at the first site.',
        }
      if (!facts.hasPoint) return noPoint
      return only(replicating)
    case 'replicate-now':
      return state === 'seeding' || replicating.includes(state) ? null : doFirst[state]
    case 'resync':
      return only(['protected', 'paused', 'broken'])
    case 'pause':
      if (state === 'paused') return { reason: 'It is paused already', remedy: 'There is nothing to do.' }
      return only(['seeding', 'protected', 'resyncing'])
    case 'resume':
      return after(['paused'], { reason: 'Only while it is paused', remedy: 'There is nothing to do.' })
    case 'export-seed':
      if (facts.hasPoint)
        return { reason: 'Its first copy is made already', remedy: 'There is nothing to do.' }
      if (state === 'awaitingSeed' && facts.seed?.export) return travelling
      return only(['seeding', 'paused', 'awaitingSeed'])
    case 'import-seed':
      if (state !== 'awaitingSeed') return noSeed
      return facts.seed?.export ? null : unfinishedSeed
    case 'give-up-seed':
      return after(['awaitingSeed'], noSeed)
    case 'edit':
      return only(['seeding', 'protected', 'resyncing', 'paused', 'broken'])
    case 'end':
      // It hangs on nothing but an answer, and its cancel puts things back: an end would take away what it may be about to bring up.
      if (facts.waitsForAnswer)
        return {
          reason: `"${facts.busyWith ?? 'A job'}" waits for an answer`,
          remedy: 'Answer its question, or cancel it; then end the protection.',
        }
      // An end that stopped early is begun again: nothing else leads out of `ending`.
      if (state === 'gone') return { reason: 'It has ended', remedy: 'There is nothing to do.' }
      return state === 'ending' && facts.busyWith !== null
        ? { reason: 'It is already ending', remedy: 'Follow its job.' }
        : null
  }
}

const importedOnly: Obstacle = {
  reason: 'Its first copy is imported, and changes do not follow yet',
  remedy:
    'Import the seed again: it finds what is there and goes on with changes. An unplanned failover can use what is there.',
}
const travelling: Obstacle = {
  reason: 'Its first copy is exported and waits to be imported',
  remedy: 'Import the seed; if it is lost, give it up first.',
}
const noSeed: Obstacle = {
  reason: 'No first copy of it travels on a disk',
  remedy: 'Export its first copy to a disk, before it is copied over the line.',
}
const unfinishedSeed: Obstacle = {
  reason: 'The export of its first copy has not come to its end',
  remedy: 'Go on with the export.',
}

const cleanUp = 'Clean up the test failover; its copy and everything in it goes.'
