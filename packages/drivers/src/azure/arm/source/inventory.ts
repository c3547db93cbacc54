// The machines of the resource group, as they are now.
import type { Disk, VirtualMachine } from '@azure/arm-compute'
import type { NetworkInterface } from '@azure/arm-network'
import { present } from '@understudy/base/invariant'
import type { DiscoveredMachine, MachineHardware, NetworkAdapter } from '@understudy/domain/machines/machine'
import type { MachineState } from '../arm-calls.ts'
import { type MachineSize, toSize } from '../choose-size.ts'
import { eachOrNone } from '../each-or-none.ts'
import { sameId } from '../resource-id.ts'
import { toRunMachine } from '../run-machine.ts'
import { RUN_TAG } from '../run-names.ts'
import { attachedDisks } from './attached-disks.ts'
import { toPowerState } from './power.ts'
import type { SourceParts } from './source-parts.ts'

const AT_ONCE = 4

type Around = {
  readonly disks: readonly Disk[]
  readonly adapters: readonly NetworkInterface[]
  readonly sizes: readonly MachineSize[]
}

export async function readInventory(
  { arm, settings }: Pick<SourceParts, 'arm' | 'settings'>,
  signal: AbortSignal | undefined,
): Promise<readonly DiscoveredMachine[]> {
  const [machines, disks, adapters, skus] = await Promise.all([
    arm.machines.list(signal),
    arm.disks.list(signal),
    arm.adapters.list(signal),
    arm.sizes(signal),
  ])
  const around = { disks, adapters, sizes: skus.map(toSize).filter((size) => size !== null) }
  const found = await eachOrNone(machines, AT_ONCE, signal, async (machine, _, stop) => {
    const state = await arm.stateOf(present(machine.name, 'a machine has a name'), stop)
    // It went away since the list was made.
    return state === null ? null : toDiscovered(machine, state, around, settings.region)
  })
  return found.filter((machine) => machine !== null)
}

function toDiscovered(
  machine: VirtualMachine,
  { power }: MachineState,
  around: Around,
  region: string,
): DiscoveredMachine {
  const { ref, name } = toRunMachine(machine)
  return {
    ref,
    name,
    host: machine.zones?.[0] === undefined ? region : `${region}, zone ${machine.zones[0]}`,
    power: toPowerState(power),
    hardware: toHardware(machine, around),
    // Azure's agent reports, but holds no application still for us.
    guestAgent: false,
    ownedBy: machine.tags?.[RUN_TAG] ?? null,
  }
}

function toHardware(machine: VirtualMachine, { disks, adapters, sizes }: Around): MachineHardware {
  const attached = attachedDisks(machine, disks)
  const wanted = machine.hardwareProfile?.vmSize?.toLowerCase()
  const size = sizes.find(({ name }) => name.toLowerCase() === wanted)
  const boot = attached.find((disk) => disk.boot)?.disk
  return {
    cpus: size?.cpus ?? 1,
    memoryBytes: size?.memoryBytes ?? 0,
    firmware: boot?.hyperVGeneration === 'V2' ? 'uefi' : 'bios',
    disks: attached.map(({ key, label, bytes, boot: isBoot, disk }) => ({
      key,
      label,
      bytes,
      format: disk?.sku?.name ?? 'managed disk',
      bus: 'scsi',
      boot: isBoot,
    })),
    adapters: (machine.networkProfile?.networkInterfaces ?? []).flatMap(({ id }) => {
      const adapter = adapters.find((one) => sameId(one.id, id))
      return adapter === undefined ? [] : [toAdapter(adapter)]
    }),
  }
}

const toAdapter = ({ name, macAddress, ipConfigurations = [] }: NetworkInterface): NetworkAdapter => ({
  key: present(name, 'an adapter has a name'),
  macAddress: (macAddress ?? '').replaceAll('-', ':').toLowerCase(),
  networkId: ipConfigurations[0]?.subnet?.id ?? null,
  model: 'hyper-v',
})
