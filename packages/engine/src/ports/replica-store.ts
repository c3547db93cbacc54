// Where replicas and their recovery points are kept. The store's manifests are the truth about points, not the database.
import type { Instant } from '@understudy/base/instant'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { RetentionTier } from '@understudy/domain/protection/policy'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type {
  CutId,
  PointAnnotations,
  PointDisk,
  PointFacts,
  PointId,
  RecoveryPoint,
} from '@understudy/domain/recovery-points/recovery-point'

export type ReplicaSpec = {
  readonly id: ReplicaId
  readonly machineName: string
  readonly compress: boolean
  readonly encrypt: boolean
}

export type OpenedDisk = PointDisk & { readonly reader: BlockReader }

/** Content of a point, immutable. While it is open in this process the point does not go away under it. */
export type OpenedPoint = {
  readonly point: RecoveryPoint
  readonly disks: readonly OpenedDisk[]
  close(): Promise<void>
}

/**
 * A point being written. Nothing of it is visible before `seal`. Writes may run concurrently; ranges may be written
 * twice, the later call wins only if it began after the earlier one resolved. Ranges not written keep the base's content.
 */
export interface PointWriter {
  /** The store is done with `data` when this resolves: the caller may then use the buffer for something else. */
  write(disk: DiskKey, offset: number, data: Buffer, signal?: AbortSignal): Promise<void>
  zero(disk: DiskKey, offset: number, bytes: number, signal?: AbortSignal): Promise<void>
  /** Makes the point durable and visible in one atomic act over all disks. Refuses when a newer epoch has come. */
  seal(facts: PointFacts): Promise<RecoveryPoint>
  /** Forgets what was written. Repeatable. Harmless after a seal. */
  abort(): Promise<void>
}

export type ReplicaUsage = {
  readonly storedBytes: number
  readonly pointCount: number
  readonly oldestInstant: number | null
  readonly newestInstant: number | null
  readonly freeBytes: number
}

export type DamagedRange = {
  readonly disk: DiskKey
  readonly offset: number
  readonly bytes: number
  readonly points: readonly PointId[]
}
export type ScrubReport = { readonly checkedBytes: number; readonly damage: readonly DamagedRange[] }

export interface Replica {
  readonly id: ReplicaId
  /** From old to new. Reads memory. */
  points(): readonly RecoveryPoint[]
  /**
   * What was sealed last, if that is no recovery point but part of a first copy (its `unfinished`), else null. It is the base of whatever
   * is written next, can be read and held like a point, and goes with an expiry once there is something newer. Its bytes count for the point that it becomes.
   */
  unfinished(): RecoveryPoint | null
  /**
   * `base` is what was sealed last: the newest point, an unfinished copy, or null for the first. `disks` is the full list at this instant: a new disk starts as zeros, a
   * resized one keeps its common part. At most one writer at a time; needs the epoch of `openReplica`.
   */
  beginPoint(base: PointId | null, disks: readonly PointDisk[]): Promise<PointWriter>
  openPoint(id: PointId): Promise<OpenedPoint>
  /** What may differ between two points of a disk (either order), sorted. For restores that only move differences. */
  difference(disk: DiskKey, from: PointId, to: PointId, signal?: AbortSignal): AsyncIterable<MappedExtent>
  annotate(id: PointId, annotations: PointAnnotations): Promise<RecoveryPoint>
  /** A held point never expires. Survives restarts. Repeatable. Holders are run ids. */
  hold(id: PointId, holder: string): Promise<void>
  unhold(id: PointId, holder: string): Promise<void>
  /**
   * Drops what the tiers do not keep (never the newest, held or pinned ones), folding and merging behind; throttled by the store.
   * `shares`: how many machines of the group have a cut. Of several points where a tier keeps one, the cut that most have stays,
   * then the oldest, so that what is left of a group fits together.
   */
  expire(
    tiers: readonly RetentionTier[],
    now: number,
    signal?: AbortSignal,
    shares?: ReadonlyMap<CutId, number>,
  ): Promise<{ readonly removed: number }>
  usage(): Promise<ReplicaUsage>
  scrub(options: { readonly bytesPerSecond: number; readonly signal?: AbortSignal }): Promise<ScrubReport>
  close(): Promise<void>
}

/** What slows down whoever writes here. */
export type StoreStrain = {
  /** How often the place asked for fewer requests within the last hour, of this process. */
  readonly timesLastHour: number
  /** The same since it was opened: whoever compares two of them knows whether it happened in between. */
  readonly times: number
  readonly lastAt: Instant | null
  /** In an operator's words, as in "the storage account asks for fewer requests". */
  readonly what: string
  readonly remedy: string
}

export interface ReplicaStore {
  /** Whether `encrypt` of a ReplicaSpec can be kept; false: such a replica is refused. */
  readonly encrypts: boolean
  /** Left out: nothing here asks for fewer requests. Asks nobody. */
  strain?(): StoreStrain
  /** Repeatable: an existing replica of that id is left as it is. */
  createReplica(spec: ReplicaSpec): Promise<void>
  /**
   * Opens for writing as the owner of `epoch`, which is stored durably: everyone with an older epoch is refused from now on
   * (`replica/newer-writer`). `epoch: null` opens for reading: no beginPoint and no expire, but hold, unhold and annotate
   * work, so that a test in another process does not depose the mover; expire heeds holds as they are on the medium.
   */
  openReplica(id: ReplicaId, epoch: number | null): Promise<Replica>
  exists(id: ReplicaId): Promise<boolean>
  deleteReplica(id: ReplicaId): Promise<void>
  list(): Promise<readonly ReplicaId[]>
  /** Bytes that can still be written where replicas are kept; null where nothing bounds them. */
  freeBytes(): Promise<number | null>
}
