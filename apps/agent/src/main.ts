// The agent's process: the disks of the server that it runs on, through the kernel's own trace of what is written to them.
import { SYSFS } from '@understudy/drivers/linux/firmware'
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { openLinuxSource } from '@understudy/drivers/linux/source'
import { runProgram } from './program.ts'

const isLinux = process.platform === 'linux'

// Not awaited: the single file is CommonJS, which cannot. It tells of every failure itself.
void runProgram({
  // Elsewhere an agent reports, and says that it has no disks when it is asked for them.
  openSource: async ({ gate, preparationFolder }) =>
    isLinux
      ? openLinuxSource({ settings: defaultLinuxSettings, now: () => Date.now(), gate, preparationFolder })
      : null,
  sysfs: isLinux ? SYSFS : null,
})
