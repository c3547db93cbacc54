import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { TargetHarness } from '@understudy/simulator/contracts/platform-harness'
import { targetPlatformContract } from '@understudy/simulator/contracts/target-platform-contract'
import { expect } from 'vitest'
import { diskPath } from './machine-definition.ts'
import { machineDirectory } from './machine-directory.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { endProcess, processOf } from './power.ts'
import { kvmSource } from './source.ts'
import { kvmTarget } from './target.ts'
import { tinySite } from './tiny-machine.ts'

const run = promisify(execFile)
const networks = [
  { id: 'dark', name: 'Isolated', kind: 'user' as const, isolated: true, probePorts: [80] },
  { id: 'open', name: 'Open', kind: 'user' as const, isolated: false, probePorts: [80] },
]

/** Real QEMU processes without an operating system. */
async function kvmHarness(): Promise<TargetHarness> {
  const site = await tinySite()
  const directory = () =>
    machineDirectory([site.host], ({ error }) => {
      throw error
    })
  const targets: { close(): Promise<void> }[] = []
  const open = () => {
    const deps = { hosts: [site.host], directory: directory() }
    const settings = { networks, accelerator: 'tcg' as const, bootDeadlineSeconds: 30 }
    const target = kvmTarget({ ...deps, settings })
    targets.push(target)
    return {
      source: kvmSource({ ...deps, clock: { now: () => Date.now() }, bootDeadlineSeconds: 30 }),
      target,
    }
  }
  const find = (ref: MachineRef): Promise<MachineLocation> => directory().find(ref)
  const imageOf = (machine: MachineLocation, key: DiskKey): { file: string; format: string } => {
    const disk = machine.definition?.disks.find((candidate) => candidate.key === key)
    const { format } = present(disk, `${machine.name} has disk ${key}`)
    return { file: diskPath(machine.folder, present(disk, 'it is there')), format }
  }

  return {
    ...open(),
    isolatedNetwork: 'dark',
    openNetwork: 'open',
    obeysShutDown: false,
    guestAgent: false,
    async addMachine({ name, disks }) {
      const tiny = disks.map((bytes, index) => ({ key: `disk${index}`, format: 'qcow2' as const, bytes }))
      const machine = await site.add(name, tiny)
      await machine.start()
      return machine.ref
    },
    async removeMachine(ref) {
      const machine = await find(ref)
      await endProcess(machine)
      await rm(machine.folder, { recursive: true })
    },
    async writeToDisk(ref, key, offset, data) {
      const machine = await find(ref)
      const { file, format } = imageOf(machine, key)
      const content = join(site.folder, 'content')
      await writeFile(content, data)
      const command = `write -q -s ${content} ${offset} ${data.length}`
      if ((await processOf(machine)) === null)
        await run('qemu-io', ['-f', format, '-c', command, '-c', 'flush', file])
      else
        await withMonitor(machine, async (qmp) => {
          const device = `/machine/peripheral/dev-${key}/virtio-backend`
          await qmp.human(`qemu-io -d ${device} "${command}"`)
          await qmp.human(`qemu-io -d ${device} "flush"`)
        })
      await rm(content)
    },
    async readDiskNow(ref, key) {
      const { file, format } = imageOf(await find(ref), key)
      const to = join(site.folder, 'compare')
      // Through the backing that the overlay names: what the guest would read.
      await run('qemu-img', ['convert', '-U', '-f', format, '-O', 'raw', file, to])
      const content = await readFile(to)
      await rm(to)
      return content
    },
    async killMachine(ref) {
      const machine = await find(ref)
      process.kill((await processOf(machine)) ?? 0, 'SIGKILL')
      await expect.poll(() => processOf(machine)).toBe(null)
    },
    async reopen() {
      for (const target of targets.splice(0)) await target.close()
      return open()
    },
    pass: (milliseconds) => sleep(milliseconds),
    async close() {
      for (const machine of await directory().all()) await endProcess(machine)
      for (const target of targets) await target.close()
      await site.close()
    },
  }
}

targetPlatformContract('kvm over QMP', kvmHarness)
