// Everything of a point that can be done while the guest runs on: looking, cleaning up, scratch space.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import type { OpenPointRequest } from '@understudy/engine/ports/source-platform'
import { type BlockGraph, type GraphDisk, readBlockGraph } from './block-graph.ts'
import {
  bitmapsOf,
  checkSince,
  nextBitmapName,
  processIdentity,
  removeBitmaps,
  restoreSince,
} from './dirty-bitmaps.ts'
import { isUnchanged, markUnchanged } from './idle-point.ts'
import type { MachineDirectory } from './machine-directory.ts'
import { type MachineLocation, type Visit, visit } from './monitor.ts'
import { startNbdServer } from './nbd-server.ts'
import {
  type Checkpoint,
  newTail,
  type OurNode,
  ownerDigest,
  parseCheckpoint,
  scratchFileName,
  TRACKING_ID,
} from './ownership.ts'
import { addScratch, emptyQcow2, scratchFull, scratchLimitBytes } from './scratch.ts'
import { removeSnapshots, type SnapshotDisk } from './snapshot.ts'

export type PreparePointDeps = {
  readonly directory: MachineDirectory
  readonly clock: Clock
  /** The most that one disk's scratch file may hold. Unset: half of the free space, shared by the disks. */
  readonly scratchBytes?: number
}

type MachineRequest = OpenPointRequest['machines'][number]

/** A machine that is ready to be marked. Its monitor is ours until the visit ends. */
export type PreparedMachine = {
  readonly machine: MachineLocation
  readonly trackingId: string
  readonly visit: Visit
  readonly running: boolean
  readonly since: Checkpoint | null
  /** Set at this point's instant. */
  readonly checkpoint: Checkpoint
  /** Empty when there is nothing to read: see `unchangedAt`. */
  readonly snapshots: readonly SnapshotDisk[]
  /** Nothing has changed since `since`: marked already, at this instant. */
  readonly unchangedAt: Instant | null
}

/** Bitmaps of points that were never sealed; more of them only cost memory. */
const MOST_ABANDONED = 8

/** A machine whose monitor is ours until the visit ends. */
export type VisitedMachine = {
  readonly request: MachineRequest
  readonly machine: MachineLocation
  readonly visit: Visit
}

/** Outage `source/machine-off` when there is no process to ask. */
export async function visitForPoint(
  deps: PreparePointDeps,
  request: MachineRequest,
  signal: AbortSignal | undefined,
): Promise<VisitedMachine> {
  if (!TRACKING_ID.test(request.trackingId))
    throw new Refusal({
      code: 'source/tracking-id',
      message: `"${request.trackingId}" cannot name change tracking`,
      remedy: 'Use up to 40 lower-case letters, digits and hyphens.',
    })
  const machine = await deps.directory.find(request.ref, signal)
  return { request, machine, visit: await visitRunning(machine, signal) }
}

type PointShape = {
  /** No other machine and no freeze belongs to the point: its instant may be the one at which nothing turns out to have changed. */
  readonly alone: boolean
  readonly machineCount: number
}

/** Throws, or says that tracking is lost, with nothing of ours left but the bitmaps that were there. */
export async function preparePoint(
  deps: PreparePointDeps,
  { request, machine, visit }: VisitedMachine,
  shape: PointShape,
): Promise<PreparedMachine | { readonly lost: CycleReason }> {
  try {
    return await prepareVisited(deps, request, machine, visit, shape)
  } catch (error) {
    await removeOwn(machine, visit, request.trackingId)
    throw error
  }
}

/** Best effort: what stays is found by its name when the next point is opened. */
async function removeOwn(machine: MachineLocation, { qmp }: Visit, trackingId: string): Promise<void> {
  const owner = ownerDigest(trackingId)
  await removeSnapshots(qmp, machine.host, machine.folder, (node) => node.owner === owner).catch(
    () => undefined,
  )
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
  deps: PreparePointDeps,
  item: MachineRequest,
  machine: MachineLocation,
  visiting: Visit,
  { alone, machineCount }: PointShape,
): Promise<PreparedMachine | { readonly lost: CycleReason }> {
  const { qmp } = visiting
  const { trackingId } = item
  const [{ status }, process] = await Promise.all([
    qmp.execute<{ readonly status: string }>('query-status'),
    processIdentity(qmp),
  ])
  const owner = ownerDigest(trackingId)
  const isOurs = (node: OurNode): boolean => node.owner === owner
  let graph = await removeSnapshots(qmp, machine.host, machine.folder, isOurs)

  const since = item.since === null ? null : parseCheckpoint(item.since, trackingId)
  if (item.since !== null && since === null)
    return { lost: { code: 'tracking/foreign', message: `"${item.since}" is no checkpoint of this machine` } }
  const included = (disk: GraphDisk): boolean => !item.excludedDisks.includes(disk.key)
  if (since !== null) {
    const lost = checkSince(graph.disks.filter(included), trackingId, since, process)
    if (lost !== null) return { lost }
    if (await restoreSince(qmp, graph.disks, trackingId, since)) graph = await readBlockGraph(qmp)
  } else await dropAbandoned(visiting, graph, trackingId)

  const disks = graph.disks.filter(included)
  refuseUnusable(machine, disks)
  const bitmap = nextBitmapName(graph.disks, trackingId, since)
  const checkpoint = { bitmap, process, disks: new Map(disks.map(({ key, bytes }) => [key, bytes])) }
  const running = status === 'running'
  const prepared = { machine, trackingId, visit: visiting, running, since, checkpoint }
  if (alone && item.readWhole !== true && since !== null && isUnchanged(disks, trackingId, since)) {
    const unchangedAt = await markUnchanged(qmp, { disks, trackingId }, bitmap, since, deps.clock)
    if (unchangedAt !== null) return { ...prepared, snapshots: [], unchangedAt }
    await restoreSince(qmp, (await readBlockGraph(qmp)).disks, trackingId, since)
  }
  await startNbdServer(qmp, machine)
  const snapshots = await addScratches(deps, machine, visiting, disks, { trackingId, since, machineCount })
  return { ...prepared, snapshots, unchangedAt: null }
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
  deps: PreparePointDeps,
  machine: MachineLocation,
  { qmp }: Visit,
  disks: readonly GraphDisk[],
  {
    trackingId,
    since,
    machineCount,
  }: {
    readonly trackingId: string
    readonly since: Checkpoint | null
    readonly machineCount: number
  },
): Promise<readonly SnapshotDisk[]> {
  const freeBytes = await machine.host.freeBytes(machine.folder)
  const snapshots: SnapshotDisk[] = []
  // All machines of a point may lie on one file system, and each of them sees the same free space before any scratch has grown.
  const scratchCount = disks.length * machineCount
  for (const disk of disks) {
    const tail = newTail(trackingId, disk.topNode)
    const most = scratchLimitBytes(disk.bytes, scratchCount, freeBytes)
    if (most === null) throw scratchFull(machine.name, disk.key, freeBytes)
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
