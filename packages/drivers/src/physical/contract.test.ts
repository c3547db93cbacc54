import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { SourceHarness } from '@understudy/simulator/contracts/platform-harness'
import { sourcePlatformContract } from '@understudy/simulator/contracts/source-platform-contract'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { type MemoryDisk, readAll } from '@understudy/simulator/memory-disk'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { wireLab } from './wire-lab.ts'

/** `twice`: a cut takes the first answer to every ask away. */
const harnessWith = (twice: boolean) => async (): Promise<SourceHarness> => {
  const clock = virtualClock()
  const site = fakeWorld(clock).addSite('a')
  site.readsByThemselves()
  const lab = wireLab(site.source, () => clock.now())
  lab.world.twice = twice
  const diskOf = (ref: MachineRef, key: DiskKey): MemoryDisk =>
    present(site.machine(ref).disks.get(key), `${ref} has ${key}`)
  return {
    source: lab.source,
    guestAgent: true,
    obeysShutDown: false,
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
    // The control plane that dies: the agents stay, with what is open there.
    reopen: async (): Promise<{ source: SourcePlatform }> => ({ source: lab.source }),
    pass: (milliseconds) => clock.advance(milliseconds),
    close: () => lab.close(),
  }
}

sourcePlatformContract('servers with agents', harnessWith(false), { alone: true })
sourcePlatformContract('servers with agents, over a line that loses every first answer', harnessWith(true), {
  alone: true,
})
