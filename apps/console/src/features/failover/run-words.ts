import type { Run } from '@understudy/contract/protection'
import type { Tone } from '../../ui/tone.ts'

export const wordsOfRunKind: Record<Run['kind'], string> = {
  test: 'Test failover',
  planned: 'Planned failover',
  unplanned: 'Unplanned failover',
}

export const toneOfRun: Record<Run['state'], Tone> = {
  starting: 'busy',
  running: 'good',
  failed: 'bad',
  cleaningUp: 'busy',
  gone: 'off',
  failedOver: 'at-risk',
  over: 'off',
}

export const wordsOfRun: Record<Run['state'], string> = {
  starting: 'Starting',
  running: 'Running',
  failed: 'Failed',
  cleaningUp: 'Cleaning up',
  gone: 'Cleaned up',
  failedOver: 'Waits for your decision',
  over: 'Over',
}
