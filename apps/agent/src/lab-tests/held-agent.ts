// For tests only: the agent as it is, on its whole server. Whenever it holds the server still it says so at UNDERSTUDY_TEST_HOLDS, and waits for the answer:
// whoever listens there has the server's disks before him, from outside, as the point must be.
import { SYSFS } from '@understudy/drivers/linux/firmware'
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { openLinuxSource } from '@understudy/drivers/linux/source'
import { runProgram } from '../program.ts'

const address = process.env.UNDERSTUDY_TEST_HOLDS ?? ''

await runProgram({
  openSource: ({ gate, preparationFolder }) =>
    openLinuxSource({
      settings: {
        ...defaultLinuxSettings,
        // An emulated server beside others takes its time, and so does the copy of its disks.
        limits: { ...defaultLinuxSettings.limits, holdSeconds: 120 },
      },
      now: () => Date.now(),
      gate,
      preparationFolder,
      whileHeld: async () => {
        await (await fetch(address, { method: 'POST' })).text()
      },
    }),
  sysfs: SYSFS,
})
