// What machines there are, as the console shows them.
import { watch as watchFolder } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAbort, Outage } from '@understudy/base/errors'
import type { DiscoveredMachine, MachineHardware, PowerState } from '@understudy/domain/machines/machine'
import { type GraphDisk, readBlockGraph } from './block-graph.ts'
import type { Host } from './host.ts'
import { toHardware } from './machine-definition.ts'
import { inGroups, type MachineDirectory, type Unread } from './machine-directory.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { powerState, toPowerState } from './power.ts'
import { type LookAtProcesses, rememberedProcesses } from './processes.ts'
import type { Qmp } from './qmp.ts'

const SIDE_BY_SIDE = 8
const LOOK_MILLISECONDS = 5000
const POLL_MILLISECONDS = 5000

export type InventoryReader = (signal?: AbortSignal) => Promise<readonly DiscoveredMachine[]>

type Row = { readonly place: MachineLocation; readonly row: DiscoveredMachine }

/**
 * Reads everything that is there now. A machine that does not answer is listed with power `unknown`, and so is one whose host or
 * folder cannot be read just now: that it has gone is concluded only where one could look. Outage when something that was
 * never read before cannot be read: nobody knows what is there.
 */
export function inventoryReader(directory: MachineDirectory): InventoryReader {
  let before: readonly Row[] = []
  const seenHosts = new Set<Host>()
  return async (signal) => {
    const { machines, hosts, unread } = await directory.survey(signal)
    const processes = rememberedProcesses(signal)
    const now = await inGroups(machines, SIDE_BY_SIDE, async (place) => ({
      place,
      row: await discover(place, processes, signal),
    }))
    const refs = new Set(machines.map(({ ref }) => ref))
    const hidden = before.filter(
      ({ place }) => !refs.has(place.ref) && unread.some((one) => isHiddenBy(place, one)),
    )
    for (const one of unread)
      if (!isKnown(one, seenHosts, hidden) && one.foreignMonitor === null) throw one.error
    for (const host of hosts) seenHosts.add(host)
    before = [
      ...now,
      ...hidden.map(({ place, row }) => ({ place, row: { ...row, power: 'unknown' as const } })),
    ]
    return before.map(({ row }) => row)
  }
}

const isHiddenBy = (place: MachineLocation, { host, folder }: Unread): boolean =>
  place.host === host && (folder === null || folder === place.folder)

const isKnown = (one: Unread, seenHosts: ReadonlySet<Host>, hidden: readonly Row[]): boolean =>
  one.folder === null ? seenHosts.has(one.host) : hidden.some(({ place }) => isHiddenBy(place, one))

async function discover(
  machine: MachineLocation,
  processes: LookAtProcesses,
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
    return { ...common, power: await powerNow(machine, processes, signal), hardware }
  }
}

/** Its host may go away between two questions. */
async function powerNow(
  machine: MachineLocation,
  processes: LookAtProcesses,
  signal: AbortSignal | undefined,
): Promise<PowerState> {
  try {
    return await powerState(machine, signal, processes)
  } catch (error) {
    if (error instanceof Outage) return 'unknown'
    throw error
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
  read: InventoryReader,
  onChange: () => void,
  signal: AbortSignal,
): void {
  for (const host of hosts) if (host.isLocal) watchLocal(host.machinesFolder, onChange, signal)
  void poll(read, onChange, signal)
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

async function poll(read: InventoryReader, onChange: () => void, signal: AbortSignal): Promise<void> {
  let before: string | null = null
  while (!signal.aborted) {
    try {
      const now = JSON.stringify(await read(signal))
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
