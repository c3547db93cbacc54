// Where two disks differ. The oracle of every data test, and the way back when change tracking was lost.
import { KiB, MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { BlockReader, Extent, MappedExtent } from './device.ts'
import { GRAIN_BYTES, isZero } from './zero-detection.ts'

export type CompareOptions = {
  /** Differences are found at this grain; a power of two. */
  readonly grainBytes?: number
  readonly requestBytes?: number
  /** How many pairs of reads are under way. Memory stays within 2 x requestBytes x inFlight. */
  readonly inFlight?: number
  /** Only these parts, ascending. The whole disk when absent. */
  readonly extents?: Iterable<Extent>
  readonly signal?: AbortSignal
  /** How far we are, in bytes of the parts to compare. */
  readonly onProgress?: (comparedBytes: number) => void
}

/**
 * Yields what differs, ascending, in whole grains, neighbours joined. Parts that both disks map as zero are not read.
 * Throws Refusal when the sizes differ, and whatever a read throws; leaving the loop early stops all reading.
 */
export async function* compareDisks(
  a: BlockReader,
  b: BlockReader,
  options: CompareOptions = {},
): AsyncGenerator<Extent> {
  if (a.bytes !== b.bytes) throw sizesDiffer(a.bytes, b.bytes)
  const { grainBytes = GRAIN_BYTES, requestBytes = 256 * KiB, inFlight = 16 } = options
  invariant(requestBytes % grainBytes === 0, 'requests are whole grains')
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const parts = options.extents ?? [{ offset: 0, bytes: a.bytes }]
  const work: Promise<Compared>[] = []
  let open: Extent | null = null
  let comparedBytes = 0

  try {
    for await (const piece of pieces(a, b, parts, requestBytes, signal)) {
      signal.throwIfAborted()
      const comparing = piece.known
        ? Promise.resolve({ piece, differing: [] })
        : comparePiece(a, b, piece, grainBytes, signal)
      // A failure is met when its turn comes; until then it must not count as unhandled.
      comparing.catch(() => undefined)
      work.push(comparing)
      if (work.length < inFlight) continue
      yield* take(await work.shift())
    }
    while (work.length > 0) yield* take(await work.shift())
    if (open !== null) yield open
  } finally {
    stop.abort()
    await Promise.allSettled(work)
  }

  function* take(done: Compared | undefined): Generator<Extent> {
    if (done === undefined) return
    comparedBytes += done.piece.bytes
    options.onProgress?.(comparedBytes)
    for (const extent of done.differing) {
      if (open !== null && open.offset + open.bytes === extent.offset) {
        open = { offset: open.offset, bytes: open.bytes + extent.bytes }
        continue
      }
      if (open !== null) yield open
      open = extent
    }
  }
}

/** Whether the disks hold the same bytes. Stops at the first difference. */
export async function disksAreEqual(a: BlockReader, b: BlockReader, signal?: AbortSignal): Promise<boolean> {
  for await (const _ of compareDisks(a, b, signal === undefined ? {} : { signal })) return false
  return true
}

type Piece = Extent & {
  readonly aIsZero: boolean
  readonly bIsZero: boolean
  /** Known to be equal without reading. */
  readonly known: boolean
}
type Compared = { readonly piece: Piece; readonly differing: readonly Extent[] }

async function comparePiece(
  a: BlockReader,
  b: BlockReader,
  piece: Piece,
  grainBytes: number,
  signal: AbortSignal,
): Promise<Compared> {
  const { offset, bytes, aIsZero, bIsZero } = piece
  if (aIsZero || bIsZero) {
    const data = await (aIsZero ? b : a).read(offset, bytes, signal)
    return { piece, differing: differing(piece, grainBytes, (from, to) => isZero(data.subarray(from, to))) }
  }
  const [left, right] = await Promise.all([a.read(offset, bytes, signal), b.read(offset, bytes, signal)])
  const equal = (from: number, to: number): boolean => left.compare(right, from, to, from, to) === 0
  return { piece, differing: differing(piece, grainBytes, equal) }
}

/** The whole first, since nearly everything is equal; then grain by grain. */
function differing(
  { offset, bytes }: Extent,
  grainBytes: number,
  equal: (from: number, to: number) => boolean,
): Extent[] {
  if (equal(0, bytes)) return []
  const found: Extent[] = []
  for (let from = 0; from < bytes; ) {
    const to = Math.min(bytes, from + grainBytes - ((offset + from) % grainBytes))
    if (!equal(from, to)) found.push({ offset: offset + from, bytes: to - from })
    from = to
  }
  return found
}

/** Cuts the parts where either map changes and at multiples of `requestBytes`. Both-zero stretches stay whole. */
async function* pieces(
  a: BlockReader,
  b: BlockReader,
  parts: Iterable<Extent>,
  requestBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  for (const part of parts) {
    const left = walker(mapOf(a, part, signal))
    const right = walker(mapOf(b, part, signal))
    try {
      const end = part.offset + part.bytes
      for (let offset = part.offset; offset < end; ) {
        const ours = await left.at(offset)
        const theirs = await right.at(offset)
        const bothZero = ours.kind === 'zero' && theirs.kind === 'zero'
        const limit = bothZero ? end : offset - (offset % requestBytes) + requestBytes
        const next = Math.min(ours.offset + ours.bytes, theirs.offset + theirs.bytes, limit, end)
        invariant(next > offset, 'maps bring us forward')
        yield {
          offset,
          bytes: next - offset,
          aIsZero: ours.kind === 'zero',
          bIsZero: theirs.kind === 'zero',
          known: bothZero,
        }
        offset = next
      }
    } finally {
      await left.close()
      await right.close()
    }
  }
}

async function* mapOf(disk: BlockReader, part: Extent, signal: AbortSignal): AsyncGenerator<MappedExtent> {
  if (disk.map === undefined) yield { ...part, kind: 'data' }
  else yield* disk.map(part, signal)
}

/** The extent of a map that holds an offset, for offsets that only grow. */
function walker(map: AsyncGenerator<MappedExtent>): {
  at(offset: number): Promise<MappedExtent>
  close(): Promise<void>
} {
  let current: MappedExtent | null = null
  return {
    async at(offset) {
      while (current === null || current.offset + current.bytes <= offset) {
        const next = await map.next()
        invariant(next.done !== true, 'a map covers the whole range')
        current = next.value
      }
      return current
    },
    close: async () => {
      await map.return(undefined)
    },
  }
}

const sizesDiffer = (a: number, b: number): Refusal =>
  new Refusal({
    code: 'block/sizes-differ',
    message: `The disks cannot be compared: one has ${a / MiB} MiB, the other ${b / MiB} MiB`,
    remedy: 'Check that both are the same disk of the same machine; after a resize, replicate it anew.',
  })
