import { execFile } from 'node:child_process'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { SourceHarness } from '@understudy/simulator/contracts/platform-harness'
import { sourcePlatformContract } from '@understudy/simulator/contracts/source-platform-contract'
import { expect } from 'vitest'
import { machineDirectory } from './machine-directory.ts'
import { endProcess, processOf } from './power.ts'
import { kvmSource } from './source.ts'
import { type TinyMachine, tinySite } from './tiny-machine.ts'

const run = promisify(execFile)

/**
 * The command line goes before the sockets are closed, and the first thread is a zombie before the others have let go of
 * them: only without any other thread nobody is left.
 */
async function hasEnded(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  return /^ [ZX]/.test(text.slice(text.lastIndexOf(')') + 1)) && threads.length <= 1
}

/** Real QEMU processes without an operating system; qcow2 and raw disks in turn. */
async function kvmHarness(): Promise<SourceHarness> {
  const site = await tinySite()
  const machines = new Map<MachineRef, TinyMachine>()
  const source = (): SourcePlatform =>
    kvmSource({
      hosts: [site.host],
      directory: machineDirectory([site.host], ({ error }) => {
        throw error
      }),
      clock: { now: () => Date.now() },
      bootDeadlineSeconds: 30,
    })
  const machineOf = (ref: MachineRef): TinyMachine => {
    const machine = machines.get(ref)
    if (machine === undefined) throw new Error(`no machine ${ref}`)
    return machine
  }
  const imageOf = (machine: TinyMachine, key: DiskKey): { file: string; format: string } => {
    const disk = machine.location.definition?.disks.find((candidate) => candidate.key === key)
    if (disk === undefined) throw new Error(`no disk ${key}`)
    return { file: join(machine.location.folder, disk.file), format: disk.format }
  }
  const isRunning = async (machine: TinyMachine): Promise<boolean> =>
    (await processOf(machine.location)) !== null

  return {
    source: source(),
    obeysShutDown: false,
    guestAgent: false,
    async addMachine({ name, disks }) {
      const machine = await site.add(
        name,
        disks.map((bytes, index) => ({
          key: `disk${index}`,
          format: index % 2 === 0 ? 'qcow2' : 'raw',
          bytes,
        })),
      )
      machines.set(machine.ref, machine)
      await machine.start()
      return machine.ref
    },
    async removeMachine(ref) {
      const { location } = machineOf(ref)
      await endProcess(location)
      await rm(location.folder, { recursive: true })
    },
    async writeToDisk(ref, key, offset, data) {
      const machine = machineOf(ref)
      const { file, format } = imageOf(machine, key)
      const content = join(machine.location.folder, 'content')
      await writeFile(content, data)
      const command = `write -q -s ${content} ${offset} ${data.length}`
      if (await isRunning(machine)) {
        const device = `/machine/peripheral/dev-${key}/virtio-backend`
        await machine.human(`qemu-io -d ${device} "${command}"`)
        await machine.human(`qemu-io -d ${device} "flush"`)
      } else await run('qemu-io', ['-f', format, '-c', command, '-c', 'flush', file])
      await rm(content)
    },
    readDiskNow: (ref, key) => machineOf(ref).image(key),
    async killMachine(ref) {
      const { location } = machineOf(ref)
      const pid = (await processOf(location)) ?? 0
      process.kill(pid, 'SIGKILL')
      await expect.poll(() => hasEnded(pid)).toBe(true)
    },
    async resizeDisk(ref, key, bytes) {
      await machineOf(ref).query('block_resize', { 'node-name': `disk-${key}`, size: bytes })
    },
    reopen: async () => ({ source: source() }),
    pass: (milliseconds) => sleep(milliseconds),
    close: () => site.close(),
  }
}

sourcePlatformContract('kvm over QMP', kvmHarness)
