import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import type { LinePoint } from './time-line-layout.ts'

export const wordsOfConsistency: Record<RecoveryPoint['consistency'], string> = {
  crash: 'Crash-consistent',
  application: 'Application-consistent',
}

export const wordsOfCycle: Record<RecoveryPoint['cycle'], string> = {
  seed: 'first copy',
  delta: 'changes only',
  resync: 'after comparing everything',
}

/** One line for a screen reader or a title: `Application-consistent, verified, pinned`. */
export function wordsOfPoint(point: LinePoint): string {
  const words = [wordsOfConsistency[point.consistency]]
  if (point.verifiedAt !== null) words.push('verified')
  if (point.pinned) words.push('pinned')
  if (point.held) words.push('in use')
  if (point.suspicious !== null) words.push('suspicious')
  return words.join(', ')
}
