// From what a dirty bitmap says to what has to be copied.
import { KiB } from '@understudy/base/bytes'
import type { Extent, MappedExtent } from '@understudy/block/device'
import type { NbdReader } from '@understudy/block/nbd/client'

// Asking where the holes are costs a round trip per run. Short runs are read, and zeros found in what was read.
const LEAST_MAPPED_BYTES = 64 * KiB

/** Everything, with what is known to read as zeros. */
export async function* wholeDisk(device: NbdReader, signal?: AbortSignal): AsyncGenerator<MappedExtent> {
  yield* mapped(device, { offset: 0, bytes: device.bytes }, signal)
}

/**
 * What changed since the bitmap began, sorted. `bytesThen` is the disk's size at that time: what it has grown by is changed
 * whatever the bitmap says.
 */
export async function* changedSince(
  device: NbdReader,
  bitmap: string,
  bytesThen: number,
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  const commonBytes = Math.min(bytesThen, device.bytes)
  const context = `qemu:dirty-bitmap:${bitmap}`
  if (commonBytes > 0) {
    for await (const run of device.blockStatus(context, { offset: 0, bytes: commonBytes }, signal)) {
      if ((run.flags & 1) !== 0) yield* mappedRun(device, run, signal)
    }
  }
  const grownBytes = device.bytes - commonBytes
  if (grownBytes > 0) yield* mapped(device, { offset: commonBytes, bytes: grownBytes }, signal)
}

/** These runs, the long ones divided into data and zeros. */
export async function* mappedRuns(
  device: NbdReader,
  runs: readonly Extent[],
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  for (const run of runs) yield* mappedRun(device, run, signal)
}

async function* mappedRun(
  device: NbdReader,
  run: Extent,
  signal: AbortSignal | undefined,
): AsyncGenerator<MappedExtent> {
  if (run.bytes < LEAST_MAPPED_BYTES) yield { offset: run.offset, bytes: run.bytes, kind: 'data' }
  else yield* mapped(device, run, signal)
}

async function* mapped(
  device: NbdReader,
  range: Extent,
  signal: AbortSignal | undefined,
): AsyncGenerator<MappedExtent> {
  if (range.bytes === 0) return
  if (device.map === undefined) yield { offset: range.offset, bytes: range.bytes, kind: 'data' }
  else yield* device.map(range, signal)
}
