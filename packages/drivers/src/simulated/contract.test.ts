import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SiteId } from '@understudy/domain/sites/site'
import { hostProgramsContract } from '@understudy/simulator/contracts/host-programs-contract'
import type { TargetHarness } from '@understudy/simulator/contracts/platform-harness'
import { sourcePlatformContract } from '@understudy/simulator/contracts/source-platform-contract'
import { targetPlatformContract } from '@understudy/simulator/contracts/target-platform-contract'
import { type VirtualClock, virtualClock } from '@understudy/simulator/virtual-clock'
import { openSimulatedPlatform } from './platform.ts'

const siteId = 'site-a' as SiteId

const open = (folder: string, clock: VirtualClock, settings: Readonly<Record<string, unknown>>) =>
  openSimulatedPlatform({ id: siteId, settings }, {}, { folder, clock, sleep: clock.sleep })

async function harness(): Promise<TargetHarness> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-simulated-'))
  const clock = virtualClock()
  let platform = open(folder, clock, { machines: 0 })
  const processes = [platform]
  return {
    source: platform.source,
    target: platform.target,
    guestAgent: true,
    obeysShutDown: true,
    isolatedNetwork: 'sim-isolated',
    openNetwork: 'sim-lan',
    addMachine: (machine) => platform.control.addMachine(machine),
    removeMachine: (ref) => platform.control.removeMachine(ref),
    writeToDisk: (ref, key, offset, data) => platform.control.writeToDisk(ref, key, offset, data),
    readDiskNow: (ref, key) => platform.control.readDisk(ref, key),
    killMachine: (ref) => platform.control.kill(ref),
    resizeDisk: (ref, key, bytes) => platform.control.resizeDisk(ref, key, bytes),
    addDisk: (ref, bytes) => platform.control.addDisk(ref, bytes),
    async reopen() {
      // What a process that died had not written yet is lost; what it promised is in the file.
      platform = open(folder, clock, { machines: 0 })
      processes.push(platform)
      return platform
    },
    pass: (milliseconds) => clock.advance(milliseconds),
    async close() {
      // Dead or not, it is this process whose timers would write the files again.
      for (const one of processes) await one.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

sourcePlatformContract('simulated', harness)
targetPlatformContract('simulated', harness)
hostProgramsContract('simulated', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-simulated-'))
  const clock = virtualClock()
  const programs = () => open(folder, clock, { machines: 0 }).hostPrograms
  return {
    programs: programs(),
    reopen: async () => programs(),
    pass: (milliseconds) => clock.advance(milliseconds),
    close: () => rm(folder, { recursive: true, force: true }),
  }
})
