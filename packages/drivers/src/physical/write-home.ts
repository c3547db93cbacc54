// Bringing a disk of a receiver to the content of a point: its digests say what differs, so that only this is carried.
import type { AgentLine } from '@understudy/agent-protocol/agent-line'
import { MOST_ZERO_BYTES } from '@understudy/agent-protocol/asks'
import type { ReceiverLine, StandIn } from '@understudy/agent-protocol/receiver-line'
import { KiB, MiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { type CopySink, copyExtents } from '@understudy/block/copy-extents'
import type { Extent, MappedExtent } from '@understudy/block/device'
import { DIGEST_BYTES, digestOf } from '@understudy/block/digest'
import { below, coalesce } from '@understudy/block/extents'
import { MOST_DIGEST_BYTES } from '@understudy/engine/ports/source-platform'
import type { RestoreDisk } from '@understudy/engine/ports/target-platform'

/** Memory: so many pieces of that size, which also is what may be under way over a long line. */
const REQUEST_BYTES = MiB
const REQUESTS_IN_FLIGHT = 16
/** Ranges whose digests are asked for at once. Memory: a frame of the point for each of them. */
const DIGESTS_IN_FLIGHT = 4
const FRAME_BYTES = MiB
const LEAF_BYTES = 64 * KiB
/** Smaller ones go with the rest: they weigh nothing there either. */
const LEAST_ZERO_ASK_BYTES = 4 * MiB

export type HomeLine = Pick<AgentLine, 'ask'> & Pick<ReceiverLine, 'write'>

type Way = {
  readonly line: HomeLine
  readonly standIn: StandIn
  readonly disk: RestoreDisk
  readonly signal: AbortSignal | undefined
}

/** `trusted`: what `differs` says of the disk can be relied on; else all of it is compared. Returns the bytes that were written. */
export async function writeHome(
  way: Way & { readonly trusted: boolean; readonly onReached: (offset: number) => void },
): Promise<number> {
  const { line, standIn, disk, signal, trusted, onReached } = way
  const { agentId, id: assignment } = standIn
  const sink: CopySink = {
    write: (offset, content, stop) =>
      line.write(standIn, { assignment, disk: disk.key, offset, content }, stop),
    async zero(offset, bytes, stop) {
      for (let done = 0; done < bytes; ) {
        const piece = Math.min(bytes - done, MOST_ZERO_BYTES)
        if (piece >= LEAST_ZERO_ASK_BYTES)
          await line.ask(
            agentId,
            'zero-received',
            { assignment, disk: disk.key, offset: offset + done, bytes: piece },
            stop,
          )
        else await writeZeros(offset + done, piece, stop)
        done += piece
      }
    },
  }
  const writeZeros = async (offset: number, bytes: number, stop?: AbortSignal): Promise<void> => {
    for (let done = 0; done < bytes; done += REQUEST_BYTES) {
      const content = Buffer.alloc(Math.min(REQUEST_BYTES, bytes - done))
      await sink.write(offset + done, content, stop)
    }
  }
  const known = trusted ? disk.differs : null
  const extents = known === null ? differences(way, onReached) : reached(known, onReached)
  const totals = await copyExtents({
    from: disk.reader,
    to: sink,
    extents: below(extents, disk.bytes),
    requestBytes: REQUEST_BYTES,
    inFlight: REQUESTS_IN_FLIGHT,
    ...(signal === undefined ? {} : { signal }),
  })
  return totals.dataBytes + totals.zeroBytes
}

async function* reached(
  extents: AsyncIterable<MappedExtent>,
  onReached: (offset: number) => void,
): AsyncGenerator<MappedExtent> {
  for await (const extent of extents) {
    onReached(extent.offset)
    yield extent
  }
}

/** What the disk does not have yet, ascending, in leaves of 64 KiB. */
async function* differences(way: Way, onReached: (offset: number) => void): AsyncGenerator<MappedExtent> {
  const pending: Promise<MappedExtent[]>[] = []
  const next = async (): Promise<MappedExtent[]> => (await pending.shift()) ?? []
  try {
    for await (const piece of mapOf(way)) {
      way.signal?.throwIfAborted()
      const found = differing(way, piece)
      // It is awaited in its turn; until then a failure must not count as unhandled.
      found.catch(() => {})
      pending.push(found)
      if (pending.length < DIGESTS_IN_FLIGHT) continue
      yield* await next()
      onReached(piece.offset)
    }
    while (pending.length > 0) yield* await next()
  } finally {
    await Promise.allSettled(pending)
  }
}

/** What reads as zeros is known where the reader can tell, and costs no read of it. */
async function* mapOf({ disk: { reader, bytes }, signal }: Way): AsyncGenerator<MappedExtent> {
  const whole = { offset: 0, bytes }
  for await (const part of reader.map?.(whole, signal) ?? [{ ...whole, kind: 'data' as const }])
    for (const piece of cut(part, MOST_DIGEST_BYTES)) yield { ...piece, kind: part.kind }
}

async function differing({ line, standIn, disk, signal }: Way, piece: MappedExtent): Promise<MappedExtent[]> {
  const { agentId, id: assignment } = standIn
  const ours = async (part: Extent): Promise<Buffer> =>
    piece.kind === 'zero'
      ? digestOfZeros(part.bytes)
      : digestOf(await disk.reader.read(part.offset, part.bytes, signal))
  const compare = async (within: Extent, pieceBytes: number): Promise<Extent[]> => {
    const question = { assignment, disk: disk.key, offset: within.offset, bytes: within.bytes, pieceBytes }
    const { digests } = await line.ask(agentId, 'digest-received', question, signal)
    const theirs = Buffer.from(digests, 'base64')
    const parts = cut(within, pieceBytes)
    if (theirs.length !== parts.length * DIGEST_BYTES) throw badDigests()
    const found: Extent[] = []
    for (const [index, part] of parts.entries()) {
      const digest = theirs.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
      if (!digest.equals(await ours(part))) found.push(part)
    }
    return found
  }
  const found: Extent[] = []
  // Frames side by side are asked about at once: on a long line every ask costs a round trip.
  for (const run of coalesce(await compare(piece, FRAME_BYTES)))
    found.push(...(await compare(run, LEAF_BYTES)))
  return coalesce(found).map((extent) => ({ ...extent, kind: piece.kind }))
}

const zeroDigests = new Map<number, Buffer>()
/** There are few sizes: pieces, and the ends of disks. */
function digestOfZeros(bytes: number): Buffer {
  const known = zeroDigests.get(bytes)
  if (known) return known
  const digest = digestOf(Buffer.alloc(bytes))
  if (zeroDigests.size < 100) zeroDigests.set(bytes, digest)
  return digest
}

function cut({ offset, bytes }: Extent, pieceBytes: number): Extent[] {
  const list: Extent[] = []
  for (let done = 0; done < bytes; done += pieceBytes)
    list.push({ offset: offset + done, bytes: Math.min(pieceBytes, bytes - done) })
  return list
}

const badDigests = (): Outage =>
  new Outage({
    code: 'agent/bad-digests',
    message: 'The receiver told other digests than it was asked for',
    remedy: 'It is tried again. If it stays, bring the rescue system to the version of this server.',
  })
