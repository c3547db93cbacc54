import type { Protection } from '@understudy/contract/protection'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Tone } from '../../ui/tone.ts'
import { toneOfState, wordsOfState } from './state-words.ts'

/** Against the first direction a failover is the way home. */
function wordsOf({ state, direction }: Pick<Protection, 'state' | 'direction'>): string {
  if (direction === 'reverse' && state === 'failedOver') return 'Failed back, not committed'
  if (direction === 'reverse' && state === 'committed') return 'Failed back, unprotected'
  return wordsOfState[state]
}

/** State of a protection; a protected machine beyond its lag target says so instead. */
export function ProtectionStatus({
  protection,
}: {
  readonly protection: Pick<Protection, 'state' | 'health' | 'direction'>
}) {
  const late = protection.state === 'protected' && protection.health === 'at-risk'
  const tone: Tone = late ? 'at-risk' : toneOfState[protection.state]
  return <StatusMark tone={tone}>{late ? 'Behind target' : wordsOf(protection)}</StatusMark>
}
