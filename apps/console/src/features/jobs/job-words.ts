import type { Job, JobState } from '@understudy/contract/job'
import type { Tone } from '../../ui/tone.ts'

export const toneOfJob: Record<JobState, Tone> = {
  queued: 'off',
  running: 'busy',
  waiting: 'at-risk',
  succeeded: 'good',
  failed: 'bad',
  cancelled: 'off',
}

export const wordsOfJob: Record<JobState, string> = {
  queued: 'Queued',
  running: 'Running',
  waiting: 'Waiting for you',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
}

export const wordsOfKind: Record<Job['kind'], string> = {
  protect: 'Protect',
  'end-protection': 'End protection',
  resync: 'Resynchronise',
  'export-seed': 'Export first copy',
  'import-seed': 'Import first copy',
  'test-failover': 'Test failover',
  'clean-up-test': 'Clean up test',
  'planned-failover': 'Planned failover',
  'unplanned-failover': 'Unplanned failover',
  'change-point': 'Change point',
  'start-replica': 'Start the replica',
  'power-off-old': 'Power off the old machine',
  'roll-back': 'Roll back',
  commit: 'Commit',
  reprotect: 'Reprotect',
  'fail-back': 'Fail back',
  'tidy-up': 'Tidy up',
  'create-lab': 'Create lab',
  scrub: 'Check replica',
  'plan-step': 'Step of a plan',
}

type TaskState = Job['tasks'][number]['state']

export const toneOfTask: Record<TaskState, Tone> = {
  pending: 'off',
  running: 'busy',
  succeeded: 'good',
  warned: 'at-risk',
  failed: 'bad',
  skipped: 'off',
}

export const wordsOfTask: Record<TaskState, string> = {
  pending: 'To do',
  running: 'Running',
  succeeded: 'Done',
  warned: 'Warning',
  failed: 'Failed',
  skipped: 'Skipped',
}
