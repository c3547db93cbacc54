// The disks of a machine as they are in the snapshots of a mark, and what has changed since an earlier one.
import type { Snapshot } from '@azure/arm-compute'
import { Outage, Refusal } from '@understudy/base/errors'
import { invariant, present } from '@understudy/base/invariant'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import { intersect, split, subtract, union } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { SourceDisk } from '@understudy/engine/ports/source-platform'
import { defaultLimits, REQUEST_BYTES } from '../../limits.ts'
import { bytesOf } from './attached-disks.ts'
import { gatherPages } from './few-ranges.ts'
import { NotCompared } from './snapshot-calls.ts'
import { openReading, type SnapshotReading } from './snapshot-reading.ts'
import type { SourceParts } from './source-parts.ts'
import type { TrackedDisk } from './tracked-machine.ts'

export type MarkedDisks = {
  readonly disks: readonly SourceDisk[]
  /** No address is left by which they could be read. */
  end(): Promise<void>
}

type ReadParts = Pick<SourceParts, 'arm' | 'pages'>

/** Throws NotCompared where Azure does not tell what has changed. `before`: of the earlier mark; null: everything counts as changed. */
export async function openMarked(
  parts: ReadParts,
  { disks, snapshots }: { readonly disks: readonly TrackedDisk[]; readonly snapshots: readonly Snapshot[] },
  before: ReadonlyMap<DiskKey, Snapshot> | null,
  signal: AbortSignal | undefined,
): Promise<MarkedDisks> {
  const readings: SnapshotReading[] = []
  const reading = (snapshot: Snapshot): SnapshotReading => {
    const opened = openReading(parts, present(snapshot.name, 'a snapshot has a name'))
    readings.push(opened)
    return opened
  }
  const end = async (): Promise<void> => {
    for (const one of readings) await one.end()
  }
  try {
    const opened: SourceDisk[] = []
    for (const [index, { key, disk }] of disks.entries()) {
      const snapshot = present(snapshots[index], 'every disk has a snapshot')
      const bytes = bytesOf({ diskSizeBytes: snapshot.diskSizeBytes ?? 0, tags: disk.tags ?? {} })
      const now = reading(snapshot)
      const earlier = comparableWith(snapshot, before?.get(key))
      const changed =
        earlier === null
          ? null
          : await compare(
              parts,
              { bytes, now, earlier: reading(earlier), thenBytes: earlier.diskSizeBytes ?? 0 },
              signal,
            )
      opened.push(toSourceDisk(parts, { key, bytes, now, changed }))
    }
    return { disks: opened, end }
  } catch (error) {
    await end().catch((failure: unknown) => {
      // The next point takes back what is left.
      if (!(failure instanceof Outage)) throw failure
    })
    throw error
  }
}

/** Azure compares snapshots of one disk only. Another disk in the place of the first counts as wholly changed. */
function comparableWith(now: Snapshot, earlier: Snapshot | undefined): Snapshot | null {
  const { incrementalSnapshotFamilyId: family } = now
  return earlier !== undefined && family !== undefined && earlier.incrementalSnapshotFamilyId === family
    ? earlier
    : null
}

type Comparison = {
  readonly bytes: number
  readonly now: SnapshotReading
  readonly earlier: SnapshotReading
  readonly thenBytes: number
}

async function compare(
  { pages }: ReadParts,
  { bytes, now, earlier, thenBytes }: Comparison,
  signal: AbortSignal | undefined,
): Promise<readonly MappedExtent[]> {
  const gathered = gatherPages()
  const whole = { offset: 0, bytes }
  for (const window of split([whole], defaultLimits.listBytes)) {
    const found = await earlier.with(
      (before) => now.with((address) => pages.changedPages(address, before, window, signal), signal),
      signal,
    )
    gathered.add(found)
  }
  // What a larger disk has more of, and the footer that lay there before.
  const more = bytes > thenBytes ? [{ offset: thenBytes, bytes: bytes - thenBytes }] : []
  const { written, cleared } = gathered.all()
  const data = intersect(union(written, more), [whole])
  const zero = subtract(intersect(cleared, [whole]), data)
  return [
    ...data.map((extent) => ({ ...extent, kind: 'data' as const })),
    ...zero.map((extent) => ({ ...extent, kind: 'zero' as const })),
  ].toSorted((a, b) => a.offset - b.offset)
}

function toSourceDisk(
  { pages }: ReadParts,
  disk: {
    readonly key: DiskKey
    readonly bytes: number
    readonly now: SnapshotReading
    readonly changed: readonly MappedExtent[] | null
  },
): SourceDisk {
  const { key, bytes, now, changed } = disk
  const map = async function* (range: Extent, signal?: AbortSignal): AsyncIterable<MappedExtent> {
    for (const window of split([range], defaultLimits.listBytes)) {
      const found = await now.with((address) => pages.pageRanges(address, window, signal), signal)
      yield* mapped(window, intersect(found, [window]))
    }
  }
  const reader: BlockReader = {
    bytes,
    async read(offset, length, signal) {
      invariant(offset >= 0 && length >= 0 && offset + length <= bytes, 'the range lies inside the disk')
      const parts: Buffer[] = []
      for (const piece of length === 0 ? [] : split([{ offset, bytes: length }], REQUEST_BYTES))
        parts.push(await now.read(piece, signal))
      return parts.length === 1 ? present(parts[0], 'one part') : Buffer.concat(parts)
    },
    map,
    close: async () => {},
  }
  return {
    key,
    bytes,
    reader,
    async *changed(signal) {
      if (changed === null) yield* map({ offset: 0, bytes }, signal)
      else yield* changed
    },
  }
}

/** `data` is sorted and lies inside the window. */
function* mapped(window: Extent, data: readonly Extent[]): Iterable<MappedExtent> {
  const zero = subtract([window], data)
  yield* [
    ...data.map((extent) => ({ ...extent, kind: 'data' as const })),
    ...zero.map((extent) => ({ ...extent, kind: 'zero' as const })),
  ].toSorted((a, b) => a.offset - b.offset)
}

/** Whether that is why a comparison failed: then everything is compared, with this as the reason. */
export const whyNotCompared = (error: unknown): string | null =>
  error instanceof NotCompared
    ? `Azure does not tell what has changed between two snapshots (${error.message})`
    : error instanceof Refusal && error.facts.status === 404
      ? 'A snapshot went away while it was compared'
      : null
