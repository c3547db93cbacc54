// Bringing the disks of a stopped machine to the content of a recovery point.
import { KiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import type { RunId } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { RestoreDisk, TargetPlatform } from '@understudy/engine/ports/target-platform'
import { refuseRunning } from './power.ts'
import { imageReader, resizeDisk, type SimulatedDisk, writeDisk } from './simulated-disk.ts'
import {
  diskWritesUntil,
  fingerprintOf,
  imageAt,
  loseTracking,
  type SimulatedMachine,
} from './simulated-machine.ts'
import type { SimulatedSite } from './simulated-site.ts'

type RestoreOptions = Parameters<TargetPlatform['restoreInto']>[2]

const PIECE_BYTES = 64 * KiB

export async function restoreInto(
  site: SimulatedSite,
  request: {
    readonly ref: MachineRef
    readonly disks: readonly RestoreDisk[]
    readonly options: RestoreOptions
    readonly signal?: AbortSignal | undefined
  },
): Promise<{ readonly writtenBytes: number }> {
  const { disks, options, signal } = request
  const machine = await site.find(request.ref)
  refuseRunning(machine)
  const targets = disks.map((disk) => ({ disk, into: requireDisk(machine, disk) }))
  const mixed = machine.state.mixedBy !== null
  if (!mixed && !options.overwriteModified) refuseModified(machine, options.fingerprints, site)
  await markMixed(site, machine, options.runId)

  let writtenBytes = 0
  let doneBytes = 0
  const totalBytes = disks.reduce((sum, disk) => sum + disk.bytes, 0)
  for (const { disk, into } of targets) {
    if (into.state.bytes !== disk.bytes) resizeDisk(into, disk.bytes)
    // Half restored, nobody knows what is where: compare everything.
    const differs = mixed ? null : disk.differs
    writtenBytes += await restoreDisk(site, { machine, into, from: disk.reader, differs, signal })
    doneBytes += disk.bytes
    options.onProgress({ doneBytes, totalBytes })
  }
  // Marks from before say nothing about content that came from elsewhere.
  loseTracking(machine)
  await markMixed(site, machine, null)
  site.changed()
  return { writtenBytes }
}

async function markMixed(site: SimulatedSite, machine: SimulatedMachine, runId: RunId | null): Promise<void> {
  machine.state.mixedBy = runId
  await site.files.saveNow()
}

type DiskRestore = {
  readonly machine: SimulatedMachine
  readonly into: SimulatedDisk
  readonly from: BlockReader
  readonly differs: AsyncIterable<MappedExtent> | null
  readonly signal: AbortSignal | undefined
}

async function restoreDisk(site: SimulatedSite, restore: DiskRestore): Promise<number> {
  const { machine, into, from, differs, signal } = restore
  const whole: MappedExtent = { offset: 0, bytes: from.bytes, kind: 'data' }
  let writtenBytes = 0
  for await (const { offset, bytes } of differs ?? [whole]) {
    const end = Math.min(offset + bytes, from.bytes)
    for (let at = offset; at < end; at += PIECE_BYTES) {
      signal?.throwIfAborted()
      const wanted = await from.read(at, Math.min(PIECE_BYTES, end - at), signal)
      const there = await imageReader(imageAt(machine, into, site.now())).read(at, wanted.length, signal)
      if (wanted.equals(there)) continue
      machine.state.mutation += 1
      const writes = diskWritesUntil(machine, into, site.now())
      await writeDisk(into, { offset: at, data: wanted }, { writes, mutation: machine.state.mutation })
      writtenBytes += wanted.length
    }
  }
  return writtenBytes
}

function requireDisk(machine: SimulatedMachine, disk: RestoreDisk): SimulatedDisk {
  const found = machine.disks.find(({ state }) => state.key === disk.key)
  if (found) return found
  throw new Refusal({
    code: 'machine/disk-missing',
    message: `${machine.state.name} has no disk ${disk.key} any more`,
    remedy: 'Add the disk, or fail back to another machine.',
  })
}

function refuseModified(
  machine: SimulatedMachine,
  fingerprints: RestoreOptions['fingerprints'],
  site: SimulatedSite,
): void {
  const now = site.now()
  const same = (key: string, value: string): boolean => {
    const disk = machine.disks.find(({ state }) => state.key === key)
    return disk !== undefined && fingerprintOf(machine, disk, now) === value
  }
  if (fingerprints.every(({ key, value }) => same(key, value))) return
  throw new Refusal({
    code: 'machine/modified',
    message: `The disks of ${machine.state.name} were written to since it was shut down`,
    remedy: 'Fail back to another machine, or choose to overwrite what was written.',
  })
}
