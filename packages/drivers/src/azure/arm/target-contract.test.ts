import type { TargetHarness } from '@understudy/simulator/contracts/platform-harness'
import { targetPlatformContract } from '@understudy/simulator/contracts/target-platform-contract'
import { expect } from 'vitest'
import { azureTarget } from './azure-target.ts'
import { OWN_NETWORK } from './site-networks.ts'
import { testSite } from './test-site.ts'

async function harness(): Promise<TargetHarness> {
  const site = await testSite()
  const { source, target, diskOf } = site
  return {
    source,
    target,
    guestAgent: false,
    obeysShutDown: true,
    isolatedNetwork: OWN_NETWORK,
    openNetwork: site.openSubnet,
    addMachine: ({ name, disks }) => site.addMachine(name, disks),
    removeMachine: async (ref) => void site.double.site.resources.delete(ref),
    writeToDisk: site.writeToDisk,
    readDiskNow: (ref, key) => diskOf(ref, key).read(0, diskOf(ref, key).bytes),
    killMachine: async (ref) => void (await source.powerOff(ref)),
    reopen: async () => ({ source, target: azureTarget(site.parts) }),
    pass: async () => {},
    async close() {
      expect(site.double.violations, 'what contradicts the published types').toEqual([])
    },
  }
}

// Its machines have their disks wholly before they start, and what is there is not written into.
targetPlatformContract('azure', harness, { copiesFirst: true, noRestore: true })
