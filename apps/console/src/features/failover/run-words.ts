import type { Protection, Run } from '@understudy/contract/protection'
import { formatDuration } from '../../lib/format.ts'
import type { Tone } from '../../ui/tone.ts'

const wordsOfKind: Record<Run['kind'], string> = {
  test: 'Test failover',
  planned: 'Planned failover',
  unplanned: 'Unplanned failover',
}

/** A planned failover to where the machine was first protected is the way home. Pure. */
export function wordsOfRunKind(
  run: Pick<Run, 'kind' | 'targetSiteId'>,
  { direction, source, target }: Pick<Protection, 'direction' | 'source' | 'target'>,
): string {
  const home = direction === 'forward' ? source.id : target.id
  return run.kind === 'planned' && run.targetSiteId === home ? 'Fail back' : wordsOfKind[run.kind]
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

/** The business waited for it all; what the machine took is the rest. Pure. */
export function wordsOfRecovery({
  recoverySeconds,
  waitedSeconds,
}: Pick<Run, 'recoverySeconds' | 'waitedSeconds'>): string {
  if (recoverySeconds === null) return 'no answer recorded'
  const answered = `answered ${formatDuration(recoverySeconds)} after the click`
  return waitedSeconds < 1
    ? answered
    : `${answered}, ${formatDuration(waitedSeconds)} of it waiting for a person`
}

type Status = { readonly tone: Tone; readonly words: string }

/** A failover has no state of its own: what its protection is doing, and whether its job waits for a person. Pure. */
export function statusOfRun(
  run: Pick<Run, 'kind' | 'state' | 'answeredAt' | 'failure'> | null,
  state: Protection['state'],
  waits: boolean,
): Status | null {
  if (waits) return { tone: 'at-risk', words: 'Waiting for your answer' }
  if (run?.kind !== 'test') {
    if (state === 'failingOver') return { tone: 'busy', words: 'Under way' }
    if (state === 'rollingBack') return { tone: 'busy', words: 'Rolling back' }
    if (state === 'committing') return { tone: 'busy', words: 'Committing' }
    // Its job waits for that too, and until then nothing can be decided.
    if (run?.state === 'failedOver' && run.answeredAt === null && run.failure === null)
      return { tone: 'busy', words: 'Waiting for the guest to answer' }
  }
  return run && { tone: toneOfRun[run.state], words: wordsOfRun[run.state] }
}
