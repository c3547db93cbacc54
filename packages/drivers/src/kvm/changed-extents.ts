// From what a dirty bitmap says to what has to be copied.
import { KiB } from '@understudy/base/bytes'
import type { Extent, MappedExtent } from '@understudy/block/device'
import type { NbdReader } from '@understudy/block/nbd/client'

// Asking where the holes are costs a round trip per run. Short runs are read, and zeros found in what was read.
const LEAST_MAPPED_BYTES = 64 * KiB

/** What these functions need of a disk. `map` as in BlockReader. */
export type MappedDisk = {
  readonly bytes: number
  map(range: Extent, signal?: AbortSignal): AsyncIterable<MappedExtent>
  blockStatus: NbdReader['blockStatus']
}

/** A disk that nobody writes to. */
export const toMappedDisk = (device: NbdReader): MappedDisk => ({
  bytes: device.bytes,
  blockStatus: device.blockStatus,
  map: (range, signal) => device.map?.(range, signal) ?? allData(range),
})

/**
 * A snapshot of a disk that is being written to, by its access node and its scratch node.
 *
 * Where the guest has discarded or zeroed since, QEMU (7.2) reports the access node as zero although it rightly reads as
 * the old data. Taking that for content would replace data by zeros, silently. Old data is saved in the scratch before the
 * guest's change goes through. So `zero` counts only where the scratch, asked afterwards, holds no data.
 */
export const toSnapshotDisk = (access: NbdReader, scratch: NbdReader): MappedDisk => ({
  bytes: access.bytes,
  blockStatus: access.blockStatus,
  async *map(range, signal) {
    if (access.map === undefined || scratch.map === undefined) return yield* allData(range)
    for await (const extent of access.map(range, signal)) {
      if (extent.kind === 'data') yield extent
      else yield* scratch.map(extent, signal)
    }
  },
})

async function* allData(range: Extent): AsyncGenerator<MappedExtent> {
  if (range.bytes > 0) yield { offset: range.offset, bytes: range.bytes, kind: 'data' }
}

/** Everything, with what is known to read as zeros. */
export async function* wholeDisk(disk: MappedDisk, signal?: AbortSignal): AsyncGenerator<MappedExtent> {
  yield* disk.map({ offset: 0, bytes: disk.bytes }, signal)
}

/**
 * What changed since the bitmap began, sorted. `bytesThen` is the disk's size at that time: what it has grown by is changed
 * whatever the bitmap says.
 */
export async function* changedSince(
  disk: MappedDisk,
  bitmap: string,
  bytesThen: number,
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  const commonBytes = Math.min(bytesThen, disk.bytes)
  const context = `qemu:dirty-bitmap:${bitmap}`
  if (commonBytes > 0) {
    for await (const run of disk.blockStatus(context, { offset: 0, bytes: commonBytes }, signal)) {
      if ((run.flags & 1) !== 0) yield* mappedRun(disk, run, signal)
    }
  }
  const grownBytes = disk.bytes - commonBytes
  if (grownBytes > 0) yield* disk.map({ offset: commonBytes, bytes: grownBytes }, signal)
}

/** These runs, the long ones divided into data and zeros. */
export async function* mappedRuns(
  disk: MappedDisk,
  runs: readonly Extent[],
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  for (const run of runs) yield* mappedRun(disk, run, signal)
}

async function* mappedRun(
  disk: MappedDisk,
  run: Extent,
  signal: AbortSignal | undefined,
): AsyncGenerator<MappedExtent> {
  if (run.bytes < LEAST_MAPPED_BYTES) yield { offset: run.offset, bytes: run.bytes, kind: 'data' }
  else yield* disk.map(run, signal)
}
