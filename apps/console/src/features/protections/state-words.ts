// How each state looks and reads. A new state does not compile until someone has chosen its words and tone.
import type { ProtectionAction, ProtectionHealth, ProtectionState } from '@understudy/contract/protection'
import type { Tone } from '../../ui/tone.ts'

export const toneOfState: Record<ProtectionState, Tone> = {
  enabling: 'busy',
  seeding: 'busy',
  awaitingSeed: 'at-risk',
  protected: 'good',
  resyncing: 'busy',
  paused: 'off',
  broken: 'bad',
  failingOver: 'busy',
  failedOver: 'at-risk',
  rollingBack: 'busy',
  committing: 'busy',
  committed: 'at-risk',
  reprotecting: 'busy',
  ending: 'off',
  gone: 'off',
}

export const wordsOfState: Record<ProtectionState, string> = {
  enabling: 'Setting up',
  seeding: 'First copy',
  awaitingSeed: 'Waiting for the seed',
  protected: 'Protected',
  resyncing: 'Resynchronising',
  paused: 'Paused',
  broken: 'Broken',
  failingOver: 'Failing over',
  failedOver: 'Failed over, not committed',
  rollingBack: 'Rolling back',
  committing: 'Committing',
  committed: 'Failed over, unprotected',
  reprotecting: 'Reprotecting',
  ending: 'Ending',
  gone: 'Ended',
}

export const toneOfHealth: Record<ProtectionHealth, Tone> = {
  good: 'good',
  'at-risk': 'at-risk',
  bad: 'bad',
  off: 'off',
}

export const wordsOfHealth: Record<ProtectionHealth, string> = {
  good: 'Healthy',
  'at-risk': 'At risk',
  bad: 'Broken',
  off: 'Not replicating',
}

export const wordsOfAction: Record<ProtectionAction, string> = {
  'test-failover': 'Test failover',
  'clean-up-test': 'Clean up test',
  'planned-failover': 'Planned failover',
  'unplanned-failover': 'Unplanned failover',
  'change-point': 'Change point',
  'start-replica': 'Start the replica',
  commit: 'Commit',
  'roll-back': 'Roll back',
  reprotect: 'Reprotect',
  'fail-back': 'Fail back',
  'replicate-now': 'Replicate now',
  resync: 'Resynchronise',
  pause: 'Pause',
  resume: 'Resume',
  'export-seed': 'Seed by disk',
  'import-seed': 'Import the seed',
  'give-up-seed': 'Give up the seed',
  edit: 'Edit',
  end: 'End protection',
}
