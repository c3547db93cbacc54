import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { TargetHarness } from './contracts/platform-harness.ts'
import { sourcePlatformContract } from './contracts/source-platform-contract.ts'
import { targetPlatformContract } from './contracts/target-platform-contract.ts'
import { fakeWorld } from './fake-platform.ts'
import { type MemoryDisk, readAll } from './memory-disk.ts'
import { virtualClock } from './virtual-clock.ts'

async function harness(): Promise<TargetHarness> {
  const clock = virtualClock()
  const site = fakeWorld(clock).addSite('a')
  const diskOf = (ref: MachineRef, key: DiskKey): MemoryDisk =>
    present(site.machine(ref).disks.get(key), `${ref} has ${key}`)
  return {
    source: site.source,
    target: site.target,
    guestAgent: true,
    obeysShutDown: true,
    isolatedNetwork: 'isolated',
    openNetwork: 'lan',
    async addMachine({ name, disks }) {
      const machine = await site.addMachine({ name, disks, writeEveryMilliseconds: 0 })
      return machine.ref
    },
    removeMachine: async (ref) => site.removeMachine(ref),
    writeToDisk: (ref, key, offset, data) => diskOf(ref, key).write(offset, data),
    readDiskNow: (ref, key) => readAll(diskOf(ref, key)),
    killMachine: async (ref) => site.machine(ref).powerOff(),
    resizeDisk: async (ref, key, bytes) => site.machine(ref).resizeDisk(key, bytes),
    addDisk: async (ref, bytes) => site.machine(ref).addDisk(bytes),
    reopen: async () => ({ source: site.source, target: site.target }),
    pass: (milliseconds) => clock.advance(milliseconds),
    close: async () => {},
  }
}

sourcePlatformContract('fake', harness)
targetPlatformContract('fake', harness)
