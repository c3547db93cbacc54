// One instant over all disks of all machines of a request: prepare, hold still, mark, let go, read.
import { join } from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { isAbort, Outage, Refusal } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import type { MappedExtent } from '@understudy/block/device'
import { connectNbd, isConnectionLoss, type NbdDevice } from '@understudy/block/nbd/client'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import type {
  OpenPointRequest,
  OpenPointResult,
  SourceDisk,
  SourceMachinePoint,
} from '@understudy/engine/ports/source-platform'
import { type BlockGraph, type GraphDisk, readBlockGraph } from './block-graph.ts'
import { changedSince, type MappedDisk, toSnapshotDisk, wholeDisk } from './changed-extents.ts'
import {
  bitmapsOf,
  checkSince,
  isOlder,
  nextBitmapName,
  processIdentity,
  removeBitmaps,
  restoreSince,
} from './dirty-bitmaps.ts'
import { connectGuestAgent, type GuestAgent } from './guest-agent.ts'
import type { MachineDirectory } from './machine-directory.ts'
import { type MachineLocation, thaw, type Visit, visit, withMonitor } from './monitor.ts'
import { exportSocketPath, startNbdServer } from './nbd-server.ts'
import {
  type Checkpoint,
  checkpointText,
  HELD_FROZEN,
  newTail,
  ownerDigest,
  parseCheckpoint,
  scratchFileName,
  TRACKING_ID,
} from './ownership.ts'
import type { QmpCommand, QmpSettled } from './qmp.ts'
import { addScratch, emptyQcow2, scratchLimitBytes } from './scratch.ts'
import {
  accessExport,
  addMarker,
  type HoldCommands,
  holdCommands,
  removeMarker,
  removeSnapshots,
  type SnapshotDisk,
  scratchExport,
} from './snapshot.ts'

export type OpenPointDeps = {
  readonly directory: MachineDirectory
  readonly clock: Clock
  /** The most that one disk's scratch file may hold. Unset: half of the free space, shared by the disks. */
  readonly scratchBytes?: number
}

type MachineRequest = OpenPointRequest['machines'][number]

/** A machine with everything that can be done while its guest runs on. */
type Prepared = {
  readonly machine: MachineLocation
  readonly trackingId: string
  readonly visit: Visit
  readonly running: boolean
  readonly since: Checkpoint | null
  /** Set at this point's instant. */
  readonly checkpoint: Checkpoint
  readonly snapshots: readonly SnapshotDisk[]
}

type Lost = { readonly lost: CycleReason }

const FREEZE_MILLISECONDS = 10_000
/** Marking several machines takes milliseconds. When it takes this long the guests go on and the point is given up. */
const MARK_MILLISECONDS = 5000
/** Bitmaps of points that were never sealed; more of them only cost memory. */
const MOST_ABANDONED = 8

/** See SourcePlatform.openPoint. */
export async function openPoint(
  deps: OpenPointDeps,
  request: OpenPointRequest,
  signal?: AbortSignal,
): Promise<OpenPointResult> {
  // In one order, always: two groups that share machines would wait for each other otherwise.
  const wanted = [...request.machines].sort((a, b) => (a.ref < b.ref ? -1 : 1))
  const prepared: Prepared[] = []
  try {
    for (const item of wanted) {
      const machine = await prepare(deps, item, signal)
      if ('lost' in machine) {
        await giveUp(prepared)
        return { kind: 'tracking-lost', ref: item.ref, reason: machine.lost }
      }
      prepared.push(machine)
    }
    signal?.throwIfAborted()
    const held = await holdAndMark(prepared, request.consistency, deps.clock)
    const opened = await Promise.all(prepared.map(openDisks))
    let released: Promise<void> | null = null
    const release = async (kept: boolean): Promise<void> => {
      await Promise.allSettled(opened.map(({ close }) => close()))
      await Promise.all(prepared.map((machine) => releaseMachine(machine, kept)))
    }
    return {
      kind: 'opened',
      point: {
        ...held,
        machines: request.machines
          .flatMap(({ ref }) => opened.filter(({ point }) => point.ref === ref))
          .map((o) => o.point),
        release(kept) {
          released ??= release(kept)
          return released
        },
      },
    }
  } catch (error) {
    await giveUp(prepared)
    throw error
  } finally {
    for (const { visit } of prepared) visit.end()
  }
}

async function prepare(
  deps: OpenPointDeps,
  item: MachineRequest,
  signal: AbortSignal | undefined,
): Promise<Prepared | Lost> {
  if (!TRACKING_ID.test(item.trackingId))
    throw new Refusal({
      code: 'source/tracking-id',
      message: `"${item.trackingId}" cannot name change tracking`,
      remedy: 'Use up to 40 lower-case letters, digits and hyphens.',
    })
  const machine = await deps.directory.find(item.ref, signal)
  const visiting = await visitRunning(machine, signal)
  try {
    const result = await prepareVisited(deps, item, machine, visiting)
    if ('lost' in result) visiting.end()
    return result
  } catch (error) {
    visiting.end()
    throw error
  }
}

async function visitRunning(machine: MachineLocation, signal: AbortSignal | undefined): Promise<Visit> {
  try {
    return await visit(machine, { signal })
  } catch (cause) {
    if (!(cause instanceof Outage) || cause.code !== 'kvm/socket-closed') throw cause
    throw new Outage({
      code: 'source/machine-off',
      message: `${machine.name} is off: there is nothing new to copy`,
      remedy: 'Start the machine; replication then goes on.',
      cause,
    })
  }
}

async function prepareVisited(
  deps: OpenPointDeps,
  item: MachineRequest,
  machine: MachineLocation,
  visiting: Visit,
): Promise<Prepared | Lost> {
  const { qmp } = visiting
  const { trackingId } = item
  const { status } = await qmp.execute<{ readonly status: string }>('query-status')
  const owner = ownerDigest(trackingId)
  await removeSnapshots(qmp, machine.host, machine.folder, (node) => node.owner === owner)

  const process = await processIdentity(qmp)
  let graph = await readBlockGraph(qmp)
  const since = item.since === null ? null : parseCheckpoint(item.since, trackingId)
  if (item.since !== null && since === null)
    return { lost: { code: 'tracking/foreign', message: `"${item.since}" is no checkpoint of this machine` } }
  const included = (disk: GraphDisk): boolean => !item.excludedDisks.includes(disk.key)
  if (since !== null) {
    const lost = checkSince(graph.disks.filter(included), trackingId, since, process)
    if (lost !== null) return { lost }
    await restoreSince(qmp, graph.disks, trackingId, since)
    graph = await readBlockGraph(qmp)
  } else await dropAbandoned(visiting, graph, trackingId)

  const disks = graph.disks.filter(included)
  refuseUnusable(machine, disks)
  await startNbdServer(qmp, machine)
  const snapshots = await addScratches(deps, machine, visiting, disks, trackingId, since)
  const bitmap = nextBitmapName(graph.disks, trackingId, since)
  const checkpoint = { bitmap, process, disks: new Map(disks.map(({ key, bytes }) => [key, bytes])) }
  return { machine, trackingId, visit: visiting, running: status === 'running', since, checkpoint, snapshots }
}

async function dropAbandoned({ qmp }: Visit, graph: BlockGraph, trackingId: string): Promise<void> {
  const most = Math.max(0, ...graph.disks.map((disk) => bitmapsOf(disk, trackingId).length))
  if (most >= MOST_ABANDONED) await removeBitmaps(qmp, graph.disks, trackingId, () => true)
}

function refuseUnusable(machine: MachineLocation, disks: readonly GraphDisk[]): void {
  if (disks.length === 0)
    throw new Refusal({
      code: 'source/no-disks',
      message: `${machine.name} has no disk that can be replicated`,
      remedy: 'Look at its eligibility; include at least one disk.',
    })
  const other = disks.find(({ virtio }) => !virtio)
  if (other !== undefined)
    throw new Refusal({
      code: 'source/bus',
      message: `Disk ${other.key} of ${machine.name} is not on virtio-blk`,
      remedy: 'Attach it as virtio-blk, or exclude it.',
    })
}

async function addScratches(
  deps: OpenPointDeps,
  machine: MachineLocation,
  { qmp }: Visit,
  disks: readonly GraphDisk[],
  trackingId: string,
  since: Checkpoint | null,
): Promise<readonly SnapshotDisk[]> {
  const freeBytes = await machine.host.freeBytes(machine.folder)
  const snapshots: SnapshotDisk[] = []
  for (const disk of disks) {
    const tail = newTail(trackingId, disk.topNode)
    const most = scratchLimitBytes(disk.bytes, disks.length, freeBytes)
    if (most === null) throw scratchFull(machine, disk, freeBytes)
    const scratchBytes = Math.min(most, deps.scratchBytes ?? most)
    const scratchPath = join(machine.folder, scratchFileName(tail))
    await machine.host.createSparseFile(scratchPath, scratchBytes, emptyQcow2(disk.bytes))
    const { execute, arguments: args } = addScratch(tail, scratchPath, scratchBytes)
    await qmp.execute(execute, args)
    const sinceBitmap = since?.disks.has(disk.key) === true ? since.bitmap : null
    snapshots.push({ disk, tail, scratchPath, scratchBytes, sinceBitmap })
  }
  return snapshots
}

type Held = {
  readonly instant: Instant
  readonly consistency: Consistency
  readonly consistencyNote: string | null
  readonly pauseMilliseconds: number
}

async function holdAndMark(machines: readonly Prepared[], wanted: Consistency, clock: Clock): Promise<Held> {
  if (wanted === 'crash') {
    const marked = await mark(machines, clock)
    return { ...marked, consistency: 'crash', consistencyNote: null }
  }
  const started = performance.now()
  const frozen: Frozen[] = []
  let note: string | null = null
  let marked: Marked
  try {
    note = await freezeAll(machines, frozen)
    // A point that is not application-consistent anyway must not keep some of the guests frozen.
    if (note !== null) await thawAll(frozen.splice(0))
    marked = await mark(machines, clock)
  } finally {
    await thawAll(frozen)
  }
  if (note !== null) return { ...marked, consistency: 'crash', consistencyNote: note }
  const pauseMilliseconds = performance.now() - started
  return { ...marked, pauseMilliseconds, consistency: 'application', consistencyNote: null }
}

type Frozen = { readonly prepared: Prepared; readonly agent: GuestAgent }

/** Freezes every guest's file systems, or says why one could not be. What was tried is in `frozen` and must be thawed. */
async function freezeAll(machines: readonly Prepared[], frozen: Frozen[]): Promise<string | null> {
  const notes = await Promise.all(
    machines.map(async (prepared) => {
      const { machine, running, visit } = prepared
      const { agentPath } = machine
      if (!running) return `${machine.name} is not running, so its applications could not be asked`
      if (agentPath === null) return `${machine.name} has no guest agent channel`
      try {
        const agent = await connectGuestAgent(() => machine.host.connect(agentPath), { name: machine.name })
        await visit.qmp.batch([addMarker(HELD_FROZEN)])
        frozen.push({ prepared, agent })
        await agent.call('guest-fsfreeze-freeze', {}, FREEZE_MILLISECONDS)
        return null
      } catch (error) {
        if (error instanceof Outage) return error.message
        throw error
      }
    }),
  )
  return notes.find((note) => note !== null) ?? null
}

/** A guest whose thaw fails keeps its marker: every later visitor tries again (see monitor.ts). */
async function thawAll(frozen: readonly Frozen[]): Promise<void> {
  await Promise.all(
    frozen.map(async ({ prepared, agent }) => {
      const thawed = await agent.call('guest-fsfreeze-thaw').then(
        () => true,
        // The connection may be spoilt by a freeze that took too long. A new one begins in order.
        () => {
          agent.close()
          return thaw(prepared.machine)
        },
      )
      agent.close()
      if (thawed) await prepared.visit.qmp.batch([removeMarker(HELD_FROZEN)])
    }),
  )
}

type Marked = { readonly instant: Instant; readonly pauseMilliseconds: number }

async function mark(machines: readonly Prepared[], clock: Clock): Promise<Marked> {
  const diskCount = machines.reduce((count, { snapshots }) => count + snapshots.length, 0)
  const work = machines.map((prepared) => ({
    prepared,
    pauses: watchPauses(prepared),
    commands: holdCommands(
      prepared.snapshots,
      prepared.checkpoint.bitmap,
      prepared.since,
      prepared.running && diskCount > 1,
    ),
  }))
  try {
    const [only] = work
    const instant =
      work.length === 1 && only !== undefined
        ? await markOne(only.prepared, only.commands, clock)
        : await markTogether(work, clock)
    return { instant, pauseMilliseconds: Math.max(0, ...work.map(({ pauses }) => pauses.longest())) }
  } finally {
    for (const { pauses } of work) pauses.end()
  }
}

/** All commands in one write. Past a command that fails, QEMU still runs the one that lets the guest go. */
async function markOne({ visit }: Prepared, commands: HoldCommands, clock: Clock): Promise<Instant> {
  const { hold, mark, letGo, expose } = commands
  const settled = await visit.qmp.batch([...hold, ...mark, ...letGo, ...expose])
  const now = performance.now()
  const at = settled[hold.length + mark.length - 1]?.at ?? now
  throwFirstFailure(settled)
  return clock.now() - Math.round(now - at)
}

type MarkWork = { readonly prepared: Prepared; readonly commands: HoldCommands }

/** Every guest stands still before the first is marked, and none goes on before the last is. */
async function markTogether(work: readonly MarkWork[], clock: Clock): Promise<Instant> {
  const phase = (choose: (commands: HoldCommands) => readonly QmpCommand[]): Promise<void> =>
    allSucceed(work.map(({ prepared, commands }) => prepared.visit.qmp.batch(choose(commands))))
  let instant: Instant
  try {
    await inTime(phase(({ hold }) => hold))
    instant = clock.now()
    await inTime(phase(({ mark }) => mark))
  } finally {
    await phase(({ letGo }) => letGo)
  }
  await phase(({ expose }) => expose)
  return instant
}

async function allSucceed(batches: readonly Promise<readonly QmpSettled[]>[]): Promise<void> {
  for (const settled of await Promise.all(batches)) throwFirstFailure(settled)
}

function throwFirstFailure(settled: readonly QmpSettled[]): void {
  const failed = settled.find(({ failure }) => failure !== undefined)
  if (failed?.failure !== undefined) throw failed.failure
}

async function inTime(work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(tooSlow()), MARK_MILLISECONDS)
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    // When the deadline won, the work's own failure has nobody else to hear it.
    work.catch(() => undefined)
  }
}

/** QEMU itself says when the guest's processors stopped and went on. */
function watchPauses({ visit }: Prepared): { longest(): number; end(): void } {
  let stoppedAt: number | null = null
  let longest = 0
  const end = visit.qmp.onEvent(({ event, at }) => {
    if (event === 'STOP') stoppedAt = at
    if (event === 'RESUME' && stoppedAt !== null) longest = Math.max(longest, at - stoppedAt)
  })
  return { longest: () => longest, end }
}

type Opened = { readonly point: SourceMachinePoint; close(): Promise<void> }

async function openDisks(prepared: Prepared): Promise<Opened> {
  const { machine, snapshots, checkpoint } = prepared
  const socket = await machine.host.forward(exportSocketPath(machine))
  const devices: NbdDevice[] = []
  const close = async (): Promise<void> => {
    await Promise.allSettled(devices.map((device) => device.close()))
    await socket.close()
  }
  try {
    const connect = async (exportName: string, ...metaContexts: string[]): Promise<NbdDevice> => {
      const address = { kind: 'unix' as const, path: socket.path }
      const device = await connectNbd({
        address,
        exportName,
        metaContexts: ['base:allocation', ...metaContexts],
      })
      devices.push(device)
      return device
    }
    const disks = await Promise.all(
      snapshots.map(async (snapshot) => {
        const bitmaps = snapshot.sinceBitmap === null ? [] : [`qemu:dirty-bitmap:${snapshot.sinceBitmap}`]
        const access = await connect(accessExport(snapshot), ...bitmaps)
        return toSourceDisk(
          prepared,
          snapshot,
          access,
          toSnapshotDisk(access, await connect(scratchExport(snapshot))),
        )
      }),
    )
    return { point: { ref: machine.ref, checkpoint: checkpointText(checkpoint), disks }, close }
  } catch (error) {
    await close()
    throw error
  }
}

function toSourceDisk(
  prepared: Prepared,
  snapshot: SnapshotDisk,
  device: NbdDevice,
  mapped: MappedDisk,
): SourceDisk {
  const { disk, sinceBitmap } = snapshot
  const bytesThen = prepared.since?.disks.get(disk.key)
  const explain = (error: unknown): Promise<unknown> => explainReadFailure(prepared.machine, snapshot, error)
  const translated = async function* (extents: AsyncIterable<MappedExtent>): AsyncGenerator<MappedExtent> {
    try {
      yield* extents
    } catch (error) {
      throw await explain(error)
    }
  }
  return {
    key: disk.key,
    bytes: device.bytes,
    reader: {
      bytes: device.bytes,
      async read(offset, bytes, signal) {
        try {
          return await device.read(offset, bytes, signal)
        } catch (error) {
          throw await explain(error)
        }
      },
      map: (range, signal) => translated(mapped.map(range, signal)),
      close: () => device.close(),
    },
    changed: (signal) =>
      translated(
        sinceBitmap === null || bytesThen === undefined
          ? wholeDisk(mapped, signal)
          : changedSince(mapped, sinceBitmap, bytesThen, signal),
      ),
  }
}

/** QEMU answers every read of a broken snapshot with the same plain error. The scratch file says why it broke. */
async function explainReadFailure(
  machine: MachineLocation,
  snapshot: SnapshotDisk,
  error: unknown,
): Promise<unknown> {
  if (isAbort(error) || isConnectionLoss(error)) return error
  if (!(error instanceof Outage || error instanceof Refusal)) return error
  const { disk, scratchPath, scratchBytes } = snapshot
  const status = await machine.host.status(scratchPath).catch(() => null)
  const freeBytes = await machine.host.freeBytes(machine.folder).catch(() => 0)
  // QEMU copies in pieces, so what did not fit was larger than what was left.
  const leastLeftBytes = Math.max(8 * MiB, scratchBytes / 5)
  const leftBytes = Math.min(scratchBytes - (status?.allocatedBytes ?? scratchBytes), freeBytes)
  const nearlyFull = leftBytes < leastLeftBytes
  if (nearlyFull) return scratchFull(machine, disk, status?.allocatedBytes ?? 0, error)
  return new Outage({
    code: 'source/snapshot-broken',
    message: `QEMU gave up the snapshot of disk ${disk.key} of ${machine.name} to keep the guest going`,
    remedy:
      'The next cycle begins afresh. If it keeps happening, look at the storage that holds the machine folder.',
    cause: error,
  })
}

const scratchFull = (machine: MachineLocation, disk: GraphDisk, bytes: number, cause?: unknown): Outage =>
  new Outage({
    code: 'source/scratch-full',
    message: `${machine.name} overwrote more of disk ${disk.key} during the cycle than its scratch space holds`,
    remedy:
      'Free space beside the machine, or let cycles run when the machine writes less. Nothing was lost.',
    facts: { bytes },
    cause,
  })

const tooSlow = (): Outage =>
  new Outage({
    code: 'source/too-slow',
    message: `Marking all machines took longer than ${MARK_MILLISECONDS} ms, so they were let go again`,
    remedy: 'Look at the load of their hosts. The next cycle tries again.',
  })

/** Never throws: whatever is left is found by its name when the next point is opened. */
async function giveUp(machines: readonly Prepared[]): Promise<void> {
  for (const { visit } of machines) visit.end()
  await Promise.all(machines.map((machine) => releaseMachine(machine, false)))
}

/**
 * `kept`: the new bitmap is the baseline now. Else the old one is made complete again. A machine that has gone, or cannot be
 * reached, has nothing to do now: opening the next point settles it by what the newest sealed point names.
 */
async function releaseMachine(prepared: Prepared, kept: boolean): Promise<void> {
  const { machine, trackingId, since, checkpoint, snapshots } = prepared
  const tails = new Set(snapshots.map(({ tail }) => tail))
  try {
    await withMonitor(machine, async (qmp) => {
      await removeSnapshots(qmp, machine.host, machine.folder, ({ tail }) => tails.has(tail))
      const { disks } = await readBlockGraph(qmp)
      if (kept) await removeBitmaps(qmp, disks, trackingId, (name) => isOlder(name, checkpoint.bitmap))
      else if (since === null)
        await removeBitmaps(qmp, disks, trackingId, (name) => name === checkpoint.bitmap)
      else await restoreSince(qmp, disks, trackingId, since)
    })
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    if (error.code === 'kvm/socket-closed' || error.code === 'kvm/qemu-gone')
      await Promise.allSettled(snapshots.map(({ scratchPath }) => machine.host.removeFile(scratchPath)))
  }
}
