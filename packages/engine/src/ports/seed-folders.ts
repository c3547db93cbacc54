// First copies in folders, on disks that are carried. What lies there is encrypted and proves itself.
import type { Extent } from '@understudy/block/device'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointDisk, PointFacts } from '@understudy/domain/recovery-points/recovery-point'
import type { Seed, SeedId, SeedIdentity } from '@understudy/domain/seeds/seed'

/** An instant of the source that a seed is brought to. */
export type SeedMark = {
  /** The source's own name for it; null: what changes after it is not tracked. */
  readonly checkpoint: string | null
  readonly disks: readonly PointDisk[]
}

/** What of a disk lies in the seed and is not its content any more. */
export type StaleExtents = ReadonlyMap<DiskKey, readonly Extent[]>

/** Writes of one mark never overlap. What resolves is in the files; only `mark` and `finish` outlive a loss of power. */
export interface SeedWriter {
  /** Kept in the record of the seed before anything else is done: with it the seed is asked for when it is opened again. */
  readonly fingerprint: string
  /** What a crash had left at its end and was no whole piece: taken away when it was opened. */
  readonly cutBytes: number
  /** Null: nothing is in it yet. */
  readonly mark: SeedMark | null
  /** It is complete: what was finished. */
  readonly finished: SeedManifest | null
  /** What is in it and equals the disk at `mark`, sorted. Reads memory. */
  safe(disk: DiskKey): readonly Extent[]
  /**
   * Brings it to another instant, in one durable act: `stale` is not safe any more. 'all': nothing of it is. From here on the
   * source may forget every older checkpoint.
   */
  moveTo(mark: SeedMark, stale: StaleExtents | 'all'): Promise<void>
  write(disk: DiskKey, offset: number, data: Buffer): Promise<void>
  zero(disk: DiskKey, offset: number, bytes: number): Promise<void>
  /** Complete from here on: written last. All disks of the mark are safe as a whole. */
  finish(point: PointFacts): Promise<SeedManifest>
  /** What was written stays, and is found by whoever opens it next. */
  close(): Promise<void>
}

export type SeedManifest = SeedIdentity & {
  readonly point: PointFacts
  readonly disks: readonly PointDisk[]
  readonly storedBytes: number
}

export type SeedContent = Extent & {
  readonly disk: DiskKey
  /** Null: zeros. */
  readonly data: Buffer | null
}

export interface SeedReader {
  readonly manifest: SeedManifest
  /**
   * Everything, in the order of its writing: of two that overlap the later one counts, and 'mark' comes between them. Refuses
   * with `seed/damaged` at the first byte that is not what was written, at the latest after the last one.
   */
  contents(signal: AbortSignal): AsyncIterable<SeedContent | 'mark'>
  /** Tells what `contents` has given so far from every other state of this seed, and from every other seed. */
  proof(): string
  close(): Promise<void>
}

export type SeedPlace = {
  /** On the server: an absolute path. A seed lies in a folder of its own inside it; that one may be given, too. */
  readonly folder: string
  readonly passphrase: string
}

/** What is known of a seed before it is opened. */
export type SeedStart = Pick<Seed, 'fingerprint' | 'acceptsServerDisk'>

export interface SeedFolders {
  /**
   * Goes on with a seed that was begun, and only without a fingerprint begins one: else a disk that is not mounted would be replaced
   * by the folder under it (`seed/not-found`). Refuses to begin one on a disk of the server unless that is accepted
   * (`seed/server-disk`); a folder that is not there, is not ours to write, or holds something else under the seed's name; a wrong
   * passphrase (`seed/wrong-passphrase`); and damage in what was begun. What is complete is never written to.
   */
  openWriter(place: SeedPlace, identity: SeedIdentity, start: SeedStart): Promise<SeedWriter>
  /** Refuses what is no seed, is incomplete (`seed/incomplete`) or damaged, and a wrong passphrase. `id`: which one of several. */
  openReader(place: SeedPlace, id: SeedId): Promise<SeedReader>
}
