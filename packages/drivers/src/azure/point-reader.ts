// Content of a point, read from snapshots and compared with its sums on every read.
import { roundDown, roundUp } from '@understudy/base/bytes'
import { invariant, present } from '@understudy/base/invariant'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import { coalesce, split } from '@understudy/block/extents'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import { contentSnapshot, sumsSnapshot } from './blob-names.ts'
import { damaged } from './failures.ts'
import { findWrongGrain, SUM_BYTES, type Summing, summingFor, sumsBytes, sumsOf } from './grain-sums.ts'
import { type AzureLimits, REQUEST_BYTES } from './limits.ts'
import type { StoredDisk } from './manifests.ts'
import type { SnapshotRef, StorageCalls } from './storage-calls.ts'

const PARALLEL = 4
/** Sums are read in pieces of this size, which stand for 32 MiB of disk. */
const CHUNK_BYTES = 64 * 1024

export type DiskSource = {
  readonly calls: StorageCalls
  readonly folder: string
  readonly disk: StoredDisk
  readonly limits: AzureLimits
}

/** Disk reader that can also show the sums: whoever looks for differences or damage reads those first. */
export type SummedReader = BlockReader & {
  /** Of whole grains. */
  readSums(range: Extent, signal?: AbortSignal): Promise<Buffer>
  /** Without looking at the sums. Whole grains, at most one request. */
  readRaw(range: Extent, signal?: AbortSignal): Promise<Buffer>
  readonly summing: Summing
}

export function openDisk({ calls, folder, disk, limits }: DiskSource): SummedReader {
  const content = contentSnapshot(folder, disk)
  const sums = sumsSnapshot(folder, disk)
  const summing = summingFor(disk.blob)
  const chunks = new Map<number, Promise<Buffer>>()

  const loadChunk = async (chunk: number): Promise<Buffer> => {
    const offset = chunk * CHUNK_BYTES
    const bytes = Math.min(CHUNK_BYTES, sumsBytes(disk.bytes) - offset)
    return await readSnapshot(calls, disk, sums, { offset, bytes })
  }
  const chunkOf = (chunk: number): Promise<Buffer> => {
    const known = chunks.get(chunk)
    const loading = known ?? loadChunk(chunk)
    // The one used last is the last to go. One that failed is asked for again.
    chunks.delete(chunk)
    chunks.set(chunk, loading)
    loading.catch(() => chunks.delete(chunk))
    for (const oldest of chunks.keys()) {
      if (chunks.size <= limits.sumCacheChunks) break
      chunks.delete(oldest)
    }
    return loading
  }
  const readSums = async (range: Extent, signal?: AbortSignal): Promise<Buffer> => {
    const { offset, bytes } = sumsOf(range)
    const found = Buffer.alloc(bytes)
    for (let at = offset; at < offset + bytes; ) {
      signal?.throwIfAborted()
      const chunk = Math.floor(at / CHUNK_BYTES)
      const start = at - chunk * CHUNK_BYTES
      const length = Math.min(CHUNK_BYTES - start, offset + bytes - at)
      const loaded = await chunkOf(chunk)
      loaded.copy(found, at - offset, start, start + length)
      at += length
    }
    return found
  }
  const readRaw = (range: Extent, signal?: AbortSignal): Promise<Buffer> =>
    readSnapshot(calls, disk, content, range, signal)

  const readGrains = async (range: Extent, signal: AbortSignal | undefined): Promise<Buffer> => {
    const [data, wanted] = await Promise.all([readRaw(range, signal), readSums(range, signal)])
    const wrong = findWrongGrain(summing, { offset: range.offset, data, sums: wanted })
    if (wrong === null) return data
    throw damaged({
      disk: disk.key,
      offset: wrong * GRAIN_BYTES,
      bytes: GRAIN_BYTES,
      why: 'the content does not fit its checksum',
    })
  }

  return {
    bytes: disk.bytes,
    summing,
    readSums,
    readRaw,
    async read(offset, bytes, signal) {
      invariant(offset >= 0 && bytes >= 0 && offset + bytes <= disk.bytes, 'the range lies inside the disk')
      if (bytes === 0) return Buffer.alloc(0)
      const start = roundDown(offset, GRAIN_BYTES)
      const whole = { offset: start, bytes: roundUp(offset + bytes, GRAIN_BYTES) - start }
      const pieces = split([whole], REQUEST_BYTES)
      const parts = await inOrder(pieces, (piece) => readGrains(piece, signal))
      const data = parts.length === 1 ? present(parts[0], 'one part') : Buffer.concat(parts)
      return data.subarray(offset - start, offset - start + bytes)
    },
    async *map(range, signal) {
      for (const window of split([range], limits.listBytes)) yield* mapWindow(window, signal)
    },
    close: async () => chunks.clear(),
  }

  async function* mapWindow(window: Extent, signal: AbortSignal | undefined): AsyncIterable<MappedExtent> {
    const start = roundDown(window.offset, GRAIN_BYTES)
    const end = roundUp(window.offset + window.bytes, GRAIN_BYTES)
    const found: Extent[] = []
    for await (const extent of calls.pageRanges(content, { offset: start, bytes: end - start }, signal))
      found.push(extent)
    let at = window.offset
    const last = window.offset + window.bytes
    for (const { offset, bytes } of coalesce(found)) {
      const [from, to] = [Math.max(offset, at), Math.min(offset + bytes, last)]
      if (to <= from) continue
      if (from > at) yield { offset: at, bytes: from - at, kind: 'zero' }
      yield { offset: from, bytes: to - from, kind: 'data' }
      at = to
    }
    if (at < last) yield { offset: at, bytes: last - at, kind: 'zero' }
  }
}

async function readSnapshot(
  calls: StorageCalls,
  { key, bytes }: StoredDisk,
  from: SnapshotRef,
  range: Extent,
  signal?: AbortSignal,
): Promise<Buffer> {
  const data = await calls.readPages(from, range, signal)
  if (data !== null) return data
  throw damaged({
    disk: key,
    offset: 0,
    bytes,
    why: 'its snapshot was deleted, or is not the one that was sealed',
  })
}

/** A few at a time; the results in the order of the items. */
async function inOrder<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next
      next += 1
      results[index] = await work(present(items[index], 'inside the list'))
    }
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, worker))
  return results
}

/** The eight bytes of one grain in what `readSums` gave. */
export const sumAt = (sums: Buffer, index: number): Buffer =>
  sums.subarray(index * SUM_BYTES, (index + 1) * SUM_BYTES)
