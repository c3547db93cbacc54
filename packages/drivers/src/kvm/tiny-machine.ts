// A QEMU without an operating system, for tests: its firmware idles at "no bootable device", and `qemu-io` inside QEMU
// writes where a guest would. What was written is kept as a model to compare with.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from './host.ts'
import { localHost } from './local-host.ts'
import { type DefinedDisk, type MachineDefinition, saveMachineDefinition } from './machine-definition.ts'
import { machineDirectory } from './machine-directory.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { endProcess, startMachine } from './power.ts'

const run = promisify(execFile)

export type TinyDisk = { readonly key: string; readonly format: 'raw' | 'qcow2'; readonly bytes: number }

export type TinyMachine = {
  readonly location: MachineLocation
  readonly ref: MachineRef
  start(): Promise<void>
  /** Writes `pattern`; `zero` and `discard` make zeros. Through the device, as a guest would. */
  write(key: string, offset: number, bytes: number, pattern: number): Promise<void>
  zero(key: string, offset: number, bytes: number): Promise<void>
  discard(key: string, offset: number, bytes: number): Promise<void>
  /** What the disk holds by all that was written. */
  model(key: string): Buffer
  /** What is really in the image, read by qemu-img once QEMU has written everything. */
  image(key: string): Promise<Buffer>
  query<Result>(command: string, args?: Readonly<Record<string, unknown>>): Promise<Result>
  human(commandLine: string): Promise<string>
}

export type TinySite = {
  readonly folder: string
  readonly host: Host
  add(name: string, disks: readonly TinyDisk[], more?: Partial<MachineDefinition>): Promise<TinyMachine>
  /** Ends every QEMU and removes everything. */
  close(): Promise<void>
}

/** A site of one host in a temporary folder. */
export async function tinySite(): Promise<TinySite> {
  const folder = await mkdtemp(join(tmpdir(), 'us-'))
  const host = localHost({ name: 'here', machinesFolder: folder })
  const machines: TinyMachine[] = []
  return {
    folder,
    host,
    async add(name, disks, more = {}) {
      const definition = tinyDefinition(name, disks, machines.length, more)
      const machineFolder = join(folder, name)
      await host.makeFolder(machineFolder)
      for (const disk of disks) await createImage(machineFolder, disk)
      await saveMachineDefinition(host, machineFolder, definition)
      const location = await machineDirectory([host], () => undefined).find(definition.ref)
      const machine = tinyMachine(location, disks)
      machines.push(machine)
      return machine
    },
    async close() {
      for (const { location } of machines) await endProcess(location)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export function tinyDefinition(
  name: string,
  disks: readonly TinyDisk[],
  index: number,
  more: Partial<MachineDefinition> = {},
): MachineDefinition {
  return {
    version: 1,
    // Nobody else's: being off is proven by looking for it among all processes.
    ref: `${randomBytes(4).toString('hex')}-0000-4000-8000-${String(index + 1).padStart(12, '0')}` as MachineRef,
    name,
    cpus: 1,
    memoryBytes: 64 * 1024 * 1024,
    firmware: 'bios',
    disks: disks.map(
      (disk, at): DefinedDisk => ({
        key: disk.key as DiskKey,
        label: disk.key,
        file: `${disk.key}.${disk.format}`,
        format: disk.format,
        bus: 'virtio',
        boot: at === 0,
        bytes: disk.bytes,
      }),
    ),
    adapters: [],
    guestAgent: false,
    accelerator: 'tcg',
    ownedBy: null,
    ...more,
  }
}

async function createImage(folder: string, { key, format, bytes }: TinyDisk): Promise<void> {
  await run('qemu-img', ['create', '-q', '-f', format, join(folder, `${key}.${format}`), String(bytes)])
}

function tinyMachine(location: MachineLocation, disks: readonly TinyDisk[]): TinyMachine {
  const models = new Map(disks.map(({ key, bytes }) => [key, Buffer.alloc(bytes)]))
  const model = (key: string): Buffer => models.get(key) ?? Buffer.alloc(0)
  const human = (commandLine: string): Promise<string> =>
    withMonitor(location, (qmp) => qmp.human(commandLine))
  const io = async (key: string, command: string): Promise<void> => {
    // qemu-io says on QEMU's own output what went wrong; the comparison with the model finds it.
    await human(`qemu-io -d /machine/peripheral/dev-${key}/virtio-backend "${command}"`)
  }
  return {
    location,
    ref: location.ref,
    start: () => startMachine(location, { bootDeadlineSeconds: 30 }),
    async write(key, offset, bytes, pattern) {
      await io(key, `write -q -P ${pattern} ${offset} ${bytes}`)
      model(key).fill(pattern, offset, offset + bytes)
    },
    async zero(key, offset, bytes) {
      await io(key, `write -q -z ${offset} ${bytes}`)
      model(key).fill(0, offset, offset + bytes)
    },
    async discard(key, offset, bytes) {
      await io(key, `discard -q ${offset} ${bytes}`)
      model(key).fill(0, offset, offset + bytes)
    },
    model,
    async image(key) {
      const disk = disks.find((candidate) => candidate.key === key)
      const from = join(location.folder, `${key}.${disk?.format}`)
      const to = join(location.folder, `${key}.compare`)
      await run('qemu-img', ['convert', '-U', '-f', disk?.format ?? 'raw', '-O', 'raw', from, to])
      const content = await readFile(to)
      await rm(to)
      return content
    },
    query: <Result>(command: string, args?: Readonly<Record<string, unknown>>) =>
      withMonitor(location, (qmp) => qmp.execute<Result>(command, args)),
    human,
  }
}
