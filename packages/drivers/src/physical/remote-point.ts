// A point that an agent holds open: its changes come in pages, its content through streams, and its rounds of settling one after the other.
import { randomUUID } from 'node:crypto'
import type { AgentLine } from '@understudy/agent-protocol/agent-line'
import { MOST_READ_BYTES } from '@understudy/agent-protocol/frames'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import { invariant } from '@understudy/base/invariant'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import { DIGEST_BYTES } from '@understudy/block/digest'
import type { AgentId } from '@understudy/domain/agents/agent'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import type {
  OpenPointRequest,
  OpenPointResult,
  SettledPoint,
  SettleRound,
  ShutDownProof,
  SourceDisk,
  SourceMachinePoint,
} from '@understudy/engine/ports/source-platform'

type Wanted = {
  readonly agentId: AgentId
  readonly machine: OpenPointRequest['machines'][number]
  readonly consistency: Consistency
  readonly opening: string
  readonly last: OpenPointRequest['last']
}

/** Where a disk of this point is found at the agent. */
type Place = {
  readonly line: AgentLine
  readonly clock: Clock
  /** When the point was asked for. */
  readonly askedAt: Instant
  readonly agentId: AgentId
  readonly opening: string
  readonly round: number
  readonly tellsDigests: boolean
}

export async function openRemotePoint(
  { line, clock }: Pick<Place, 'line' | 'clock'>,
  { agentId, machine, consistency, opening, last }: Wanted,
  signal?: AbortSignal,
): Promise<OpenPointResult> {
  const { ref, trackingId, since, excludedDisks, readWhole = false } = machine
  const letGo = async (kept: boolean): Promise<void> => {
    await line.ask(agentId, 'release-point', { opening, kept })
  }
  const question = {
    opening,
    trackingId,
    since,
    excludedDisks: [...excludedDisks],
    consistency,
    readWhole,
    ...(last ? { last } : {}),
  }
  const askedAt = clock.now()
  const opened = await line.ask(agentId, 'open-point', question, signal).catch((error: unknown) => {
    // It may have been opened all the same, and nobody would ever let it go.
    void letGo(false).catch(() => {})
    throw error
  })
  if (opened.kind === 'tracking-lost') return { kind: 'tracking-lost', ref, reason: opened.reason }
  const { consistencyNote, checkpoint, pauseMilliseconds, disks, settles } = opened
  if (last && !opened.last) {
    await letGo(false)
    throw tooOldForLast()
  }
  let released: Promise<void> | null = null
  const release = (kept: boolean): Promise<void> => {
    released ??= letGo(kept)
    return released
  }
  const place = {
    line,
    clock,
    askedAt,
    agentId,
    opening,
    round: 0,
    tellsDigests: opened.digests ?? false,
  }
  const point: SourceMachinePoint = {
    ref,
    checkpoint,
    disks: disks.map((disk) => remoteDisk(place, disk)),
    ...(settles ? { settle: (copy, stop) => settle(place, copy, stop) } : {}),
    ...(last ? { powerOff: (stop) => powerOff(place, stop) } : {}),
    release,
  }
  return {
    kind: 'opened',
    point: {
      instant: instantOf(place, opened),
      consistency: opened.consistency,
      consistencyNote,
      machines: [point],
      pauseMilliseconds,
      release,
    },
  }
}

/** Whatever is said but that it was let go: an answer that was lost on the way may have been a yes. */
async function powerOff(
  { line, clock, agentId, opening }: Place,
  signal?: AbortSignal,
): Promise<ShutDownProof> {
  const { evidence } = await line.ask(agentId, 'power-off', { opening }, signal)
  return { at: clock.now(), evidence }
}

const tooOldForLast = (): Refusal =>
  new Refusal({
    code: 'agent/too-old',
    message: 'The agent is of a version that cannot shut its server down at a point',
    remedy:
      'Bring it to the version of this server; or switch the server off yourself and run an unplanned failover.',
  })

/** By our clock, and not before it was asked for: retention, lag and the order of points are all told by it. */
const instantOf = (
  { clock, askedAt }: Place,
  { ageMilliseconds }: { readonly ageMilliseconds: number },
): Instant => Math.max(askedAt, Math.round(clock.now() - ageMilliseconds))

async function settle(place: Place, copy: SettleRound, signal?: AbortSignal): Promise<SettledPoint> {
  const { line, agentId, opening } = place
  for (let copied = 0; ; copied += 1) {
    const next = await line.ask(agentId, 'settle-point', { opening, copied }, signal)
    if (next.kind === 'settled') {
      const { consistency, consistencyNote, checkpoint, pauseMilliseconds } = next
      return { instant: instantOf(place, next), consistency, consistencyNote, checkpoint, pauseMilliseconds }
    }
    if (next.round !== copied + 1 || copied > MOST_ROUNDS) throw badList()
    await copy(next.disks.map((disk) => remoteDisk({ ...place, round: next.round }, disk)))
  }
}

function remoteDisk(
  place: Place,
  { key, bytes }: { readonly key: DiskKey; readonly bytes: number },
): SourceDisk {
  return {
    key,
    bytes,
    reader: remoteReader(place, key, bytes),
    latencyMilliseconds: place.line.roundTripMilliseconds(place.agentId) ?? 0,
    changed: (signal) => listChanges(place, { key, bytes }, signal),
    ...(place.tellsDigests ? { digests: (...args) => askDigests(place, key, ...args) } : {}),
  }
}

async function askDigests(
  { line, agentId, opening, round }: Place,
  disk: DiskKey,
  { offset, bytes }: Extent,
  pieceBytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const question = { opening, round, disk, offset, bytes, pieceBytes }
  const { digests } = await line.ask(agentId, 'digest-disk', question, signal)
  const found = Buffer.from(digests, 'base64')
  if (found.length === Math.ceil(bytes / pieceBytes) * DIGEST_BYTES) return found
  throw new Outage({
    code: 'agent/bad-digests',
    message: 'The agent told other digests than it was asked for',
    remedy: 'It is tried again. If it stays, bring the agent to the version of this server.',
  })
}

async function* listChanges(
  { line, agentId, opening, round }: Place,
  { key: disk, bytes: diskBytes }: { readonly key: DiskKey; readonly bytes: number },
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  const walk = randomUUID()
  let end = 0
  for (let page = 0; ; page += 1) {
    const { extents, last } = await line.ask(
      agentId,
      'list-changes',
      { opening, round, disk, walk, page },
      signal,
    )
    if (extents.length === 0 && !last) throw badList()
    for (const [offset, bytes, isZero] of extents) {
      if (offset < end || offset + bytes > diskBytes) throw badList()
      end = offset + bytes
      yield { offset, bytes, kind: isZero === 1 ? 'zero' : 'data' }
    }
    if (last) return
  }
}

/** Far more than any source takes before it gives up. */
const MOST_ROUNDS = 1000

const badList = (): Outage =>
  new Outage({
    code: 'agent/bad-list',
    message: 'The agent told changes that are out of order, beyond the end of a disk, or without an end',
    remedy: 'It is tried again. If it stays, bring the agent to the version of this server.',
  })

const remoteReader = (
  { line, agentId, opening, round }: Place,
  disk: DiskKey,
  diskBytes: number,
): BlockReader => ({
  bytes: diskBytes,
  async read(offset, bytes, signal) {
    invariant(offset >= 0 && bytes >= 0 && offset + bytes <= diskBytes, 'the range lies inside the disk')
    const pieces: Promise<Buffer>[] = []
    for (let at = offset; at < offset + bytes; at += MOST_READ_BYTES) {
      const wanted = {
        opening,
        round,
        disk,
        offset: at,
        bytes: Math.min(MOST_READ_BYTES, offset + bytes - at),
      }
      pieces.push(line.read(agentId, wanted, signal))
    }
    const [first = Buffer.alloc(0), ...more] = await Promise.all(pieces)
    return more.length === 0 ? first : Buffer.concat([first, ...more])
  },
  close: async () => {},
})
