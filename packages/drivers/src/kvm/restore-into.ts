// Bringing the disks of a machine that is off to the state of a recovery point, in place: how an original is failed back to.
// The images stay QEMU's business: a storage daemon holds them open (and locked) and takes our writes over NBD.

import { MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import { compareDisks } from '@understudy/block/compare'
import { copyExtents } from '@understudy/block/copy-extents'
import type { BlockDevice, Extent, MappedExtent } from '@understudy/block/device'
import { below } from '@understudy/block/extents'
import { connectNbd, type NbdDevice } from '@understudy/block/nbd/client'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskFingerprint } from '@understudy/engine/ports/source-platform'
import type { HydrateProgress, RestoreDisk } from '@understudy/engine/ports/target-platform'
import { diskFingerprints } from './fingerprints.ts'
import { hostFailed } from './local-host.ts'
import {
  type DefinedDisk,
  diskNodeName,
  diskPath,
  machineFiles,
  saveMachineDefinition,
} from './machine-definition.ts'
import type { MachineLocation } from './monitor.ts'
import { parseBitmap } from './ownership.ts'
import { definitionOf, endProcess, powerState } from './power.ts'
import type { Qmp } from './qmp.ts'
import { findRestoring, markRestoring, unmarkRestoring } from './restoring-marker.ts'
import { openStorageDaemon } from './storage-daemon.ts'

export type RestoreOptions = {
  readonly runId: RunId
  readonly fingerprints: readonly DiskFingerprint[]
  readonly overwriteModified: boolean
  readonly onProgress: (progress: HydrateProgress) => void
}

/** See TargetPlatform.restoreInto. */
export async function restoreInto(
  machine: MachineLocation,
  disks: readonly RestoreDisk[],
  options: RestoreOptions,
  signal?: AbortSignal,
): Promise<{ readonly writtenBytes: number }> {
  const pairs = pairDisks(machine, disks)
  await makeSureOff(machine)
  const halfRestored = (await findRestoring(machine)) !== null
  if (!halfRestored && !options.overwriteModified) await refuseModified(machine, disks, options.fingerprints)

  await markRestoring(machine, options.runId)
  await resizeDisks(machine, pairs)
  const writtenBytes = await writeDisks(
    machine,
    pairs,
    { halfRestored, onProgress: options.onProgress },
    signal,
  )
  await unmarkRestoring(machine)
  return { writtenBytes }
}

type Pair = { readonly defined: DefinedDisk; readonly wanted: RestoreDisk }

function pairDisks(machine: MachineLocation, disks: readonly RestoreDisk[]): readonly Pair[] {
  const { disks: defined } = definitionOf(machine)
  return disks.map((wanted) => {
    const disk = defined.find(({ key }) => key === wanted.key)
    if (disk !== undefined && disk.backing === undefined) return { defined: disk, wanted }
    throw new Refusal({
      code: 'fail-back/disk-missing',
      message: `${machine.name} has no disk ${wanted.key} that could be written to`,
      remedy: 'Give the machine this disk again, or fail back to another machine.',
    })
  })
}

async function makeSureOff(machine: MachineLocation): Promise<void> {
  const power = await powerState(machine)
  if (power !== 'off')
    throw new Refusal({
      code: 'machine/running',
      message: `${machine.name} is ${power}; its disks cannot be replaced under it`,
      remedy: 'Shut it down first.',
    })
  // Its guest may be off and its process still hold the images.
  await endProcess(machine)
}

/** A disk of which nobody noted what it was like cannot be known to be unmodified. */
async function refuseModified(
  machine: MachineLocation,
  disks: readonly RestoreDisk[],
  fingerprints: readonly DiskFingerprint[],
): Promise<void> {
  const now = new Map((await diskFingerprints(machine)).map(({ key, value }) => [key, value]))
  const noted = new Map(fingerprints.map(({ key, value }) => [key, value]))
  const modified = disks.filter(({ key }) => noted.get(key) === undefined || noted.get(key) !== now.get(key))
  if (modified.length === 0) return
  throw new Refusal({
    code: 'fail-back/original-modified',
    message: `Disk ${modified.map(({ key }) => key).join(', ')} of ${machine.name} may have been written to since it was shut down`,
    remedy: 'Fail back to another machine, or choose to overwrite what was written.',
    facts: { disks: modified.map(({ key }) => key) },
  })
}

async function resizeDisks(machine: MachineLocation, pairs: readonly Pair[]): Promise<void> {
  const { host, folder } = machine
  const definition = definitionOf(machine)
  for (const { defined, wanted } of pairs.filter((pair) => pair.defined.bytes !== pair.wanted.bytes)) {
    const resize = [
      'resize',
      '-q',
      '--shrink',
      '-f',
      defined.format,
      diskPath(folder, defined),
      String(wanted.bytes),
    ]
    const result = await host.run('qemu-img', resize)
    if (result.code !== 0)
      throw hostFailed(host.name, `resize disk ${defined.key}`, new Error(result.stderr.trim()))
  }
  // libvirt's machines have none: it asks the image.
  if ((await host.status(machineFiles(folder).definition)) === null) return
  const sizes = new Map(pairs.map(({ wanted }) => [wanted.key, wanted.bytes]))
  const resized = definition.disks.map((disk) => ({ ...disk, bytes: sizes.get(disk.key) ?? disk.bytes }))
  await saveMachineDefinition(host, folder, { ...definition, disks: resized })
}

async function writeDisks(
  machine: MachineLocation,
  pairs: readonly Pair[],
  options: { halfRestored: boolean; onProgress: (progress: HydrateProgress) => void },
  signal: AbortSignal | undefined,
): Promise<number> {
  const defined = pairs.map((pair) => pair.defined)
  const daemon = await openStorageDaemon(machine, defined, 'restore', { writable: true })
  const socket = await machine.host.forward(daemon.exportSocketPath).catch(async (error: unknown) => {
    await daemon.close()
    throw error
  })
  const totalBytes = pairs.reduce((sum, { wanted }) => sum + wanted.bytes, 0)
  let doneBytes = 0
  let writtenBytes = 0
  try {
    await forgetTracking(daemon.qmp)
    for (const { wanted } of pairs) {
      const device = await openForWriting(daemon.qmp, wanted, socket.path)
      try {
        const before = doneBytes
        const report = (offset: number): void =>
          options.onProgress({ doneBytes: before + offset, totalBytes })
        // Half restored, nobody knows what is where.
        const differs = options.halfRestored ? null : wanted.differs
        writtenBytes += await writeDisk(wanted, device, differs, report, signal)
        await device.flush(signal)
      } finally {
        await device.close()
      }
      doneBytes += wanted.bytes
      options.onProgress({ doneBytes, totalBytes })
    }
  } finally {
    await socket.close()
    await daemon.close()
  }
  return writtenBytes
}

/** What was recorded before says nothing about content that comes from elsewhere. */
async function forgetTracking(qmp: Qmp): Promise<void> {
  type Node = {
    readonly 'node-name': string
    readonly 'dirty-bitmaps'?: readonly { readonly name?: string }[]
  }
  const nodes = await qmp.execute<readonly Node[]>('query-named-block-nodes', { flat: true })
  for (const node of nodes)
    for (const { name } of node['dirty-bitmaps'] ?? [])
      if (name !== undefined && parseBitmap(name) !== null)
        await qmp.execute('block-dirty-bitmap-remove', { node: node['node-name'], name })
}

async function openForWriting(qmp: Qmp, disk: RestoreDisk, socketPath: string): Promise<NbdDevice> {
  const node = diskNodeName(disk.key)
  await qmp.execute('block-export-add', {
    type: 'nbd',
    id: node,
    'node-name': node,
    name: node,
    writable: true,
  })
  const device = await connectNbd({ address: { kind: 'unix', path: socketPath }, exportName: node })
  if (device.bytes === disk.bytes) return device
  await device.close()
  throw new Outage({
    code: 'fail-back/wrong-size',
    message: `Disk ${disk.key} has ${device.bytes} bytes instead of ${disk.bytes}`,
    remedy: 'Repeat the fail-back; the disk is resized again.',
  })
}

async function writeDisk(
  disk: RestoreDisk,
  device: BlockDevice,
  differs: AsyncIterable<MappedExtent> | null,
  report: (offset: number) => void,
  signal: AbortSignal | undefined,
): Promise<number> {
  const found = differs ?? findDifferences(disk, device, signal)
  const totals = await copyExtents({
    from: disk.reader,
    to: device,
    extents: reported(below(found, disk.bytes), report),
    reuseBuffers: true,
    ...(signal === undefined ? {} : { signal }),
  })
  return totals.dataBytes + totals.zeroBytes
}

async function* findDifferences(
  disk: RestoreDisk,
  device: BlockDevice,
  signal: AbortSignal | undefined,
): AsyncGenerator<MappedExtent> {
  const options = signal === undefined ? {} : { signal }
  for await (const extent of compareDisks(disk.reader, device, options)) yield { ...extent, kind: 'data' }
}

async function* reported<Item extends Extent>(
  extents: AsyncIterable<Item>,
  report: (offset: number) => void,
): AsyncGenerator<Item> {
  let next = 0
  for await (const extent of extents) {
    // Often enough for a progress bar.
    if (extent.offset >= next) {
      report(extent.offset)
      next = extent.offset + 16 * MiB
    }
    yield extent
  }
}
