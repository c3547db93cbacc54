// What the benches stand on: tools from Debian, a KVM site of one host in a folder of its own, and disks to put there.
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import type { Host } from '@understudy/drivers/kvm/host'
import { localHost } from '@understudy/drivers/kvm/local-host'
import { type MachineDefinition, saveMachineDefinition } from '@understudy/drivers/kvm/machine-definition'
import { machineDirectory } from '@understudy/drivers/kvm/machine-directory'
import type { MachineLocation } from '@understudy/drivers/kvm/monitor'
import { endProcess } from '@understudy/drivers/kvm/power'
import { kvmSource } from '@understudy/drivers/kvm/source'
import { type TinyDisk, tinyDefinition } from '@understudy/drivers/kvm/tiny-machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { withCleanUp } from './clean-up.ts'

const installer = fileURLToPath(
  new URL('../../packages/toolchain/src/run-install-tools.mjs', import.meta.url),
)
/** Shared with the tests of the lab: what was built from the distribution's packages. */
export const guestCacheFolder = fileURLToPath(
  new URL('../../node_modules/.cache/understudy-lab', import.meta.url),
)

/** As `npm test` does, and these packages too. Throws when they cannot be had. */
export function installTools(...packages: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [installer, ...packages], { stdio: 'inherit' })
  if (status !== 0) throw new Error(`The tools could not be installed: ${packages.join(' ') || 'see above'}`)
}

/** A folder that is gone afterwards. Short, because sockets lie below it. */
export async function withFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(process.env.UNDERSTUDY_BENCH_FOLDER ?? tmpdir(), 'us-b-'))
  return withCleanUp(
    () => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }),
    () => work(folder),
  )
}

/** Runs a program to its end; an error shows what it said. */
export async function run(command: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  let complaint = ''
  child.stdout.on('data', (text: Buffer) => {
    printed += text.toString()
  })
  child.stderr.on('data', (text: Buffer) => {
    complaint += text.toString()
  })
  const [code] = await once(child, 'close')
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${complaint.slice(-2000)}`)
  return printed
}

export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

export const openSource = (machinesFolder: string): SourcePlatform => {
  const host = localHost({ name: 'bench', machinesFolder })
  return kvmSource({
    hosts: [host],
    directory: machineDirectory([host], ({ error }) => {
      throw error
    }),
    clock: { now: () => Date.now() },
    bootDeadlineSeconds: 60,
  })
}

export type BenchSite = {
  readonly host: Host
  /** A machine that is off. Its disks must lie in its folder, named `<key>.<format>`. */
  addMachine(
    name: string,
    disks: readonly TinyDisk[],
    more?: Partial<MachineDefinition>,
  ): Promise<MachineLocation>
  /** Ends every machine. */
  close(): Promise<void>
}

export function openSite(machinesFolder: string): BenchSite {
  const host = localHost({ name: 'bench', machinesFolder })
  const machines: MachineLocation[] = []
  return {
    host,
    async addMachine(name, disks, more = {}) {
      const definition = tinyDefinition(name, disks, machines.length, more)
      await host.makeFolder(join(machinesFolder, name))
      await saveMachineDefinition(host, join(machinesFolder, name), definition)
      const machine = await machineDirectory([host], () => undefined).find(definition.ref)
      machines.push(machine)
      return machine
    },
    async close() {
      for (const machine of machines) await endProcess(machine)
    },
  }
}

/** A sparse file with runs of noise, which nothing can compress, every `strideBytes`. */
export async function makeNoisyDisk(
  file: string,
  shape: { readonly bytes: number; readonly runBytes: number; readonly strideBytes: number },
): Promise<void> {
  const handle = await open(file, 'w')
  try {
    await handle.truncate(shape.bytes)
    for (let offset = 0; offset < shape.bytes; offset += shape.strideBytes)
      await handle.write(randomBytes(shape.runBytes), 0, shape.runBytes, offset)
  } finally {
    await handle.close()
  }
}

export const toQcow2 = (raw: string, qcow2: string): Promise<string> =>
  run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2)

/** Leaves nothing of one round for the disk to be busy with in the next one. */
export const settleDisks = (): Promise<string> => run('sync')

export const mebibytes = (bytes: number): number => bytes / MiB
