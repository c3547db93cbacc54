// For tests only: a receiver whose disks are the files in UNDERSTUDY_TEST_DISKS, or these devices. Finishing and restarting leave the files `finished` and
// `restarted` in UNDERSTUDY_TEST_FOLDER, and the latter ends the process.
import { appendFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openReceivingDisk } from '@understudy/drivers/linux/receiving/receiving-disk'
import type { ReceiverSystem } from '@understudy/drivers/physical/receiver-desk'
import { openReceiver } from '../open-receiver.ts'
import { runProgram } from '../program.ts'

const paths = (process.env.UNDERSTUDY_TEST_DISKS ?? '').split(' ').filter((path) => path !== '')
const folder = process.env.UNDERSTUDY_TEST_FOLDER ?? ''

const home: Pick<ReceiverSystem, 'finish' | 'restart'> = {
  async finish(disks) {
    await appendFile(join(folder, 'finished'), `${JSON.stringify(disks)}\n`)
    return { changes: [`${disks.length} disks were looked at`] }
  },
  async restart() {
    await appendFile(join(folder, 'restarted'), 'restarted\n')
    process.exit(0)
  },
}

const overFiles: ReceiverSystem = {
  ...home,
  async describe() {
    const disks = await Promise.all(
      paths.map(async (path) => ({
        path,
        bytes: (await stat(path)).size,
        model: 'File',
        serial: null,
        bus: null,
        key: path.slice(-20).replaceAll('/', '-') as never,
        keyIsStable: false,
        blocked: null,
      })),
    )
    return { disks, addresses: ['192.0.2.1'], firmware: 'bios' }
  },
  open: openReceivingDisk,
}

await runProgram({
  openSource: async () => null,
  openReceiver: () => (paths[0]?.startsWith('/dev/') ? openReceiver(paths, home) : overFiles),
  sysfs: null,
})
