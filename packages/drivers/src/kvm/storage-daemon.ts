// A qemu-storage-daemon that shows the disks of a machine that is off. It locks the images, so nobody starts the machine
// under a reader or a writer.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import type { DefinedDisk } from './machine-definition.ts'
import { diskNodeName, diskPath } from './machine-definition.ts'
import type { MachineLocation } from './monitor.ts'
import { diskNode } from './qemu-command.ts'
import { connectQmp, type Qmp } from './qmp.ts'

const STORAGE_DAEMON = 'qemu-storage-daemon'
const END_MILLISECONDS = 10_000
const POLL_MILLISECONDS = 25

export type StorageDaemon = {
  readonly qmp: Qmp
  readonly exportSocketPath: string
  /** Ends the daemon and waits until it is gone. Repeatable. */
  close(): Promise<void>
}

/** `name` tells daemons of one machine apart. One of the same name that a killed predecessor left is ended first. */
export async function openStorageDaemon(
  machine: MachineLocation,
  disks: readonly DefinedDisk[],
  name: string,
  options: { readonly writable?: boolean; readonly endMilliseconds?: number } = {},
): Promise<StorageDaemon> {
  const { host, folder } = machine
  const paths = {
    monitor: join(folder, `us-stopped-${name}.qmp`),
    exports: join(folder, `us-stopped-${name}.sock`),
    pid: join(folder, `us-stopped-${name}.pid`),
  }
  const endMilliseconds = options.endMilliseconds ?? END_MILLISECONDS
  const end = (): Promise<void> => endDaemon(machine, paths, endMilliseconds)
  await end()
  const result = await host.run(STORAGE_DAEMON, [
    ...disks.flatMap((disk) => [
      '--blockdev',
      JSON.stringify(options.writable === true ? diskNode(disk, folder) : readOnlyNode(disk, folder)),
    ]),
    '--chardev',
    `socket,id=monitor,path=${paths.monitor.replaceAll(',', ',,')},server=on,wait=off`,
    '--monitor',
    'chardev=monitor',
    '--nbd-server',
    JSON.stringify({ addr: { type: 'unix', path: paths.exports } }),
    '--pidfile',
    paths.pid,
    '--daemonize',
  ])
  if (result.code !== 0) throw cannotOpen(machine, result.stderr)
  try {
    const qmp = await connectQmp(() => host.connect(paths.monitor), { name: `${machine.name} (off)` })
    const close = async (): Promise<void> => {
      qmp.close()
      await end()
    }
    return { qmp, exportSocketPath: paths.exports, close }
  } catch (error) {
    await end()
    throw error
  }
}

const readOnlyNode = (disk: DefinedDisk, folder: string): Readonly<Record<string, unknown>> => ({
  driver: disk.format,
  'node-name': diskNodeName(disk.key),
  'read-only': true,
  file: { driver: 'file', filename: diskPath(folder, disk), 'read-only': true },
})

/** SIGTERM, then SIGKILL, each with its time: a process that waits for a dead disk hears neither. */
async function endDaemon(
  machine: MachineLocation,
  paths: { readonly monitor: string; readonly exports: string; readonly pid: string },
  endMilliseconds: number,
): Promise<void> {
  const { host } = machine
  const pid = Number((await host.readFile(paths.pid))?.toString('utf8').trim())
  const isOurs = async (): Promise<boolean> =>
    (await host.commandLineOf(pid))?.includes(paths.monitor) === true
  if (Number.isInteger(pid) && pid > 1 && (await isOurs())) {
    await host.kill(pid, 'SIGTERM')
    const deadline = performance.now() + endMilliseconds
    while (await isOurs()) {
      if (performance.now() > deadline) await host.kill(pid, 'SIGKILL')
      await sleep(POLL_MILLISECONDS)
      if (performance.now() > deadline + endMilliseconds)
        throw cannotOpen(machine, `process ${pid} does not end`)
    }
  }
  for (const path of Object.values(paths)) await host.removeFile(path)
}

const cannotOpen = (machine: MachineLocation, message: string): Outage =>
  new Outage({
    code: 'source/disks-not-readable',
    message: `The disks of ${machine.name} cannot be opened: ${message.trim().slice(-500)}`,
    remedy: 'See whether the machine, or another program, still uses them.',
  })
