// What goes on between the two sites, from the state and the measurement of the running cycle. Pure.
import type { ProtectionState } from '@understudy/contract/protection'
import type { Measurement } from '@understudy/contract/socket-shapes'

/** Why no new recovery points are made in a state, and what ends that. Null: cycles run. */
export const standstillOf: Record<ProtectionState, string | null> = {
  enabling: null,
  seeding: null,
  awaitingSeed: 'Not replicating until its first copy, which travels on a disk, is imported',
  protected: null,
  resyncing: null,
  paused: 'Paused; resume it to replicate again',
  broken: 'Broken; nothing is replicated',
  failingOver: 'Not replicating while it fails over',
  failedOver: 'Not replicating; commit and reprotect to protect the copy',
  rollingBack: 'Not replicating until it is rolled back',
  committing: 'Not replicating; reprotect to protect the copy',
  committed: 'Not replicating; reprotect to protect the copy',
  reprotecting: null,
  ending: 'Not replicating; the protection is being ended',
  gone: 'Not replicating; the protection has ended',
}

/**
 * Whether the age of the newest point says what would be lost. Where the machine runs from its replica, or is about to,
 * the points are of another life of it, and their age grows without meaning anything.
 */
export const lagCounts: Record<ProtectionState, boolean> = {
  enabling: true,
  seeding: true,
  awaitingSeed: true,
  protected: true,
  resyncing: true,
  paused: true,
  broken: true,
  failingOver: false,
  failedOver: false,
  rollingBack: false,
  committing: false,
  committed: false,
  reprotecting: false,
  ending: false,
  gone: false,
}

const wordsOfPhase: Record<Measurement['phase'], string> = {
  idle: 'Up to date, waiting for the next cycle',
  waiting: 'Waiting for its turn',
  opening: 'Taking a point in time',
  copying: 'Copying what changed',
  sealing: 'Sealing the recovery point',
}

type Copying = { readonly copying: string; readonly before: string }

/** States whose cycle is another than "what changed": while it copies, and before it does. */
const copyingOf: Partial<Record<ProtectionState, Copying>> = {
  enabling: { copying: 'Making the first copy', before: 'The first copy is about to begin' },
  seeding: { copying: 'Making the first copy', before: 'The first copy is about to begin' },
  resyncing: {
    copying: 'Comparing everything, copying what differs',
    before: 'Everything is compared in the next cycle',
  },
  reprotecting: { copying: 'Copying what differs', before: 'The direction is being turned' },
}

/** What the wire between the sites says. `phase`: null before anything was measured. */
export function wordsOfFlow(state: ProtectionState, phase: Measurement['phase'] | null): string {
  const standstill = standstillOf[state]
  if (standstill !== null) return standstill
  const special = copyingOf[state]
  if (special && (phase === null || phase === 'idle')) return special.before
  if (special && phase === 'copying') return special.copying
  return phase === null ? 'Nothing is being copied' : wordsOfPhase[phase]
}
