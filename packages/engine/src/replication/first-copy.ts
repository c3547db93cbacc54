// A first copy goes on where it was interrupted. Every so often what is there becomes durable as an unfinished copy, whose mark names the
// checkpoint of the source and how far each disk is copied. Whoever goes on reads what has changed below that since then, and the rest. Where
// nobody knows what has changed, what is there is compared.
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import { below } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { SourceDisk } from '../ports/source-platform.ts'

/** Of each disk, what lies below `upTo` equals the disk at `checkpoint`, but for what was written since while it was copied live. */
export type FirstCopyMark = {
  readonly checkpoint: string
  readonly upTo: readonly (readonly [DiskKey, number])[]
}

export const writeMark = (firstCopy: FirstCopyMark): string => JSON.stringify({ firstCopy })

/** Null: there is none, or what lies there is of something else (a seed on a disk). */
export function readMark(unfinished: string | undefined): FirstCopyMark | null {
  const { firstCopy } = JSON.parse(unfinished ?? '{}') as { readonly firstCopy?: FirstCopyMark }
  return firstCopy ?? null
}

export type FirstCopy = {
  readonly disks: readonly SourceDisk[]
  /** What was copied before; `changed()` tells what may differ since. Null: nothing, and it tells of whole disks. */
  readonly mark: FirstCopyMark | null
  readonly keepBytes: number
  readonly signal: AbortSignal
  /** Copies all of the `changed()` of a disk. `over`: what was copied before lies there already. */
  copy(disk: SourceDisk, over: boolean): Promise<void>
  /** Makes what was copied durable, as far as `upTo` says. */
  keep(upTo: FirstCopyMark['upTo']): Promise<void>
}

/** Everything is copied when this returns; `keep` was called whenever so much was at stake. */
export async function copyFirst({ disks, mark, keepBytes, signal, copy, keep }: FirstCopy): Promise<void> {
  const before = new Map(mark?.upTo)
  const safe = new Map(disks.map(({ key, bytes }) => [key, Math.min(before.get(key) ?? 0, bytes)]))
  // All that was safe has to be of one instant again before anything can be said of it.
  const stale = disks.filter(({ key }) => (safe.get(key) ?? 0) > 0)
  for (const disk of stale) {
    const end = safe.get(disk.key) ?? 0
    await copy({ ...disk, changed: (stop) => below(disk.changed(stop), end) }, true)
  }
  if (stale.length > 0) await keep([...safe])
  let unkeptBytes = 0
  for (const disk of disks) {
    const from = safe.get(disk.key) ?? 0
    const rest = [{ offset: from, bytes: disk.bytes - from }]
    const queue = extentQueue(mark === null ? disk.changed(signal) : mappedExtents(disk.reader, rest, signal))
    try {
      while (from < disk.bytes && !queue.isEmpty()) {
        await copy({ ...disk, changed: () => queue.take(keepBytes - unkeptBytes) }, false)
        unkeptBytes += queue.tookBytes()
        safe.set(disk.key, queue.isEmpty() ? disk.bytes : queue.position())
        if (unkeptBytes < keepBytes) continue
        await keep([...safe])
        unkeptBytes = 0
      }
    } finally {
      await queue.close()
    }
  }
}

/** What of the extents reads as zeros, where the reader knows. */
export async function* mappedExtents(
  reader: BlockReader,
  extents: readonly Extent[],
  signal: AbortSignal,
): AsyncGenerator<MappedExtent> {
  for (const extent of extents)
    if (reader.map) yield* reader.map(extent, signal)
    else yield { ...extent, kind: 'data' }
}

/** Ascending extents, taken in portions. */
function extentQueue(extents: AsyncIterable<MappedExtent>) {
  const iterator = extents[Symbol.asyncIterator]()
  let held: MappedExtent | null = null
  let [isEmpty, position, tookBytes] = [false, 0, 0]
  return {
    isEmpty: () => isEmpty,
    /** The end of what was taken last. */
    position: () => position,
    /** Data in the last portion. */
    tookBytes: () => tookBytes,
    /** Until so much data was taken. Zeros cost nothing. */
    async *take(dataBytes: number): AsyncGenerator<MappedExtent> {
      tookBytes = 0
      while (tookBytes < dataBytes) {
        if (held === null) {
          const next = await iterator.next()
          if (next.done) {
            isEmpty = true
            return
          }
          held = next.value
        }
        const { offset, kind } = held
        const bytes = kind === 'zero' ? held.bytes : Math.min(held.bytes, dataBytes - tookBytes)
        held = bytes === held.bytes ? null : { offset: offset + bytes, bytes: held.bytes - bytes, kind }
        if (kind === 'data') tookBytes += bytes
        position = offset + bytes
        yield { offset, bytes, kind }
      }
    },
    async close(): Promise<void> {
      await iterator.return?.()
    },
  }
}
