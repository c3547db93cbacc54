import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'
import type { DiskKey } from '../machines/machine.ts'
import type { GroupId } from '../protection/protection.ts'

/** Unique within its replica. Sorts by age as text: decimal sequence number padded to 12 digits. */
export type PointId = Brand<'PointId'>

export type Consistency = 'crash' | 'application'

/** Names one instant that several machines share: unique for ever. */
export type CutId = Brand<'CutId'>

/**
 * The point was taken at one instant with points of other machines, whose marks name the same cut. It is a cut of the group only where
 * all of them were sealed: see `common-cuts.ts`.
 */
export type GroupMark = { readonly id: GroupId; readonly cut: CutId }

export type PointAnnotations = {
  /** A test failover of this point booted and answered. */
  readonly verifiedAt?: Instant
  /** Entropy or churn looked like an attack; why. */
  readonly suspicious?: string
  /** The operator's own words. */
  readonly note?: string
  /** Never expired by retention while set. */
  readonly pinned?: boolean
}

/** What was known about a point when it was sealed. Never changes afterwards. */
export type PointFacts = {
  /** The moment the source's disks had exactly this content. */
  readonly instant: Instant
  readonly consistency: Consistency
  /** Why an application-consistent point was asked for and this one is not, else null. */
  readonly consistencyNote: string | null
  /** The source's own name for the change-tracking mark set at this instant; null when tracking is not available. */
  readonly checkpoint: string | null
  /** How the point was made. */
  readonly cycle: 'seed' | 'delta' | 'resync'
  /** Absent: taken of this machine alone. */
  readonly group?: GroupMark
  /**
   * A first copy that is not whole yet: no recovery point, whatever else is said of it (`Replica.unfinished`). What its maker needs to go
   * on behind it. Absent: it is whole.
   */
  readonly unfinished?: string
}

export type PointDisk = { readonly key: DiskKey; readonly bytes: number }

export type RecoveryPoint = PointFacts & {
  readonly id: PointId
  readonly sealedAt: Instant
  readonly disks: readonly PointDisk[]
  /** Bytes of content that this point added, before compression. */
  readonly changedBytes: number
  /** Bytes that it occupies in the store. */
  readonly storedBytes: number
  readonly annotations: PointAnnotations
  /** Holders (running tests and failovers) that keep it from expiring. */
  readonly heldBy: readonly string[]
}
