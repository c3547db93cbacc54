// Machines of the double that really run: QEMU with the disks that were imported. Emulated: no device of Azure's is there, the disks are
// on virtio. Nothing gets out of such a machine; its web page can be asked for from this computer alone.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BlockDevice } from '@understudy/block/device'
import { createFileDevice, openFileDevice } from '@understudy/block/file-device'
import { ArmError, type DiskContent, type MachineRunner } from './double-parts.ts'
import { holds } from './holds.ts'

/** Content in a file that QEMU reads. */
export type FileContent = DiskContent & {
  readonly path: string
  close(): Promise<void>
  remove(): Promise<void>
}

export type QemuRunner = MachineRunner & {
  room(bytes: number): Promise<FileContent>
  /** What an earlier runner left in the folder. */
  open(path: string): Promise<FileContent>
  /** Where the page of a machine that runs can be asked for; null: it does not run. */
  pageOf(name: string): string | null
  close(): Promise<void>
}

/** The files of disks in the folder of a runner are called so, and no other files. */
export const DISK_PREFIX = 'disk-'

const START_MS = 60_000
const MEMORY_MIB = 128

type Running = { readonly child: ChildProcess; readonly socket: string; readonly port: number }

/** Everything lies in `folder`, which must be short enough for the paths of sockets. */
export function qemuRunner(folder: string): QemuRunner {
  const running = new Map<string, Running>()
  const held = holds()

  const stop = async (name: string): Promise<void> => {
    const machine = running.get(name)
    if (machine === undefined) return
    running.delete(name)
    if (machine.child.exitCode !== null || machine.child.signalCode !== null) return
    // QEMU writes what it still holds before it ends.
    machine.child.kill('SIGTERM')
    await once(machine.child, 'exit')
  }

  return {
    async room(bytes) {
      const path = join(folder, `${DISK_PREFIX}${randomUUID()}.raw`)
      return toContent(path, await createFileDevice(path, bytes))
    },
    open: async (path) => toContent(path, await openFileDevice(path)),
    async start({ name, disks }) {
      await stop(name)
      const socket = join(folder, `${randomUUID().slice(0, 8)}.sock`)
      const port = await freePort()
      const drives = disks.flatMap((disk) => [
        '-drive',
        `file=${(disk as FileContent).path},format=raw,if=virtio,cache=writeback`,
      ])
      // A machine must not outlive its cloud, however that ended: nobody would know it, and its disks would be taken.
      const child = spawn(
        'setpriv',
        [
          ...['--pdeathsig', 'TERM', 'qemu-system-x86_64'],
          ...[
            '-machine',
            'q35',
            '-accel',
            'tcg,tb-size=64',
            '-m',
            `${MEMORY_MIB}`,
            '-nodefaults',
            '-vga',
            'std',
          ],
          ...['-display', 'none', '-qmp', `unix:${socket},server=on,wait=off`],
          ...['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:80`],
          ...['-device', 'virtio-net-pci,netdev=net', ...drives],
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      )
      const said: string[] = []
      child.stderr?.on('data', (part: Buffer) => said.push(part.toString()))
      running.set(name, { child, socket, port })
      const ended = once(child, 'exit').then(() => {
        throw new ArmError(500, 'VMStartTimedOut', `QEMU ended: ${said.join('').slice(-500)}`)
      })
      ended.catch(() => {})
      await Promise.race([openMonitor(socket).then((monitor) => monitor.destroy()), ended])
    },
    stop,
    async screen(name) {
      const machine = running.get(name)
      if (machine === undefined) return null
      const picture = join(folder, `${name}.ppm`)
      await command(machine.socket, { execute: 'screendump', arguments: { filename: picture } })
      const pixmap = await readFile(picture)
      await rm(picture)
      return pixmapToBitmap(pixmap)
    },
    async hold(name, work) {
      const machine = running.get(name)
      if (machine === undefined) return await work()
      await held(
        {
          name,
          // QEMU has written what the guest wrote when it says that it has stopped.
          stop: () => command(machine.socket, { execute: 'stop' }),
          goOn: () => command(machine.socket, { execute: 'cont' }),
        },
        work,
      )
    },
    pageOf(name) {
      const machine = running.get(name)
      return machine === undefined ? null : `http://127.0.0.1:${machine.port}`
    },
    async close() {
      for (const name of [...running.keys()]) await stop(name)
    },
  }
}

const toContent = (path: string, { bytes, read, write, close }: BlockDevice): FileContent => ({
  path,
  bytes,
  read,
  write: (offset, data) => write(offset, data),
  close,
  async remove() {
    await close()
    await rm(path, { force: true })
  },
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function openMonitor(path: string): Promise<Socket> {
  const deadline = Date.now() + START_MS
  for (;;) {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      socket.destroy()
      if (Date.now() > deadline) throw error
      await sleep(50)
    }
  }
}

/** QMP: one object of JSON a line; the first is a greeting, and nothing else is taken before `qmp_capabilities`. */
async function command(path: string, wanted: object): Promise<void> {
  const socket = await openMonitor(path)
  try {
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
    const answer = async (): Promise<void> => {
      for (;;) {
        const { value, done } = await lines.next()
        if (done === true) throw new Error('QEMU ended')
        const said = JSON.parse(value) as {
          readonly QMP?: unknown
          readonly return?: unknown
          readonly error?: unknown
        }
        if (said.error !== undefined) throw new Error(value)
        if (said.QMP !== undefined || said.return !== undefined) return
      }
    }
    await answer()
    for (const line of [{ execute: 'qmp_capabilities' }, wanted]) {
      socket.write(`${JSON.stringify(line)}\n`)
      await answer()
    }
  } finally {
    socket.destroy()
  }
}

/** Netpbm's `P6 <width> <height> 255` to what Azure keeps: see `bitmap-to-png.ts`. */
function pixmapToBitmap(pixmap: Buffer): Buffer | null {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(pixmap.toString('latin1', 0, 64))
  if (header === null) return null
  const [width, height] = [Number(header[1]), Number(header[2])]
  const rowBytes = Math.ceil((width * 3) / 4) * 4
  const bitmap = Buffer.alloc(54 + rowBytes * height)
  bitmap.write('BM', 'latin1')
  bitmap.writeUInt32LE(54, 10)
  bitmap.writeUInt32LE(40, 14)
  bitmap.writeInt32LE(width, 18)
  bitmap.writeInt32LE(-height, 22)
  bitmap.writeUInt16LE(1, 26)
  bitmap.writeUInt16LE(24, 28)
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1) {
      const from = header[0].length + (row * width + column) * 3
      const to = 54 + row * rowBytes + column * 3
      for (const channel of [0, 1, 2]) bitmap[to + channel] = pixmap[from + 2 - channel] ?? 0
    }
  return bitmap
}
