// Makes a page blob equal to one of its snapshots again. What a cycle that died has written must not be in the next point.
import type { Extent } from '@understudy/block/device'
import { sorted, split, union } from '@understudy/block/extents'
import { zeroRuns } from '@understudy/block/zero-detection'
import { damaged } from './failures.ts'
import { REQUEST_BYTES } from './limits.ts'
import type { LivePages } from './live-pages.ts'
import type { SnapshotRef, StorageCalls } from './storage-calls.ts'

export type PutBack = {
  readonly calls: StorageCalls
  readonly sealed: SnapshotRef
  readonly disk: string
  readonly bytes: number
  readonly listBytes: number
  /** Whether this storage can be asked which pages changed since a snapshot. */
  readonly pageDiff: boolean
  readonly signal?: AbortSignal
}

const PARALLEL = 4

export async function putBack(pages: LivePages, options: PutBack): Promise<void> {
  const { bytes, listBytes } = options
  for (let offset = 0; offset < bytes; offset += listBytes) {
    const window = { offset, bytes: Math.min(listBytes, bytes - offset) }
    const pieces = split(await mayDiffer(options, window), REQUEST_BYTES)
    const worker = async (): Promise<void> => {
      for (let piece = pieces.pop(); piece !== undefined; piece = pieces.pop())
        await putBackPiece(pages, options, piece)
    }
    await Promise.all(Array.from({ length: PARALLEL }, worker))
  }
}

async function mayDiffer(options: PutBack, window: Extent): Promise<readonly Extent[]> {
  const { calls, sealed, signal, pageDiff } = options
  const live = { name: sealed.name, snapshot: null }
  if (pageDiff) return await gather(calls.changedPages(live, sealed.snapshot, window, signal))
  return union(
    await gather(calls.pageRanges(live, window, signal)),
    await gather(calls.pageRanges(sealed, window, signal)),
  )
}

async function putBackPiece(pages: LivePages, options: PutBack, piece: Extent): Promise<void> {
  const { calls, sealed, disk, signal } = options
  const before = await calls.readPages(sealed, piece, signal)
  if (before === null)
    throw damaged({ disk: null, offset: 0, bytes: 0, why: `the newest snapshot of disk ${disk} is gone` })
  // Asked for pages that were written since, most have changed; asked without that help, hardly any.
  if (!options.pageDiff && before.equals(await pages.read(piece, signal))) return
  for (const { offset, bytes, kind } of zeroRuns(before, piece.offset)) {
    const start = offset - piece.offset
    if (kind === 'zero') await pages.clear(offset, bytes, signal)
    else await pages.put(offset, before.subarray(start, start + bytes), signal)
  }
}

async function gather(extents: AsyncIterable<Extent>): Promise<Extent[]> {
  const found: Extent[] = []
  for await (const extent of extents) found.push(extent)
  return sorted(found)
}
