// Reading a machine that is off, for the last delta of a planned failover.
//
// A guest that powered off leaves its QEMU behind in run state `shutdown`, and with it the bitmaps of raw disks, which die
// with the process. So the order is: ask that process what changed, write it down beside the machine (for raw disks), end
// the process, then open the files read-only. Interrupted anywhere, it can be repeated and still knows.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Extent, MappedExtent } from '@understudy/block/device'
import { union } from '@understudy/block/extents'
import { connectNbd, type NbdDevice } from '@understudy/block/nbd/client'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { DiskFingerprint, SourceDisk, StoppedDisks } from '@understudy/engine/ports/source-platform'
import { readBlockGraph } from './block-graph.ts'
import { mappedRuns, toMappedDisk, wholeDisk } from './changed-extents.ts'
import { refuseDrift } from './definition-drift.ts'
import { bitmapsOf, checkSince, disabling, processIdentity, restoreSince } from './dirty-bitmaps.ts'
import { diskFingerprints } from './fingerprints.ts'
import { type DefinedDisk, diskNodeName } from './machine-definition.ts'
import { type MachineLocation, visit } from './monitor.ts'
import { exportSocketPath, startNbdServer } from './nbd-server.ts'
import { type Checkpoint, ownerDigest, parseCheckpoint } from './ownership.ts'
import { definitionOf, type EvidenceOfOff, endProcess, evidenceOfOff, processOf } from './power.ts'
import type { Qmp } from './qmp.ts'
import { endExport, exportCommand, removeSnapshots } from './snapshot.ts'
import { openStorageDaemon } from './storage-daemon.ts'

export type StoppedRequest = {
  readonly excludedDisks: readonly DiskKey[]
  readonly trackingId: string
  readonly since: string | null
  /** What proves it off; by its own host alone when nothing is given. */
  readonly evidence?: EvidenceOfOff
}

/** What is known to have changed, by disk; a disk that is missing here must be read whole. */
type Known = ReadonlyMap<DiskKey, readonly Extent[]>

/** See SourcePlatform.openStoppedDisks. Refusal `source/not-off` while the machine runs. */
export async function openStoppedDisks(
  machine: MachineLocation,
  request: StoppedRequest,
): Promise<StoppedDisks> {
  const definition = definitionOf(machine)
  if ((await (request.evidence ?? evidenceOfOff)(machine)) === null)
    throw new Refusal({
      code: 'source/not-off',
      message: `${machine.name} is not off, so its disks still change`,
      remedy: 'Shut it down first.',
    })
  const since = request.since === null ? null : parseCheckpoint(request.since, request.trackingId)
  const disks = definition.disks.filter(({ key }) => !request.excludedDisks.includes(key))
  if ((await processOf(machine)) !== null) {
    // With its process goes the only description of disks that were added to it.
    await refuseDrift(machine, request.excludedDisks)
    if (since !== null) await keepLastChanges(machine, disks, request.trackingId, since)
    await endProcess(machine)
  }
  const fingerprints = (await diskFingerprints(machine)).filter(({ key }) =>
    disks.some((disk) => disk.key === key),
  )
  const daemon = await openStorageDaemon(machine, disks, ownerDigest(request.trackingId))
  const socket = await machine.host.forward(daemon.exportSocketPath).catch(async (error: unknown) => {
    await daemon.close()
    throw error
  })
  const devices: NbdDevice[] = []
  const close = async (): Promise<void> => {
    await Promise.allSettled(devices.map((device) => device.close()))
    await socket.close()
    await daemon.close()
  }
  try {
    const fromImages =
      since === null
        ? new Map()
        : await readPersistentBitmaps(daemon.qmp, disks, request.trackingId, since, socket.path)
    const written =
      since === null ? new Map() : await readLastChanges(machine, request.trackingId, since, fingerprints)
    const known: Known = new Map([...written, ...fromImages])
    const sinceKnown = since !== null && disks.every(({ key }) => known.has(key) || !since.disks.has(key))
    const opened: SourceDisk[] = []
    for (const disk of disks) {
      const name = diskNodeName(disk.key)
      await daemon.qmp.batch([exportCommand(name, { node: name }, null)])
      const device = await connectNbd({ address: { kind: 'unix', path: socket.path }, exportName: name })
      devices.push(device)
      opened.push(toSourceDisk(disk, device, sinceKnown ? known.get(disk.key) : undefined))
    }
    return { sinceKnown, disks: opened, fingerprints, close }
  } catch (error) {
    await close()
    throw error
  }
}

function toSourceDisk(
  disk: DefinedDisk,
  device: NbdDevice,
  known: readonly Extent[] | undefined,
): SourceDisk {
  const mapped = toMappedDisk(device)
  return {
    key: disk.key,
    bytes: device.bytes,
    reader: device,
    changed: (signal): AsyncIterable<MappedExtent> =>
      known === undefined ? wholeDisk(mapped, signal) : mappedRuns(mapped, known, signal),
  }
}

/** Bitmaps inside the images, as the storage daemon found them. Never written: the daemon is read-only. */
async function readPersistentBitmaps(
  qmp: Qmp,
  disks: readonly DefinedDisk[],
  trackingId: string,
  since: Checkpoint,
  socketPath: string,
): Promise<Known> {
  const known = new Map<DiskKey, readonly Extent[]>()
  type Node = {
    readonly 'node-name': string
    readonly 'dirty-bitmaps'?: readonly {
      readonly name: string
      readonly recording: boolean
      readonly inconsistent?: boolean
    }[]
  }
  const nodes = await qmp.execute<readonly Node[]>('query-named-block-nodes', { flat: true })
  for (const { key } of disks) {
    const node = nodes.find((candidate) => candidate['node-name'] === diskNodeName(key))
    const row = bitmapsOf({ bitmaps: node?.['dirty-bitmaps'] ?? [] }, trackingId)
    const names = completeRow(row, since.bitmap)
    if (node === undefined || names === null || !since.disks.has(key)) continue
    known.set(key, await readBitmaps(qmp, node['node-name'], names, socketPath, since.disks.get(key) ?? 0))
  }
  return known
}

/** The bitmaps that together hold everything since `name`: see dirty-bitmaps.ts. Null when they do not. */
function completeRow(
  row: readonly { readonly name: string; readonly recording: boolean; readonly inconsistent?: boolean }[],
  name: string,
): readonly string[] | null {
  const start = row.findIndex((bitmap) => bitmap.name === name)
  const bitmap = row[start]
  if (bitmap === undefined) return null
  const used = bitmap.recording ? [bitmap] : row.slice(start)
  const complete =
    used.some(({ recording }) => recording) && used.every(({ inconsistent }) => inconsistent !== true)
  return complete ? used.map((one) => one.name) : null
}

/** Exports the node for as long as it takes to read these bitmaps. `bytesThen`: see changedSince. */
async function readBitmaps(
  qmp: Qmp,
  node: string,
  bitmaps: readonly string[],
  socketPath: string,
  bytesThen: number,
): Promise<readonly Extent[]> {
  const id = `us-map-${node}`
  const { execute, arguments: args } = exportCommand(node, { node }, null)
  await qmp.execute(execute, { ...args, id, name: id, bitmaps: bitmaps.map((name) => ({ node, name })) })
  const contexts = bitmaps.map((name) => `qemu:dirty-bitmap:${name}`)
  const device = await connectNbd({
    address: { kind: 'unix', path: socketPath },
    exportName: id,
    metaContexts: contexts,
  })
  try {
    const grown = { offset: bytesThen, bytes: Math.max(0, device.bytes - bytesThen) }
    let dirty: readonly Extent[] = grown.bytes > 0 ? [grown] : []
    for (const context of contexts) {
      const runs: Extent[] = []
      for await (const { offset, bytes, flags } of device.blockStatus(context, {
        offset: 0,
        bytes: device.bytes,
      }))
        if ((flags & 1) !== 0) runs.push({ offset, bytes })
      dirty = union(dirty, runs)
    }
    return dirty
  } finally {
    await device.close()
    await endExport(qmp, id)
  }
}

type Written = {
  readonly since: string
  readonly disks: readonly {
    readonly key: DiskKey
    readonly fingerprint: string
    readonly extents: readonly number[]
  }[]
}

const lastChangesPath = (machine: MachineLocation, trackingId: string): string =>
  join(machine.folder, `us-last-${ownerDigest(trackingId)}.json`)

/**
 * Writes down what changed on disks whose bitmaps will die with the process. Nothing is written when the bitmaps cannot be
 * used: then everything is read and compared.
 */
async function keepLastChanges(
  machine: MachineLocation,
  disks: readonly DefinedDisk[],
  trackingId: string,
  since: Checkpoint,
): Promise<void> {
  const { qmp, end } = await visit(machine)
  try {
    const owner = ownerDigest(trackingId)
    await removeSnapshots(qmp, machine.host, machine.folder, (node) => node.owner === owner)
    const process = await processIdentity(qmp)
    const before = await readBlockGraph(qmp)
    if (checkSince(before.disks, trackingId, since, process) !== null) return
    await restoreSince(qmp, before.disks, trackingId, since)
    const raw = disks
      .filter(({ key, format }) => format === 'raw' && since.disks.has(key))
      .map(({ key }) => key)
    if (raw.length === 0) return
    await startNbdServer(qmp, machine)
    const socket = await machine.host.forward(exportSocketPath(machine))
    try {
      const fingerprints = new Map((await diskFingerprints(machine)).map(({ key, value }) => [key, value]))
      const written: Written['disks'][number][] = []
      for (const disk of before.disks.filter(({ key }) => raw.includes(key))) {
        // A bitmap can be shown only when it stands still. The guest is off, so there is nothing to miss.
        await qmp.transaction([disabling(disk, since.bitmap)])
        const bytesThen = since.disks.get(disk.key) ?? 0
        const extents = await readBitmaps(qmp, disk.node, [since.bitmap], socket.path, bytesThen)
        written.push({
          key: disk.key,
          fingerprint: fingerprints.get(disk.key) ?? '',
          extents: extents.flatMap(({ offset, bytes }) => [offset, bytes]),
        })
        await qmp.transaction([['block-dirty-bitmap-enable', { node: disk.node, name: since.bitmap }]])
      }
      const text: Written = { since: since.bitmap, disks: written }
      await machine.host.writeFile(lastChangesPath(machine, trackingId), JSON.stringify(text))
    } finally {
      await socket.close()
    }
  } finally {
    end()
  }
}

/** Only for disks that nobody has written to since. */
async function readLastChanges(
  machine: MachineLocation,
  trackingId: string,
  since: Checkpoint,
  fingerprints: readonly DiskFingerprint[],
): Promise<Known> {
  const path = lastChangesPath(machine, trackingId)
  const text = await machine.host.readFile(path)
  if (text === null) return new Map()
  const written = parseWritten(text.toString('utf8'), path)
  if (written.since !== since.bitmap) return new Map()
  return new Map(
    written.disks
      .filter(({ key, fingerprint }) =>
        fingerprints.some((now) => now.key === key && now.value === fingerprint),
      )
      .map(({ key, extents }) => [key, pairs(extents)]),
  )
}

function pairs(numbers: readonly number[]): readonly Extent[] {
  const extents: Extent[] = []
  for (let index = 0; index + 1 < numbers.length; index += 2)
    extents.push({ offset: numbers[index] ?? 0, bytes: numbers[index + 1] ?? 0 })
  return extents
}

function parseWritten(text: string, path: string): Written {
  try {
    // Written by ourselves, atomically.
    return JSON.parse(text) as Written
  } catch (cause) {
    throw new Outage({
      code: 'kvm/host-failed',
      message: `${path} is damaged`,
      remedy: 'Remove this file; the next cycle then compares everything.',
      cause,
    })
  }
}
