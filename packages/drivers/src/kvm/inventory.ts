// What machines there are, as the console shows them.
import { watch as watchFolder } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAbort, Outage } from '@understudy/base/errors'
import type { DiscoveredMachine, MachineHardware } from '@understudy/domain/machines/machine'
import { type GraphDisk, readBlockGraph } from './block-graph.ts'
import type { Host } from './host.ts'
import { toHardware } from './machine-definition.ts'
import { inGroups, type MachineDirectory } from './machine-directory.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { powerState, toPowerState } from './power.ts'
import type { Qmp } from './qmp.ts'

const SIDE_BY_SIDE = 8
const LOOK_MILLISECONDS = 5000
const POLL_MILLISECONDS = 5000

/** Everything that is there now. A machine that does not answer is listed with power `unknown`. */
export async function readInventory(
  directory: MachineDirectory,
  signal?: AbortSignal,
): Promise<readonly DiscoveredMachine[]> {
  const machines = await directory.all(signal)
  return inGroups(machines, SIDE_BY_SIDE, (machine) => discover(machine, signal))
}

async function discover(
  machine: MachineLocation,
  signal: AbortSignal | undefined,
): Promise<DiscoveredMachine> {
  const { definition } = machine
  const common = {
    ref: machine.ref,
    name: machine.name,
    host: machine.host.name,
    guestAgent: machine.agentPath !== null,
    ownedBy: definition?.ownedBy ?? null,
  }
  try {
    return await withMonitor(
      machine,
      async (qmp) => {
        const { status } = await qmp.execute<{ readonly status: string }>('query-status')
        const { disks } = await readBlockGraph(qmp)
        const hardware =
          definition === null ? await foreignHardware(qmp, disks) : withSizes(toHardware(definition), disks)
        return { ...common, power: toPowerState(status), hardware }
      },
      { connectMilliseconds: LOOK_MILLISECONDS, signal },
    )
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    const hardware = definition === null ? nothingKnown : toHardware(definition)
    return { ...common, power: await powerState(machine, signal), hardware }
  }
}

const nothingKnown: MachineHardware = { cpus: 1, memoryBytes: 0, firmware: 'bios', disks: [], adapters: [] }

/** A disk may have been resized since its definition was written. */
const withSizes = (hardware: MachineHardware, disks: readonly GraphDisk[]): MachineHardware => ({
  ...hardware,
  disks: hardware.disks.map((disk) => ({
    ...disk,
    bytes: disks.find(({ key }) => key === disk.key)?.bytes ?? disk.bytes,
  })),
})

/** As far as QEMU tells. Its network adapters are not among that. */
async function foreignHardware(qmp: Qmp, disks: readonly GraphDisk[]): Promise<MachineHardware> {
  const cpus = await qmp.execute<readonly unknown[]>('query-cpus-fast')
  const memory = await qmp.execute<{ readonly 'base-memory': number; readonly 'plugged-memory'?: number }>(
    'query-memory-size-summary',
  )
  const nodes = await qmp.execute<readonly { readonly file: string }[]>('query-named-block-nodes', {
    flat: true,
  })
  const uefi = nodes.some(({ file }) => /OVMF|AAVMF|edk2/i.test(file))
  return {
    cpus: cpus.length,
    memoryBytes: memory['base-memory'] + (memory['plugged-memory'] ?? 0),
    firmware: uefi ? 'uefi' : 'bios',
    disks: disks.map((disk, index) => ({
      key: disk.key,
      label: disk.key,
      bytes: disk.bytes,
      format: disk.format,
      bus: disk.virtio ? 'virtio' : 'other',
      // QEMU does not say which one the firmware takes; without bootindex it is the first.
      boot: index === 0,
    })),
    adapters: [],
  }
}

/** Looks every few seconds and compares; folders of this computer report by themselves in between. */
export function watchInventory(
  hosts: readonly Host[],
  directory: MachineDirectory,
  onChange: () => void,
  signal: AbortSignal,
): void {
  for (const host of hosts) if (host.isLocal) watchLocal(host.machinesFolder, onChange, signal)
  void poll(directory, onChange, signal)
}

function watchLocal(folder: string, onChange: () => void, signal: AbortSignal): void {
  try {
    // Only hints; when the system has no more watches to give, polling does it alone.
    const watcher = watchFolder(folder, { signal }, onChange)
    watcher.on('error', () => watcher.close())
  } catch (error) {
    if (!(error instanceof Error)) throw error
  }
}

async function poll(directory: MachineDirectory, onChange: () => void, signal: AbortSignal): Promise<void> {
  let before: string | null = null
  while (!signal.aborted) {
    try {
      const now = JSON.stringify(await readInventory(directory, signal))
      if (before !== null && now !== before) onChange()
      before = now
    } catch (error) {
      if (signal.aborted || isAbort(error)) return
      // Not reachable is a change as well: whoever listens will find out by asking.
      if (before !== 'unreachable') onChange()
      before = 'unreachable'
    }
    await sleep(POLL_MILLISECONDS, undefined, { signal }).catch(() => undefined)
  }
}
