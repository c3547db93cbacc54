// For tests only: the agent as it is, on a server whose only disks are the devices in UNDERSTUDY_TEST_DEVICES. Whenever it holds them still it
// copies them into a new folder of UNDERSTUDY_TEST_ORACLE, each named by its place in the list: what a point must equal. The last few stay.
import { execFile } from 'node:child_process'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { openLinuxSource } from '@understudy/drivers/linux/source'
import { runProgram } from '../program.ts'

const devices = (process.env.UNDERSTUDY_TEST_DEVICES ?? '').split(' ').filter((path) => path !== '')
const oracle = process.env.UNDERSTUDY_TEST_ORACLE ?? ''
const run = promisify(execFile)

const KEPT = 6

async function whileHeld(): Promise<void> {
  const folder = join(oracle, `hold-${Date.now()}`)
  await mkdir(`${folder}.new`)
  for (const [index, device] of devices.entries())
    await run('dd', [
      `if=${device}`,
      `of=${join(`${folder}.new`, String(index))}`,
      'bs=1M',
      'iflag=direct',
      'status=none',
    ])
  await rename(`${folder}.new`, folder)
  const holds = (await readdir(oracle)).filter((name) => !name.endsWith('.new')).sort()
  for (const name of holds.slice(0, -KEPT)) await rm(join(oracle, name), { recursive: true })
}

await runProgram({
  openSource: ({ gate }) =>
    openLinuxSource({
      settings: {
        ...defaultLinuxSettings,
        devices,
        // A busy computer takes its time to copy them.
        limits: { ...defaultLinuxSettings.limits, holdSeconds: 60 },
      },
      now: () => Date.now(),
      gate,
      whileHeld,
    }),
  sysfs: null,
})
