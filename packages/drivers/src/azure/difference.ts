// Which parts of a disk may differ between two points. Azure tells which pages changed between two snapshots of one blob; where it
// does not (an emulator, a disk that changed its size), the sums of both points do: they name the point that wrote each grain.
import { roundUp } from '@understudy/base/bytes'
import type { Extent, MappedExtent } from '@understudy/block/device'
import { coalesce, intersect, sorted, union } from '@understudy/block/extents'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import { contentSnapshot, sumsSnapshot } from './blob-names.ts'
import { SUM_BYTES, sumsOf } from './grain-sums.ts'
import type { AzureLimits } from './limits.ts'
import type { StoredDisk } from './manifests.ts'
import { openDisk, sumAt } from './point-reader.ts'
import type { StorageCalls } from './storage-calls.ts'

export type DifferenceDeps = {
  readonly calls: StorageCalls
  readonly folder: string
  readonly limits: AzureLimits
  pageDiff(): Promise<boolean>
}

/** Sorted. Null: the point has no such disk. */
export async function* difference(
  deps: DifferenceDeps,
  from: StoredDisk | null,
  to: StoredDisk | null,
  signal?: AbortSignal,
): AsyncIterable<MappedExtent> {
  const longer = Math.max(from?.bytes ?? 0, to?.bytes ?? 0)
  if (longer === 0) return
  if (from === null || to === null || from.blob !== to.blob)
    return yield { offset: 0, bytes: longer, kind: 'data' }
  if (from.content.snapshot === to.content.snapshot) return
  const common = Math.min(from.bytes, to.bytes)
  const windowBytes = Math.min(deps.limits.listBytes, longer)
  const byPages = from.bytes === to.bytes && (await deps.pageDiff())
  for (let offset = 0; offset < longer; offset += windowBytes) {
    signal?.throwIfAborted()
    const window = { offset, bytes: Math.min(windowBytes, longer - offset) }
    // What only one of the two has differs.
    const tail = intersect(
      [window],
      [{ offset: common, bytes: longer - common }].filter(({ bytes }) => bytes > 0),
    )
    const shared = intersect([window], [{ offset: 0, bytes: common }])[0]
    const changed =
      shared === undefined
        ? []
        : byPages
          ? await byPageLists(deps, { from, to }, shared, signal)
          : await bySums(deps, { from, to }, shared, signal)
    for (const extent of union(changed, tail)) yield { ...extent, kind: 'data' }
  }
}

type Pair = { readonly from: StoredDisk; readonly to: StoredDisk }

async function byPageLists(
  { calls, folder }: DifferenceDeps,
  { from, to }: Pair,
  window: Extent,
  signal: AbortSignal | undefined,
): Promise<Extent[]> {
  const [earlier, later] = from.content.snapshot < to.content.snapshot ? [from, to] : ([to, from] as const)
  const found: Extent[] = []
  const source = contentSnapshot(folder, later)
  for await (const { offset, bytes } of calls.changedPages(source, earlier.content.snapshot, window, signal))
    found.push({ offset, bytes })
  return intersect(sorted(found), [window])
}

/** Pieces of the disk whose sums are compared at a time: 64 KiB of sums. */
const PIECE_BYTES = (64 * 1024 * GRAIN_BYTES) / SUM_BYTES

/** Exact: see `grain-sums.ts`. Costs a read of the sums wherever one of the two has any. */
export async function bySums(
  deps: Omit<DifferenceDeps, 'pageDiff'>,
  { from, to }: Pair,
  window: Extent,
  signal?: AbortSignal,
): Promise<Extent[]> {
  const { calls, folder } = deps
  const [left, right] = [openDisk({ ...deps, disk: from }), openDisk({ ...deps, disk: to })]
  const range = { offset: window.offset, bytes: roundUp(window.bytes, GRAIN_BYTES) }
  const filled: Extent[] = []
  for (const disk of [from, to])
    for await (const extent of calls.pageRanges(sumsSnapshot(folder, disk), pagesOf(range), signal))
      filled.push(extent)
  const found: Extent[] = []
  for (const piece of piecesOf(sorted(filled), range)) {
    const [a, b] = await Promise.all([left.readSums(piece, signal), right.readSums(piece, signal)])
    for (let index = 0; index < piece.bytes / GRAIN_BYTES; index += 1)
      if (!sumAt(a, index).equals(sumAt(b, index)))
        found.push({ offset: piece.offset + index * GRAIN_BYTES, bytes: GRAIN_BYTES })
  }
  return intersect(coalesce(found), [window])
}

/** The whole pages of sums around a range. */
function pagesOf(range: Extent): Extent {
  const { offset, bytes } = sumsOf(range)
  const start = offset - (offset % 512)
  return { offset: start, bytes: roundUp(offset + bytes - start, 512) }
}

/** The pieces of the disk whose sums lie in the pages. */
function piecesOf(sums: readonly Extent[], range: Extent): Extent[] {
  const grains = (bytes: number): number => (bytes / SUM_BYTES) * GRAIN_BYTES
  const inside = intersect(
    sums.map(({ offset, bytes }) => ({ offset: grains(offset), bytes: grains(bytes) })),
    [range],
  )
  const pieces: Extent[] = []
  for (const { offset, bytes } of inside)
    for (let at = offset; at < offset + bytes; at += PIECE_BYTES)
      pieces.push({ offset: at, bytes: Math.min(PIECE_BYTES, offset + bytes - at) })
  return pieces
}
