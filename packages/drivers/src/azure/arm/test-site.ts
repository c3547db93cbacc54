// A site in the emulated Azure for tests: everything in memory, and whoever looks in through the portal.
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { TargetPlatform } from '@understudy/engine/ports/target-platform'
import { type MemoryAccount, memoryAccount, memoryCalls } from '../emulator/memory-calls.ts'
import { azureTarget } from './azure-target.ts'
import { lineTo } from './double/double-line.ts'
import type { DiskContent, Json, MachineRunner, Resource } from './double/double-parts.ts'
import {
  addressOfBlob,
  connectDouble,
  type EmulatedAzure,
  emulateAzure,
  emulatedSettings,
  quickWaits,
  roomInMemory,
} from './double/emulated-azure.ts'
import { DISK_TAG } from './run-names.ts'
import { azureSource } from './source/azure-source.ts'
import { snapshotCalls } from './source/snapshot-calls.ts'
import type { SourceParts } from './source/source-parts.ts'
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
  resizeDisk(ref: MachineRef, key: DiskKey, bytes: number): Promise<void>
  addDisk(ref: MachineRef, bytes: number): Promise<DiskKey>
  /** As the guest would while it runs; as somebody with a tool would while it is off. */
  writeToDisk(ref: MachineRef, key: DiskKey, offset: number, data: Buffer): Promise<void>
  readonly source: SourcePlatform
  readonly sourceParts: SourceParts
}

/** `workRequests`: so many requests later Azure has ended a work. */
export async function testSite(
  change: Partial<TargetParts> = {},
  workRequests = 1,
  runScript?: NonNullable<MachineRunner['runScript']>,
): Promise<TestSite> {
  const account = memoryAccount()
  const storage = memoryCalls(account)
  const runner = { ...pictureRunner, ...(runScript === undefined ? {} : { runScript }) }
  const azure = await emulateAzure({ storage, room: roomInMemory, runner, workRequests })
  const { double } = azure
  const parts: TargetParts = {
    arm: connectDouble(double),
    storage,
    addressOfBlob,
    settings: emulatedSettings,
    clock: { now: () => 1 },
    waits: quickWaits,
    ...change,
  }
  const machines = (): readonly Resource[] => double.ofType('Microsoft.Compute/virtualMachines')
  const machine = (ref: MachineRef): Resource => present(double.site.find(ref), `${ref} is there`)
  const diskResource = (ref: MachineRef, key: DiskKey): Resource => {
    const { osDisk, dataDisks = [] } = machine(ref).properties.storageProfile
    const places: readonly (readonly [string, Json])[] = [
      ['os', osDisk],
      ...dataDisks.map((disk: Json) => [`lun${disk.lun}`, disk] as const),
    ]
    const found = places.flatMap(([place, { managedDisk }]) => {
      const disk = present(double.site.find(managedDisk.id), 'a disk of a machine is there')
      return (disk.tags[DISK_TAG] ?? place) === key ? [disk] : []
    })
    return present(found[0], `${ref} has ${key}`)
  }
  const diskOf = (ref: MachineRef, key: DiskKey): DiskContent =>
    present(diskResource(ref, key).content, 'a disk has content')

  const placeDisk = async (name: string, bytes: number): Promise<Resource> =>
    await double.place({
      type: 'Microsoft.Compute/disks',
      name,
      sku: { name: 'Standard_LRS' },
      properties: {
        creationData: { createOption: 'Import', sourceUri: 'gone', storageAccountId: 'gone' },
        provisioningState: 'Succeeded',
      },
      content: await roomInMemory(bytes),
    })
  const sourceParts: SourceParts = {
    ...parts,
    pages: snapshotCalls({ client: lineTo(double), pause: async () => {} }),
    watchMs: 20,
  }

  return {
    ...azure,
    account,
    parts,
    target: azureTarget(parts),
    things: () => [...double.site.resources.keys(), ...account.blobs.keys()].toSorted(),
    machines,
    diskOf,
    async writeToDisk(ref, key, offset, data) {
      await diskOf(ref, key).write(offset, data)
      if (machine(ref).power === 'running') return
      // Whoever writes to the disk of a machine that is off has attached it to another one, and Azure notes that.
      const { properties } = diskResource(ref, key)
      const before = Date.parse(properties.LastOwnershipUpdateTime ?? double.site.now())
      properties.LastOwnershipUpdateTime = new Date(before + 1000).toISOString()
    },
    async resizeDisk(ref, key, bytes) {
      const disk = diskResource(ref, key)
      const before = diskOf(ref, key)
      const content = await roomInMemory(bytes)
      await content.write(0, await before.read(0, before.bytes))
      disk.content = content
      disk.properties.diskSizeBytes = bytes
    },
    async addDisk(ref, bytes) {
      const { name, properties } = machine(ref)
      const { storageProfile } = properties
      storageProfile.dataDisks ??= []
      const lun = storageProfile.dataDisks.length
      const { id } = await placeDisk(`${name}-added-${lun}`, bytes)
      storageProfile.dataDisks.push({ lun, createOption: 'Attach', managedDisk: { id } })
      return `lun${lun}` as DiskKey
    },
    async addMachine(name, sizes) {
      const disks: Resource[] = []
      for (const [index, bytes] of sizes.entries()) disks.push(await placeDisk(`${name}-${index}`, bytes))
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
    sourceParts,
    source: azureSource(sourceParts),
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
