// A protection in the hands of this mover.
import type { Instant } from '@understudy/base/instant'
import type { Policy } from '@understudy/domain/protection/policy'
import type { Protection } from '@understudy/domain/protection/protection'
import type { PointGap } from '@understudy/domain/replication/carried-pace'
import type { Measurement } from '../ports/live.ts'
import type { Replica, ReplicaStore } from '../ports/replica-store.ts'
import type { SealedCut, ToldPace } from '../ports/stores.ts'

export type RunningCycle = {
  readonly stop: AbortController
  readonly done: Promise<void>
  since: Instant
  /** False: it copies in turns with others of its group, and does not count among the cycles that run at once. */
  counts: boolean
}

export type Slot = {
  readonly id: Protection['id']
  /** As of the last look. */
  protection: Protection
  policy: Policy
  dueAt: Instant
  /** The last wish for a cycle without waiting that has been seen. */
  askedAt: Instant | null
  /** Outages in a row. */
  failures: number
  /** An alert may be open that replication does not work, perhaps from another process: the next cycle that succeeds resolves it. */
  troubleMayBeOpen: boolean
  /** Times in a row that a newer writer came in between. */
  deposed: number
  /** Opened once per lease, with an epoch of its own. */
  replica: Replica | null
  /** Where `replica` was opened: the site's platform is another one after its settings or secrets have changed. */
  openedFrom: ReplicaStore | null
  running: RunningCycle | null
  /** Since when what runs here has been asked to stop; null: it has not. */
  stopAskedAt: Instant | null
  lastConsistencyAttemptAt: Instant | null
  newestInstant: Instant | null
  /** Its newest point names a checkpoint. */
  newestIsTracked: boolean
  /** What its last cycle has sealed together with others; null: it was taken alone, or sealed nothing. */
  sealedCut: Omit<SealedCut, 'members'> | null
  /** Null: not known yet to this mover. */
  lagRaised: boolean | null
  /** Since when the lag is held against the target, and under which policy; null: not replicating. */
  lagCountsFrom: { readonly terms: string; readonly since: Instant } | null
  /** Of its source; 0: not asked yet. */
  shortestIntervalSeconds: number
  /** As told last. */
  pace: ToldPace | null
  paceAlertMayBeLeft: boolean
  /** Between its last points, from old to new; as many as decide about the pace. */
  gaps: readonly PointGap[]
  /** Its newest point, where the next one is to be compared with it; and how often its place had asked for fewer requests by then. */
  lastDelta: { readonly instant: Instant; readonly throttledTimes: number } | null
  retentionDueAt: Instant
  /** Not before; the stores know exactly. */
  scrubDueAt: Instant
  scrubbing: { readonly stop: AbortController; readonly done: Promise<void> } | null
  retaining: { readonly stop: AbortController; readonly done: Promise<void> } | null
  measurement: Measurement | null
}

/** As far as is known nothing but a delta is ahead of it, without trouble: it can be opened together with others of its group. */
export const isInStep = ({ protection, failures, deposed, replica, newestIsTracked }: Slot): boolean =>
  protection.state === 'protected' && failures === 0 && deposed === 0 && (replica === null || newestIsTracked)

/** What is wanted, as far as the source can give it. */
export const intervalSecondsOf = ({ policy, shortestIntervalSeconds }: Slot): number =>
  Math.max(policy.intervalSeconds, shortestIntervalSeconds)

export const subjectOf = (protection: Pick<Protection, 'id' | 'name'>) => ({
  id: protection.id,
  name: protection.name,
})
