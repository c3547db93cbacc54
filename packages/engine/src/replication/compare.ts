// Finding what differs between a source disk and our copy of it when change tracking cannot say.
import { KiB, MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import { DIGEST_BYTES, digestOf } from '@understudy/block/digest'
import { coalesce } from '@understudy/block/extents'
import { isZero } from '@understudy/block/zero-detection'
import { MOST_DIGEST_BYTES, type SourceDisk } from '../ports/source-platform.ts'

const GRAIN_BYTES = 4 * KiB
/** Of both sides a frame is compared first; where it differs, its leaves are, and those that differ are read. */
const FRAME_BYTES = MiB
const LEAF_BYTES = 64 * KiB
/** Ranges whose digests are asked for at once. Memory: a frame of the copy for each of them. */
const DIGESTS_IN_FLIGHT = 4

export type CompareRequest = {
  readonly source: BlockReader
  /** There where reading the source is dear. */
  readonly digests?: SourceDisk['digests']
  /** What is in the replica now; it may be shorter than the source. */
  readonly copy: BlockReader
  /** What to compare of the source, ascending: normally the whole disk. */
  readonly extents: AsyncIterable<MappedExtent>
  readonly requestBytes: number
  /** Pieces compared at once. Memory: this x 2 x requestBytes. */
  readonly inFlight: number
  readonly signal?: AbortSignal
  /** Called with the bytes compared since the last call. */
  readonly onCompared?: (bytes: number) => void
}

/**
 * The parts of the source that the copy does not have, ascending, in 4 KiB grains, or leaves of 64 KiB by digests. A part of the copy that cannot be read
 * because its checksum is wrong (`replica/damaged`) differs by definition: comparing is how damage is repaired.
 */
export async function* findDifferences(request: CompareRequest): AsyncGenerator<MappedExtent> {
  const pending: Promise<MappedExtent[]>[] = []
  try {
    const [pieceBytes, inFlight] = request.digests
      ? [MOST_DIGEST_BYTES, Math.min(DIGESTS_IN_FLIGHT, request.inFlight)]
      : [request.requestBytes, request.inFlight]
    for await (const piece of pieces(request.extents, {
      dataBytes: pieceBytes,
      holeBytes: 1024 * request.requestBytes,
    })) {
      request.signal?.throwIfAborted()
      const found = comparePiece(request, piece)
      // It is awaited in its turn; until then a failure must not count as unhandled.
      found.catch(() => {})
      pending.push(found)
      if (pending.length >= inFlight) yield* await next(pending)
    }
    while (pending.length > 0) yield* await next(pending)
  } finally {
    await Promise.allSettled(pending)
  }
}

async function next(pending: Promise<MappedExtent[]>[]): Promise<MappedExtent[]> {
  return (await pending.shift()) ?? []
}

async function* pieces(
  extents: AsyncIterable<MappedExtent>,
  { dataBytes, holeBytes }: { readonly dataBytes: number; readonly holeBytes: number },
): AsyncGenerator<MappedExtent> {
  for await (const extent of extents) {
    // A hole costs no read of the source: it is cut less often, and the copy's own map skips most of it.
    const pieceBytes = extent.kind === 'zero' ? holeBytes : dataBytes
    for (let done = 0; done < extent.bytes; done += pieceBytes)
      yield {
        offset: extent.offset + done,
        bytes: Math.min(pieceBytes, extent.bytes - done),
        kind: extent.kind,
      }
  }
}

async function comparePiece(request: CompareRequest, piece: MappedExtent): Promise<MappedExtent[]> {
  const { copy, onCompared } = request
  const commonBytes = Math.max(0, Math.min(piece.bytes, copy.bytes - piece.offset))
  const common = { ...piece, bytes: commonBytes }
  const found = commonBytes === 0 ? [] : await compareCommon(request, common)
  if (commonBytes < piece.bytes)
    found.push({ offset: piece.offset + commonBytes, bytes: piece.bytes - commonBytes, kind: piece.kind })
  onCompared?.(piece.bytes)
  return found
}

function compareCommon(request: CompareRequest, piece: MappedExtent): Promise<MappedExtent[]> {
  if (piece.kind === 'zero') return compareHole(request, piece)
  return request.digests ? compareDigests(request, request.digests, piece) : compareData(request, piece)
}

async function compareDigests(
  { copy, signal }: CompareRequest,
  digests: NonNullable<CompareRequest['digests']>,
  range: Extent,
): Promise<MappedExtent[]> {
  const found: Extent[] = []
  const differing = async (within: Extent, pieceBytes: number): Promise<Extent[]> => {
    const theirs = await digests(within, pieceBytes, signal)
    const list: Extent[] = []
    for (const [index, piece] of cut(within, pieceBytes).entries()) {
      const digest = theirs.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
      invariant(digest.length === DIGEST_BYTES, 'every piece has its digest')
      const ours = await readUnlessDamaged(copy, piece, signal)
      if (ours === 'damaged' || !digestOf(ours).equals(digest)) list.push(piece)
    }
    return list
  }
  for (const frame of await differing(range, FRAME_BYTES)) found.push(...(await differing(frame, LEAF_BYTES)))
  return coalesce(found).map((extent) => ({ ...extent, kind: 'data' }))
}

function cut({ offset, bytes }: Extent, pieceBytes: number): Extent[] {
  const list: Extent[] = []
  for (let done = 0; done < bytes; done += pieceBytes)
    list.push({ offset: offset + done, bytes: Math.min(pieceBytes, bytes - done) })
  return list
}

async function compareData({ source, copy, signal }: CompareRequest, piece: Extent): Promise<MappedExtent[]> {
  const [ours, theirs] = await Promise.all([
    readUnlessDamaged(copy, piece, signal),
    source.read(piece.offset, piece.bytes, signal),
  ])
  if (ours === 'damaged') return [{ ...piece, kind: 'data' }]
  if (ours.equals(theirs)) return []
  return differingGrains(piece, 'data', (start, end) => theirs.compare(ours, start, end, start, end) === 0)
}

/** The source reads as zeros here; where the copy does not, it differs. */
async function compareHole(request: CompareRequest, hole: Extent): Promise<MappedExtent[]> {
  const { copy, signal, requestBytes } = request
  const found: MappedExtent[] = []
  for await (const part of copy.map?.(hole, signal) ?? [{ ...hole, kind: 'data' as const }]) {
    if (part.kind === 'zero') continue
    for (let done = 0; done < part.bytes; done += requestBytes) {
      const piece = { offset: part.offset + done, bytes: Math.min(requestBytes, part.bytes - done) }
      const ours = await readUnlessDamaged(copy, piece, signal)
      if (ours === 'damaged') found.push({ ...piece, kind: 'zero' })
      else if (!isZero(ours))
        found.push(...differingGrains(piece, 'zero', (start, end) => isZero(ours.subarray(start, end))))
    }
  }
  return found
}

async function readUnlessDamaged(
  copy: BlockReader,
  piece: Extent,
  signal: AbortSignal | undefined,
): Promise<Buffer | 'damaged'> {
  try {
    return await copy.read(piece.offset, piece.bytes, signal)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'replica/damaged') return 'damaged'
    throw error
  }
}

function differingGrains(
  piece: Extent,
  kind: MappedExtent['kind'],
  equal: (start: number, end: number) => boolean,
): MappedExtent[] {
  const found: MappedExtent[] = []
  let open: { offset: number; bytes: number; kind: MappedExtent['kind'] } | null = null
  for (let start = 0; start < piece.bytes; ) {
    const grainEnd = start + GRAIN_BYTES - ((piece.offset + start) % GRAIN_BYTES)
    const end = Math.min(piece.bytes, grainEnd)
    if (equal(start, end)) open = null
    else if (open) open.bytes += end - start
    else {
      open = { offset: piece.offset + start, bytes: end - start, kind }
      found.push(open)
    }
    start = end
  }
  return found
}
