// Playing the guest, the hardware and the disaster at a simulated site.
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import { imageReader, resizeDisk, type SimulatedDisk, writeDisk } from './simulated-disk.ts'
import { diskWritesUntil, imageAt, powerOn, pullPlug, type SimulatedMachine } from './simulated-machine.ts'
import { addDisk, newMachineState, type SimulatedSite } from './simulated-site.ts'

export type SimulatedControl = {
  /** A machine that runs, with empty disks and nobody inside. */
  addMachine(machine: { readonly name: string; readonly disks: readonly number[] }): Promise<MachineRef>
  removeMachine(ref: MachineRef): Promise<void>
  /** As its guest would, or, while it is off, as somebody with a tool would. */
  writeToDisk(ref: MachineRef, key: DiskKey, offset: number, data: Buffer): Promise<void>
  /** The whole content now. */
  readDisk(ref: MachineRef, key: DiskKey): Promise<Buffer>
  /** The power fails. */
  kill(ref: MachineRef): Promise<void>
  resizeDisk(ref: MachineRef, key: DiskKey, bytes: number): Promise<void>
  addDisk(ref: MachineRef, bytes: number): Promise<DiskKey>
}

export function simulatedControl(site: SimulatedSite): SimulatedControl {
  const find = async (
    ref: MachineRef,
    key: DiskKey,
  ): Promise<{ machine: SimulatedMachine; disk: SimulatedDisk }> => {
    const machine = await site.find(ref)
    const disk = machine.disks.find(({ state }) => state.key === key)
    return { machine, disk: present(disk, `${ref} has disk ${key}`) }
  }
  return {
    async addMachine({ name, disks }) {
      const states = disks.map((bytes, index) => ({
        key: `disk${index}` as DiskKey,
        bytes,
        origin: 'zeros' as const,
        stamp: null,
        originSeed: '',
        churnSeed: '',
      }))
      const ref = `sim-made-${name}` as MachineRef
      const machine = await site.add({
        ...newMachineState({ ref, name, disks: states, now: site.now() }),
        guestAgent: site.settings.guestAgent,
      })
      powerOn(machine, site.now())
      await site.files.saveNow()
      site.changed()
      return ref
    },
    async removeMachine(ref) {
      await site.remove(ref)
      site.changed()
    },
    async writeToDisk(ref, key, offset, data) {
      const { machine, disk } = await find(ref, key)
      machine.state.mutation += 1
      const writes = diskWritesUntil(machine, disk, site.now())
      await writeDisk(disk, { offset, data }, { writes, mutation: machine.state.mutation })
    },
    async readDisk(ref, key) {
      const { machine, disk } = await find(ref, key)
      const image = imageAt(machine, disk, site.now())
      return await imageReader(image).read(0, image.bytes)
    },
    async kill(ref) {
      pullPlug(await site.find(ref), site.now())
      await site.files.saveNow()
      site.changed()
    },
    async resizeDisk(ref, key, bytes) {
      const { disk } = await find(ref, key)
      resizeDisk(disk, bytes)
      await site.files.saveNow()
      site.changed()
    },
    async addDisk(ref, bytes) {
      const key = await addDisk(site, await site.find(ref), bytes)
      site.changed()
      return key
    },
  }
}
