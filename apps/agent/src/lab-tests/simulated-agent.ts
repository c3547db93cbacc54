// For tests only: the agent as it is, with a simulated server in place of the one that it runs on. Its disks and what its guest writes are
// those of the folder UNDERSTUDY_SIMULATED_SERVER, with the settings in UNDERSTUDY_SIMULATED_SETTINGS, and its hardware what
// UNDERSTUDY_SIMULATED_SYSFS says. Its clock is so many milliseconds off as UNDERSTUDY_TEST_CLOCK_OFF says, and the true instants of its
// points lie in the file `instants` beside the folder.
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { SiteId } from '@understudy/domain/sites/site'
import { openSimulatedPlatform } from '@understudy/drivers/simulated/platform'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { runProgram } from '../program.ts'

const {
  UNDERSTUDY_SIMULATED_SERVER: folder = '',
  UNDERSTUDY_SIMULATED_SETTINGS: text = '{}',
  UNDERSTUDY_SIMULATED_SYSFS: sysfs = null,
  UNDERSTUDY_TEST_CLOCK_OFF: off = '0',
} = process.env
const trueNow = Date.now
Date.now = () => trueNow() + Number(off)

async function openSource(): Promise<SourcePlatform> {
  const { source } = openSimulatedPlatform(
    { id: 'server' as SiteId, settings: { machines: 1, ...JSON.parse(text) } },
    {},
    {
      folder,
      // What its guest writes is told by the time, also to whoever looks at the disks afterwards.
      clock: { now: trueNow },
      sleep: (milliseconds, signal) => wait(milliseconds, undefined, signal ? { signal } : {}),
    },
  )
  return {
    ...source,
    async openPoint(request, signal) {
      const opened = await source.openPoint(request, signal)
      if (opened.kind !== 'opened') return opened
      const { instant } = opened.point
      await appendFile(join(folder, '..', 'instants'), `${instant}\n`)
      return { ...opened, point: { ...opened.point, instant: instant + Number(off) } }
    },
  }
}

await runProgram({ openSource, sysfs })
