// A site in the emulated Azure for tests: everything in memory, and whoever looks in through the portal.
import { present } from '@understudy/base/invariant'
import type { DiscoveredMachine, DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { TargetPlatform } from '@understudy/engine/ports/target-platform'
import { type MemoryAccount, memoryAccount, memoryCalls } from '../emulator/memory-calls.ts'
import { azureTarget } from './azure-target.ts'
import { startMachine, stopMachine } from './double/compute-rules.ts'
import type { DiskContent, Json, Resource } from './double/double-parts.ts'
import {
  addressOfBlob,
  connectDouble,
  type EmulatedAzure,
  emulateAzure,
  emulatedSettings,
  quickWaits,
  roomInMemory,
} from './double/emulated-azure.ts'
import { RUN_TAG } from './run-names.ts'
import type { TargetParts } from './target-parts.ts'

export type TestSite = EmulatedAzure & {
  readonly account: MemoryAccount
  readonly parts: TargetParts
  readonly target: TargetPlatform
  /** Everything that is there, and every blob: what a test compares before and after. */
  things(): readonly string[]
  machines(): readonly Resource[]
  diskOf(ref: MachineRef, key: DiskKey): DiskContent
  addMachine(name: string, disks: readonly number[]): Promise<MachineRef>
  /** A machine's power and list, as the operator sees them. */
  readonly source: SourcePlatform
}

/** `workRequests`: so many requests later Azure has ended a work. */
export async function testSite(change: Partial<TargetParts> = {}, workRequests = 1): Promise<TestSite> {
  const account = memoryAccount()
  const storage = memoryCalls(account)
  const azure = await emulateAzure({ storage, room: roomInMemory, runner: pictureRunner, workRequests })
  const { double } = azure
  const parts: TargetParts = {
    arm: connectDouble(double),
    storage,
    addressOfBlob,
    settings: emulatedSettings,
    clock: { now: () => 0 },
    waits: quickWaits,
    ...change,
  }
  const machines = (): readonly Resource[] => double.ofType('Microsoft.Compute/virtualMachines')
  const machine = (ref: MachineRef): Resource => present(double.site.find(ref), `${ref} is there`)
  const disksOf = ({ properties }: Resource): readonly DiskContent[] =>
    [properties.storageProfile.osDisk, ...(properties.storageProfile.dataDisks ?? [])].map((disk: Json) =>
      present(double.site.find(disk.managedDisk.id)?.content, 'a disk has content'),
    )
  const toDiscovered = (resource: Resource): DiscoveredMachine => ({
    ref: resource.id.toLowerCase() as MachineRef,
    name: resource.name,
    host: emulatedSettings.region,
    power: resource.power === 'running' ? 'running' : 'off',
    hardware: {
      cpus: 1,
      memoryBytes: 2 ** 30,
      firmware: 'bios',
      disks: disksOf(resource).map(({ bytes }, index) => ({
        key: `disk${index}` as DiskKey,
        label: `disk${index}`,
        bytes,
        format: 'vhd',
        bus: 'scsi',
        boot: index === 0,
      })),
      adapters: [],
    },
    guestAgent: false,
    ownedBy: resource.tags[RUN_TAG] ?? null,
  })
  const never = (): never => {
    throw new Error('nothing is replicated from this site')
  }

  return {
    ...azure,
    account,
    parts,
    target: azureTarget(parts),
    things: () => [...double.site.resources.keys(), ...account.blobs.keys()].toSorted(),
    machines,
    diskOf: (ref, key) =>
      present(disksOf(machine(ref))[Number(key.replace('disk', ''))], `${ref} has ${key}`),
    async addMachine(name, sizes) {
      const disks: Resource[] = []
      for (const [index, bytes] of sizes.entries())
        disks.push(
          await double.place({
            type: 'Microsoft.Compute/disks',
            name: `${name}-${index}`,
            sku: { name: 'Standard_LRS' },
            properties: {
              creationData: { createOption: 'Import', sourceUri: 'gone', storageAccountId: 'gone' },
              provisioningState: 'Succeeded',
            },
            content: await roomInMemory(bytes),
          }),
        )
      const adapter = await double.place({
        type: 'Microsoft.Network/networkInterfaces',
        name: `${name}-adapter`,
        properties: {
          ipConfigurations: [
            {
              name: 'first',
              properties: { subnet: { id: azure.openSubnet }, privateIPAllocationMethod: 'Dynamic' },
            },
          ],
        },
      })
      const attached = disks.map(({ id }) => ({ createOption: 'Attach', managedDisk: { id } }))
      const made = await double.place({
        type: 'Microsoft.Compute/virtualMachines',
        name,
        properties: {
          hardwareProfile: { vmSize: 'Standard_B1s' },
          storageProfile: {
            osDisk: { ...attached[0], osType: 'Linux' },
            dataDisks: attached.slice(1).map((disk, lun) => ({ ...disk, lun })),
          },
          networkProfile: { networkInterfaces: [{ id: adapter.id }] },
        },
      })
      return made.id.toLowerCase() as MachineRef
    },
    source: {
      inventory: async () => machines().map(toDiscovered),
      watch: never,
      eligibility: never,
      openPoint: never,
      stopTracking: never,
      powerState: async (ref) => (machine(ref).power === 'running' ? 'running' : 'off'),
      shutDown: never,
      async powerOff(ref) {
        await stopMachine(double.site, machine(ref), 'stopped')
        return { at: 0, evidence: 'the double says so' }
      },
      start: (ref) => startMachine(double.site, machine(ref)),
      openStoppedDisks: never,
    },
  }
}

/** One pixel, green: "BM", 14 bytes of file header, 40 of picture header, one row of three bytes and one of padding. */
export function onePixel(): Buffer {
  const bitmap = Buffer.alloc(58)
  bitmap.write('BM', 'latin1')
  bitmap.writeUInt32LE(54, 10)
  bitmap.writeUInt32LE(40, 14)
  bitmap.writeInt32LE(1, 18)
  bitmap.writeInt32LE(1, 22)
  bitmap.writeUInt16LE(1, 26)
  bitmap.writeUInt16LE(24, 28)
  bitmap[55] = 0xff
  return bitmap
}

const pictureRunner = { start: async () => {}, stop: async () => {}, screen: async () => onePixel() }
