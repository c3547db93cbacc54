// The agent's process: the disks of the server that it runs on, through the kernel's own trace of what is written to them.
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { openLinuxSource } from '@understudy/drivers/linux/source'
import { runProgram } from './program.ts'

await runProgram(async () =>
  // Elsewhere an agent reports, and says that it has no disks when it is asked for them.
  process.platform === 'linux'
    ? openLinuxSource({ settings: defaultLinuxSettings, now: () => Date.now() })
    : null,
)
