import type { JobState } from '@understudy/contract/job'
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
