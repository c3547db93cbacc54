// The agent's process: the disks of the server that it runs on, through the kernel's own trace of what is written to them.
import { SYSFS } from '@understudy/drivers/linux/firmware'
import { finishDisks } from '@understudy/drivers/linux/homecoming/finish-disks'
import { restartServer } from '@understudy/drivers/linux/homecoming/restart-server'
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { openLinuxSource } from '@understudy/drivers/linux/source'
import { openReceiver } from './open-receiver.ts'
import { runProgram } from './program.ts'

const isLinux = process.platform === 'linux'

// Not awaited: the single file is CommonJS, which cannot. It tells of every failure itself.
void runProgram({
  // Elsewhere an agent reports, and says that it has no disks when it is asked for them.
  openSource: async ({ gate, preparationFolder }) =>
    isLinux
      ? openLinuxSource({ settings: defaultLinuxSettings, now: () => Date.now(), gate, preparationFolder })
      : null,
  openReceiver: () =>
    isLinux
      ? openReceiver(null, {
          finish: (disks, signal) => finishDisks({ disks, signal }),
          restart: () => restartServer(),
        })
      : null,
  sysfs: isLinux ? SYSFS : null,
})
