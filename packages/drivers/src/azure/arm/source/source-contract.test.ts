import { setTimeout as sleep } from 'node:timers/promises'
import type { SourceHarness } from '@understudy/simulator/contracts/platform-harness'
import { sourcePlatformContract } from '@understudy/simulator/contracts/source-platform-contract'
import { expect } from 'vitest'
import { stopMachine } from '../double/compute-rules.ts'
import { testSite } from '../test-site.ts'
import { azureSource } from './azure-source.ts'

async function harness(): Promise<SourceHarness> {
  const site = await testSite()
  const { double, diskOf } = site
  return {
    source: site.source,
    guestAgent: false,
    obeysShutDown: true,
    tracksOverPowerLoss: true,
    addMachine: ({ name, disks }) => site.addMachine(name, disks),
    removeMachine: async (ref) => void double.site.resources.delete(ref),
    writeToDisk: site.writeToDisk,
    readDiskNow: (ref, key) => diskOf(ref, key).read(0, diskOf(ref, key).bytes),
    // Azure's host fails: the machine is off, and nobody has asked for it.
    async killMachine(ref) {
      const machine = double.site.find(ref)
      if (machine !== undefined) await stopMachine(double.site, machine, 'stopped')
    },
    resizeDisk: site.resizeDisk,
    addDisk: site.addDisk,
    reopen: async () => ({ source: azureSource(site.sourceParts) }),
    pass: (milliseconds) => sleep(Math.min(milliseconds, 100)),
    async close() {
      expect(double.violations, 'what contradicts the published types').toEqual([])
      const read = double.ofType('Microsoft.Compute/snapshots').filter(({ signature }) => signature)
      // A process that has died leaves them to its successor, which the tests of crashes look at.
      expect(read.length, 'addresses at which disks can be read').toBeLessThanOrEqual(2)
    },
  }
}

sourcePlatformContract('azure', harness)
