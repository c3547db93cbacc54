// What a consistency group is like, in words.
import type { ConsistencyGroup } from '@understudy/contract/consistency-group'
import type { Tone } from '../../ui/tone.ts'

export const toneOfGroup: Record<ConsistencyGroup['health'], Tone> = {
  good: 'good',
  'at-risk': 'at-risk',
  off: 'off',
}

/** One line for its row: how things stand, and if not well, what keeps it from being so. */
export function wordsOfGroup(group: ConsistencyGroup): string {
  if (group.members.length === 0) return 'No machines yet'
  if (group.members.length === 1) return 'One machine: nothing to share'
  if (group.health === 'good') return 'Common points on time'
  if (group.sourceSiteIds.length > 1) return 'Its machines run at two sites'
  if (group.newestWholeCut === null) return 'No common point yet'
  return 'Newest common point is late'
}

/** `held still for 12 ms`; of guests that were not held still at all nothing has to be said. */
export const wordsOfPause = (milliseconds: number): string =>
  milliseconds < 1 ? 'held still for less than 1 ms' : `held still for ${Math.round(milliseconds)} ms`
