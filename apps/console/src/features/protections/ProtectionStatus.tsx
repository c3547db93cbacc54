import type { Protection } from '@understudy/contract/protection'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Tone } from '../../ui/tone.ts'
import { toneOfState, wordsOfState } from './state-words.ts'

/** State of a protection; a protected machine beyond its lag target says so instead. */
export function ProtectionStatus({
  protection,
}: {
  readonly protection: Pick<Protection, 'state' | 'health'>
}) {
  const late = protection.state === 'protected' && protection.health === 'at-risk'
  const tone: Tone = late ? 'at-risk' : toneOfState[protection.state]
  return <StatusMark tone={tone}>{late ? 'Behind target' : wordsOfState[protection.state]}</StatusMark>
}
