// For tests only: the agent as it is, with a simulated server in place of the one that it runs on. Its disks and what its guest writes are
// those of the folder UNDERSTUDY_SIMULATED_SERVER, with the settings in UNDERSTUDY_SIMULATED_SETTINGS, and its hardware what
// UNDERSTUDY_SIMULATED_SYSFS says.
import { setTimeout as wait } from 'node:timers/promises'
import type { SiteId } from '@understudy/domain/sites/site'
import { openSimulatedPlatform } from '@understudy/drivers/simulated/platform'
import { runProgram } from '../program.ts'

const sysfs = process.env.UNDERSTUDY_SIMULATED_SYSFS ?? null

async function openSource() {
  const { UNDERSTUDY_SIMULATED_SERVER: folder = '', UNDERSTUDY_SIMULATED_SETTINGS: text = '{}' } = process.env
  const { source } = openSimulatedPlatform(
    { id: 'server' as SiteId, settings: { machines: 1, ...JSON.parse(text) } },
    {},
    {
      folder,
      clock: { now: () => Date.now() },
      sleep: (milliseconds, signal) => wait(milliseconds, undefined, signal ? { signal } : {}),
    },
  )
  return source
}

await runProgram({ openSource, sysfs })
