// One cycle: open a source point, move what changed, seal a recovery point. Everything is safe to repeat; a crash anywhere
// leaves the old newest point or the new one, and the store's newest manifest names the checkpoint that goes with it.
import { Outage } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import { invariant, present } from '@understudy/base/invariant'
import { type CopySink, copyExtents } from '@understudy/block/copy-extents'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import { DIGEST_BYTES } from '@understudy/block/digest'
import { type RateLimit, withRateLimit } from '@understudy/block/with-rate-limit'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type {
  Consistency,
  GroupMark,
  PointFacts,
  RecoveryPoint,
} from '@understudy/domain/recovery-points/recovery-point'
import { type CyclePlan, type CycleReason, planCycle } from '@understudy/domain/replication/plan-cycle'
import type { EngineConfig, Sleep } from '../engine-parts.ts'
import type { OpenedPoint, PointWriter, Replica } from '../ports/replica-store.ts'
import {
  LET_GO,
  type SettledPoint,
  type ShutDownProof,
  type SourceDisk,
  type SourceMachinePoint,
  type SourcePlatform,
  type SourcePoint,
} from '../ports/source-platform.ts'
import type { CycleSummary } from '../ports/stores.ts'
import { findDifferences } from './compare.ts'
import type { FarRequests } from './far-requests.ts'
import { copyFirst, type FirstCopyMark, readMark, writeMark } from './first-copy.ts'
import type { GroupSeat, InTurn } from './group-opening.ts'

export type CyclePhase = 'opening' | 'copying' | 'sealing'

export type CycleProgress = {
  readonly phase: CyclePhase
  readonly doneBytes: number
  /** 0 while unknown: a delta's size is known when it has been read. */
  readonly totalBytes: number
  /** Of doneBytes, what an earlier attempt has copied. Absent: nothing. */
  readonly beforeBytes?: number
}

export type PlannedWork = {
  readonly diskBytes: number
  /** Most of it is compared where the disks are, and no line bounds how fast. */
  readonly besideDisks: boolean
}

export type CycleRequest = {
  readonly source: SourcePlatform
  /** Opened with an epoch. */
  readonly replica: Replica
  readonly ref: MachineRef
  readonly trackingId: string
  readonly excludedDisks: readonly DiskKey[]
  readonly resyncReason: CycleReason | null
  readonly consistency: Consistency
  /** What is read of the source passes each of them. */
  readonly limits: readonly RateLimit[]
  readonly config: Pick<EngineConfig, 'requestBytes' | 'requestsInFlight' | 'firstCopyKeepBytes'>
  /** Absent: disks over a line have no more under way than others. */
  readonly farRequests?: FarRequests
  readonly time: Clock & { readonly sleep: Sleep }
  readonly signal: AbortSignal
  /** Where its group opens all machines at one instant. Absent: it is opened alone. */
  readonly seat?: GroupSeat
  /** The machine is shut down at this point. Where its source can (`shutsDownAtPoint`). */
  readonly last?: {
    readonly holdSeconds: number
    /** It is sealed, and its machine held; then the machine is told to go off. Throwing lets it go. */
    readonly onSealed: (point: RecoveryPoint) => Promise<void>
  }
  /** Called before anything is copied, when the plan is certain and the amount known. Throwing stops the cycle. */
  readonly onPlan: (plan: CyclePlan, work: PlannedWork) => Promise<void>
  /** Must not throw. */
  readonly onProgress: (progress: CycleProgress) => void
}

export type CycleOutcome = {
  readonly point: RecoveryPoint
  readonly summary: CycleSummary
  /** The point is sealed, but the source could not be told; its next opened point cleans up. */
  readonly releaseFailure: unknown
  /** Of a last point: what came of the shut-down. */
  readonly end: { readonly proof: ShutDownProof } | { readonly failure: unknown } | null
}

/**
 * Runs one cycle and returns the sealed point. Whatever fails before the seal leaves the replica as it was and the
 * source's checkpoint valid. Throws what the ports throw; `cycle/tracking-unstable` (Outage) when tracking is lost twice in a row.
 */
export async function runCycle(request: CycleRequest): Promise<CycleOutcome> {
  const startedAt = request.time.now()
  const newest = request.replica.points().at(-1) ?? null
  const mark = readMark(request.replica.unfinished()?.unfinished)
  const interruptedAt = mark?.checkpoint ?? null
  const planned = planCycle({ newest, interruptedAt, resyncReason: request.resyncReason })
  request.onProgress({ phase: 'opening', doneBytes: 0, totalBytes: 0 })
  const opened = await openSource(request, planned)
  const { plan, machine } = opened
  const goesOn = plan.kind === 'seed' && (plan.since !== null || opened.isLost) ? mark : null

  let sealed: RecoveryPoint | null = null
  let isKept = false
  let written: WrittenPoint
  let releaseFailure: unknown = null
  let end: CycleOutcome['end'] = null
  try {
    const { disks } = machine
    await request.onPlan(plan, {
      diskBytes: sumBytes(disks) - (opened.isLost ? 0 : copiedBefore(goesOn)),
      besideDisks: plan.kind === 'resync' && disks.every(({ digests }) => digests !== undefined),
    })
    written = await writePoint(request, { ...opened, mark: goesOn }, () => {
      isKept = true
    })
    sealed = written.point
    if (request.last) {
      await request.last.onSealed(sealed)
      end = await switchOff(machine)
    }
  } finally {
    // Only now, and only after a durable seal, may the source forget its older checkpoint.
    if (!isOver(end))
      releaseFailure = await release(machine, sealed !== null || (isKept && machine.settle === undefined))
  }
  const summary: CycleSummary = {
    kind: plan.kind === 'delta' && sealed.changedBytes === 0 ? 'idle' : plan.kind,
    startedAt,
    endedAt: request.time.now(),
    readBytes: written.readBytes,
    changedBytes: sealed.changedBytes,
    storedBytes: sealed.storedBytes,
    pauseMilliseconds: written.pauseMilliseconds,
    reason: plan.kind === 'delta' ? null : plan.reason.message,
  }
  return { point: sealed, summary, releaseFailure, end }
}

/** Nothing aborts it: who does not hear the answer does not know whether the machine is off. */
async function switchOff(machine: SourceMachinePoint): Promise<NonNullable<CycleOutcome['end']>> {
  invariant(machine.powerOff !== undefined, 'a last point can be the last')
  try {
    return { proof: await machine.powerOff() }
  } catch (failure) {
    return { failure }
  }
}

/** Nobody is there any more who could be told to let it go, or nobody knows; its hold ends by itself. */
const isOver = (end: CycleOutcome['end']): boolean =>
  end !== null && ('proof' in end || !isLetGo(end.failure))

export const isLetGo = (failure: unknown): boolean => failure instanceof Outage && failure.code === LET_GO

async function release(machine: SourceMachinePoint, kept: boolean): Promise<unknown> {
  try {
    await machine.release(kept)
    return null
  } catch (error) {
    // The point's fate is decided already, and an earlier failure must not be hidden by this one.
    return error
  }
}

type OpenedSource = {
  readonly plan: CyclePlan
  readonly source: Pick<SourcePoint, 'instant' | 'consistency' | 'consistencyNote' | 'pauseMilliseconds'>
  readonly machine: SourceMachinePoint
  readonly group: GroupMark | null
  /** What was to be gone on from is not known any more, and everything is read. */
  readonly isLost: boolean
}

async function openSource(request: CycleRequest, planned: CyclePlan): Promise<OpenedSource> {
  const together = await openTogether(request, planned)
  if (together) return { plan: planned, ...together, isLost: false }
  return await openAlone(request, planned)
}

/** Null: it is to be opened alone. Whoever is copied in full, for however long, keeps nobody waiting. */
async function openTogether(request: CycleRequest, planned: CyclePlan) {
  const { seat, source, ref, trackingId, excludedDisks, consistency, signal } = request
  if (seat === undefined) return null
  if (planned.kind === 'delta')
    return await seat.open({
      source,
      machine: { ref, trackingId, since: planned.since, excludedDisks },
      consistency,
      signal,
    })
  seat.leave()
  return null
}

async function openAlone(request: CycleRequest, planned: CyclePlan): Promise<OpenedSource> {
  const since = planned.kind === 'resync' ? null : planned.since
  // Of a first copy the rest is read, too, whether it has changed or not.
  const first = await openSourcePoint(request, since, planned.kind === 'seed')
  if (first.kind === 'opened') return toOpened(planned, first.point, false)
  invariant(planned.kind !== 'resync' && since !== null, 'tracking can only be lost when there was some')
  const anew: CyclePlan =
    planned.kind === 'seed'
      ? {
          kind: 'seed',
          since: null,
          reason: {
            code: first.reason.code,
            message: `First copy; what was copied before is compared: ${first.reason.message}`,
          },
        }
      : { kind: 'resync', base: planned.base, reason: first.reason }
  const second = await openSourcePoint(request, null, planned.kind === 'seed')
  if (second.kind === 'opened') return toOpened(anew, second.point, true)
  throw new Outage({
    code: 'cycle/tracking-unstable',
    message: `Change tracking was lost again while it was set up: ${second.reason.message}`,
    remedy: 'Understudy tries again. If it stays, look at the source host.',
  })
}

const toOpened = (plan: CyclePlan, source: SourcePoint, isLost: boolean): OpenedSource => ({
  plan,
  source,
  machine: present(source.machines[0], 'a source point holds the machine that was asked for'),
  group: null,
  isLost,
})

const atOnce: InTurn = (work) => work()

const openSourcePoint = (
  { source, ref, trackingId, excludedDisks, consistency, last, signal }: CycleRequest,
  since: string | null,
  readWhole = false,
) => {
  const machine = { ref, trackingId, since, excludedDisks, ...(readWhole ? { readWhole } : {}) }
  const end = last ? { last: { holdSeconds: last.holdSeconds } } : {}
  return source.openPoint({ machines: [machine], consistency, ...end }, signal)
}

/** `mark`: of the first copy that goes on; null: there is none. */
type Marked = OpenedSource & { readonly mark: FirstCopyMark | null }

type WrittenPoint = {
  readonly point: RecoveryPoint
  readonly readBytes: number
  readonly pauseMilliseconds: number
}

/** `onKept`: from now on the checkpoint that was opened is the one that counts. */
async function writePoint(request: CycleRequest, opened: Marked, onKept: () => void): Promise<WrittenPoint> {
  const { plan, machine, group } = opened
  const { replica } = request
  // A group's machines take turns where they are more than may run at once.
  const inTurn = request.seat?.inTurn ?? atOnce
  const disks = machine.disks.map(({ key, bytes }) => ({ key, bytes }))
  // What lies there of a first copy is gone on with, or written over: it is of whole disks.
  const base = plan.kind === 'seed' ? (replica.unfinished()?.id ?? null) : plan.base
  let writer = await replica.beginPoint(base, disks)
  const keep = async (facts: PointFacts): Promise<void> => {
    const { id } = await writer.seal(facts)
    onKept()
    writer = await replica.beginPoint(id, disks)
  }
  try {
    const { readBytes, settled } = await inTurn(
      () => copyMachine(request, opened, { current: () => writer, keep }),
      request.signal,
    )
    request.signal.throwIfAborted()
    request.onProgress({ phase: 'sealing', doneBytes: readBytes, totalBytes: readBytes })
    const point = await writer.seal({
      instant: settled.instant,
      consistency: settled.consistency,
      consistencyNote: settled.consistencyNote,
      checkpoint: settled.checkpoint,
      cycle: plan.kind,
      ...(group ? { group } : {}),
    })
    return { point, readBytes, pauseMilliseconds: settled.pauseMilliseconds }
  } catch (error) {
    await abortQuietly(writer)
    throw error
  }
}

/** All that is to be copied is in the writer afterwards, and `settled` is what it is. */
async function copyMachine(
  request: CycleRequest,
  opened: Marked,
  { current, keep }: InParts,
): Promise<{ readBytes: number; settled: SettledPoint }> {
  const { plan, source, machine } = opened
  let readBytes =
    plan.kind === 'seed'
      ? await copyInParts(request, opened, { current, keep })
      : await copyDisks({ ...request, writer: current(), disks: machine.disks, plan })
  if (!machine.settle) return { readBytes, settled: { ...source, checkpoint: machine.checkpoint } }
  const settled = await machine.settle(async (disks) => {
    request.signal.throwIfAborted()
    readBytes += await copyAsRead({ ...request, writer: current(), disks, readBefore: readBytes })
  }, request.signal)
  return { readBytes, settled }
}

const copiedBefore = (mark: FirstCopyMark | null): number =>
  mark?.upTo.reduce((sum, [, bytes]) => sum + bytes, 0) ?? 0

type InParts = { current(): PointWriter; keep(facts: PointFacts): Promise<void> }

/** A first copy. Returns the bytes read from the source. */
async function copyInParts(
  request: CycleRequest,
  { source, machine, mark, isLost }: Marked,
  { current, keep }: InParts,
): Promise<number> {
  // What is compared counts as work of this attempt.
  const before = isLost ? 0 : copiedBefore(mark)
  const meter = openMeter(request, {
    totalBytes: sumBytes(machine.disks),
    doneBytes: before,
    beforeBytes: before,
  })
  const { instant, consistency, consistencyNote } = source
  // Whose changes nobody will know is of no use to whoever comes after an interruption. Of one that settles it is the mark of its opening.
  const { checkpoint } = machine
  const unfinished = isLost && mark ? request.replica.unfinished() : null
  const base = unfinished ? await request.replica.openPoint(unfinished.id) : null
  try {
    await copyFirst({
      disks: machine.disks,
      mark,
      keepBytes: checkpoint === null ? Number.POSITIVE_INFINITY : request.config.firstCopyKeepBytes,
      signal: request.signal,
      copy: (disk, over) => copyDisk({ ...request, writer: current() }, disk, over ? base : null, meter),
      keep: async (upTo) => {
        request.signal.throwIfAborted()
        if (checkpoint === null) return
        await keep({
          instant,
          consistency,
          consistencyNote,
          checkpoint,
          cycle: 'seed',
          unfinished: writeMark({ checkpoint, upTo }),
        })
      },
    })
  } finally {
    await base?.close()
  }
  return meter.readBytes()
}

/**
 * A round of a machine that settles. Never compared with the replica's newest point, not even in a resync: what the pass before has
 * written lies over that, and a block that is back to what it was would be passed over and keep what it was in between.
 */
async function copyAsRead(
  request: Omit<CopyDisksRequest, 'plan' | 'replica'> & { readonly readBefore: number },
): Promise<number> {
  const meter = openMeter(request, { totalBytes: 0, doneBytes: request.readBefore })
  for (const disk of request.disks) await copyDisk(request, disk, null, meter)
  return meter.readBytes()
}

export async function abortQuietly(writer: PointWriter): Promise<void> {
  try {
    await writer.abort()
  } catch {
    // What was written is invisible without a seal, and the store clears it away when it is opened next. The failure that
    // brought us here is the one to report.
  }
}

export type CopyDisksRequest = Pick<
  CycleRequest,
  'replica' | 'limits' | 'config' | 'farRequests' | 'signal' | 'onProgress'
> & {
  readonly writer: PointWriter
  readonly disks: readonly Pick<
    SourceDisk,
    'key' | 'bytes' | 'reader' | 'changed' | 'digests' | 'latencyMilliseconds'
  >[]
  readonly plan: CyclePlan
}

/** Copies what the plan says of every disk into the writer. Returns the bytes read from the source. */
export async function copyDisks(request: CopyDisksRequest): Promise<number> {
  const { plan, disks, replica } = request
  const base = plan.kind === 'resync' ? await replica.openPoint(plan.base) : null
  const meter = openMeter(request, { totalBytes: plan.kind === 'delta' ? 0 : sumBytes(disks) })
  try {
    for (const disk of disks) await copyDisk(request, disk, base, meter)
    return meter.readBytes()
  } finally {
    await base?.close()
  }
}

type Meter = {
  handled(bytes: number): void
  read(bytes: number): void
  readBytes(): number
}

/** `doneBytes`: so much is done already, of it `beforeBytes` by an earlier attempt. */
function openMeter(
  { onProgress }: Pick<CopyDisksRequest, 'onProgress'>,
  { totalBytes, doneBytes = 0, beforeBytes = 0 }: Partial<CycleProgress> & { readonly totalBytes: number },
): Meter {
  let readBytes = 0
  return {
    handled(bytes) {
      doneBytes += bytes
      const shown = totalBytes === 0 ? doneBytes : Math.min(doneBytes, totalBytes)
      onProgress({
        phase: 'copying',
        doneBytes: shown,
        totalBytes,
        ...(beforeBytes > 0 ? { beforeBytes } : {}),
      })
    },
    read(bytes) {
      readBytes += bytes
    },
    readBytes: () => readBytes,
  }
}

type CopyDiskRequest = Pick<CopyDisksRequest, 'config' | 'farRequests' | 'limits' | 'signal' | 'writer'>

async function copyDisk(
  request: CopyDiskRequest,
  disk: CopyDisksRequest['disks'][number],
  base: OpenedPoint | null,
  meter: Meter,
): Promise<void> {
  const more = request.farRequests?.take(disk.latencyMilliseconds ?? 0)
  try {
    const inFlight = request.config.requestsInFlight + (more?.requests ?? 0)
    await copyWithin(request, disk, { base, meter, inFlight })
  } finally {
    more?.giveBack()
  }
}

async function copyWithin(
  request: CopyDiskRequest,
  disk: CopyDisksRequest['disks'][number],
  how: { readonly base: OpenedPoint | null; readonly meter: Meter; readonly inFlight: number },
): Promise<void> {
  const { base, meter, inFlight } = how
  const { config, limits, signal, writer } = request
  const source = countingReads(limits.reduce<BlockReader>(withRateLimit, disk.reader), meter)
  const copy = base?.disks.find((candidate) => candidate.key === disk.key)?.reader ?? null
  const { digests } = disk
  const extents: AsyncIterable<MappedExtent> = copy
    ? findDifferences({
        source,
        ...(digests ? { digests: withLimits(digests, limits) } : {}),
        copy,
        extents: disk.changed(signal),
        requestBytes: config.requestBytes,
        inFlight,
        signal,
        onCompared: meter.handled,
      })
    : disk.changed(signal)
  let handled = 0
  await copyExtents({
    from: source,
    to: sinkOf(writer, disk.key),
    extents,
    requestBytes: config.requestBytes,
    inFlight,
    // A point's writer is done with the bytes when its `write` resolves: see PointWriter.
    reuseBuffers: true,
    signal,
    onProgress(totals) {
      // While comparing, progress is what was compared; what is then copied was counted there.
      if (copy) return
      const now = totals.dataBytes + totals.zeroBytes
      meter.handled(now - handled)
      handled = now
    },
  })
}

type Digests = NonNullable<SourceDisk['digests']>

/** They are what goes over the line in place of the content. */
const withLimits =
  (digests: Digests, limits: readonly RateLimit[]): Digests =>
  async (range, pieceBytes, signal) => {
    const bytes = Math.ceil(range.bytes / pieceBytes) * DIGEST_BYTES
    for (const limit of limits) await limit.take(bytes, signal)
    return await digests(range, pieceBytes, signal)
  }

function countingReads(reader: BlockReader, meter: Meter): BlockReader {
  const { map } = reader
  const readInto = reader.readInto?.bind(reader)
  return {
    bytes: reader.bytes,
    async read(offset, bytes, signal) {
      const data = await reader.read(offset, bytes, signal)
      meter.read(data.length)
      return data
    },
    ...(readInto
      ? {
          async readInto(offset: number, target: Buffer, signal?: AbortSignal): Promise<void> {
            await readInto(offset, target, signal)
            meter.read(target.length)
          },
        }
      : {}),
    ...(map ? { map } : {}),
    close: () => reader.close(),
  }
}

export const sinkOf = (writer: PointWriter, key: DiskKey): CopySink => ({
  write: (offset, data, signal) => writer.write(key, offset, data, signal),
  zero: (offset, bytes, signal) => writer.zero(key, offset, bytes, signal),
})

export const sumBytes = (disks: readonly { readonly bytes: number }[]): number =>
  disks.reduce((sum, disk) => sum + disk.bytes, 0)
