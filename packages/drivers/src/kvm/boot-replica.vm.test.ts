import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { BlockReader } from '@understudy/block/device'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { anywhere, newPlacing, testRun } from '@understudy/simulator/contracts/platform-harness'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { localHost } from './local-host.ts'
import { saveMachineDefinition } from './machine-definition.ts'
import { machineDirectory } from './machine-directory.ts'
import { withMonitor } from './monitor.ts'
import { powerState, processOf } from './power.ts'
import { replicaFolderName } from './replica-definition.ts'
import { findRun, type RunMachine } from './runs.ts'
import { type KvmTarget, kvmTarget } from './target.ts'

// Machines without an operating system: quick, and enough where the guest does not matter.
const runId = testRun('1')
const name = 'crash'
const settings = {
  networks: [{ id: 'dark', name: 'Isolated', kind: 'user' as const, isolated: true, probePorts: [80] }],
  accelerator: 'tcg' as const,
  bootDeadlineSeconds: 30,
}
const hardware = {
  cpus: 1,
  memoryBytes: 64 * MiB,
  firmware: 'bios' as const,
  disks: [],
  adapters: [{ key: 'nic0', macAddress: '52:54:00:12:34:56', networkId: null, model: 'virtio-net-pci' }],
}

let folder: string
let target: KvmTarget
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-b-'))
  target = freshTarget()
})
afterEach(async () => {
  await target.destroy(runId, anywhere)
  await target.close()
  await rm(folder, { recursive: true, force: true })
})

const host = () => localHost({ name: 'here', machinesFolder: folder })
function freshTarget(): KvmTarget {
  const directory = machineDirectory([host()], ({ error }) => {
    throw error
  })
  return kvmTarget({ hosts: [host()], directory, settings })
}
const machineNow = async (): Promise<RunMachine> =>
  present(await findRun([host()], runId), 'the run has a machine')

function patterned(bytes: number, pattern: number): BlockReader {
  return { bytes, read: async (_, length) => Buffer.alloc(length, pattern), close: async () => undefined }
}

const spec = (trackingId: string | null = null): BootSpec => ({
  runId,
  name,
  mode: 'failover',
  hardware,
  disks: [
    { key: 'vda' as DiskKey, bytes: 4 * MiB, boot: true, reader: patterned(4 * MiB, 0xa1) },
    { key: 'vdb' as DiskKey, bytes: 2 * MiB, boot: false, reader: patterned(2 * MiB, 0xb2) },
  ],
  networks: new Map([['nic0', 'dark']]),
  trackingId,
  placing: newPlacing(),
})

/** Through the device, as a guest would. */
async function writeByGuest(key: string, offset: number, bytes: number): Promise<void> {
  const command = `qemu-io -d /machine/peripheral/dev-${key}/virtio-backend "write -q -P 7 ${offset} ${bytes}"`
  await withMonitor(await machineNow(), (qmp) => qmp.human(command))
}

/** Boots in a process of its own, which is killed after the delay. Resolves when it is gone. */
async function bootAndKill(afterMilliseconds: number): Promise<void> {
  const program = `
    import { localHost } from ${JSON.stringify(new URL('./local-host.ts', import.meta.url).href)}
    import { machineDirectory } from ${JSON.stringify(new URL('./machine-directory.ts', import.meta.url).href)}
    import { kvmTarget } from ${JSON.stringify(new URL('./target.ts', import.meta.url).href)}
    const host = localHost({ name: 'here', machinesFolder: ${JSON.stringify(folder)} })
    const directory = machineDirectory([host], () => {})
    const target = kvmTarget({ hosts: [host], directory, settings: ${JSON.stringify(settings)} })
    const reader = (bytes, pattern) => ({ bytes, read: async (_, length) => Buffer.alloc(length, pattern), close: async () => {} })
    console.log('begins')
    await target.boot({
      runId: ${JSON.stringify(runId)}, name: ${JSON.stringify(name)}, mode: 'failover', trackingId: 'p1',
      placing: { before: { kind: 'nowhere' }, keep: async () => {} },
      hardware: ${JSON.stringify(hardware)}, networks: new Map([['nic0', 'dark']]),
      disks: [
        { key: 'vda', bytes: ${4 * MiB}, boot: true, reader: reader(${4 * MiB}, 0xa1) },
        { key: 'vdb', bytes: ${2 * MiB}, boot: false, reader: reader(${2 * MiB}, 0xb2) },
      ],
    })
    await new Promise((resolve) => setTimeout(resolve, 60000))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  await once(present(child.stdout, 'piped'), 'data')
  await setTimeout(afterMilliseconds)
  child.kill('SIGKILL')
  await gone
}

describe('a boot that is killed', () => {
  test.each([0, 130, 220, 400, 600, 1200])(
    'after %i ms is completed by the next one: one machine, running, tracked from the point',
    async (afterMilliseconds) => {
      await bootAndKill(afterMilliseconds)
      const { ref, checkpoint } = await target.boot(spec('p1'))
      expect(await readdir(folder)).toHaveLength(1)
      const machine = await machineNow()
      expect(machine.ref).toBe(ref)
      expect(await powerState(machine)).toBe('running')
      expect(checkpoint).toMatch(/^us-p1-.*\/vda=4194304,vdb=2097152$/)
      await target.hydrate(runId, () => undefined)
      expect((await machineNow()).definition.disks.map(({ backing }) => backing)).toEqual([
        undefined,
        undefined,
      ])
    },
  )
})

describe('a boot that is repeated', () => {
  test('does not claim to be tracked from the point when its QEMU was killed after the guest had run', async () => {
    const first = await target.boot(spec('p1'))
    expect(first.checkpoint).not.toBeNull()
    await writeByGuest('vda', MiB, 64 * KiB)
    const pid = present(await processOf(await machineNow()), 'it runs')
    process.kill(pid, 'SIGKILL')
    while ((await host().commandLineOf(pid)) !== null) await setTimeout(20)

    const second = await target.boot(spec('p1'))
    expect(second).toEqual({ ref: first.ref, name: first.name, checkpoint: null })
    expect(await powerState(await machineNow())).toBe('running')
  })

  test('takes other ports when somebody has taken its own meanwhile', async () => {
    await target.boot(spec())
    await target.stop(runId)
    const portOf = ({ definition }: RunMachine) => definition.adapters[0]?.forwards[0]?.hostPort
    const before = portOf(await machineNow())
    const squatter = net.createServer().listen({ port: before, host: '127.0.0.1' })
    await once(squatter, 'listening')
    try {
      await target.boot(spec())
      expect(portOf(await machineNow())).not.toBe(before)
      expect(await powerState(await machineNow())).toBe('running')
    } finally {
      squatter.close()
    }
  })

  test('beside a machine of the same name gets a number, and goes without touching the other', async () => {
    const other = await target.boot({ ...spec(), runId: testRun('other') })
    const { name } = await target.boot(spec())
    expect(name).toBe(`${other.name}-2`)
    await target.destroy(runId, anywhere)
    expect(await readdir(folder)).toHaveLength(1)
    await target.destroy(testRun('other'), anywhere)
    expect(await readdir(folder)).toEqual([])
  })
})

describe('hydrating', () => {
  test('goes on under another process, and the disks then hold the point and what the guest wrote, to the last byte', async () => {
    const slow = (bytes: number, pattern: number): BlockReader => ({
      ...patterned(bytes, pattern),
      async read(_, length) {
        await setTimeout(30)
        return Buffer.alloc(length, pattern)
      },
    })
    const disks = spec().disks.map((disk) => ({
      ...disk,
      reader: slow(disk.bytes, disk.key === 'vda' ? 0xa1 : 0xb2),
    }))
    await target.boot({ ...spec('p1'), disks })
    const stop = new AbortController()
    const aborted = target.hydrate(runId, () => stop.abort(), stop.signal)
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    await target.close()
    target = freshTarget()

    await target.reattach(spec())
    await writeByGuest('vda', MiB, 64 * KiB)
    const wanted = Buffer.alloc(4 * MiB, 0xa1).fill(7, MiB, MiB + 64 * KiB)
    await target.hydrate(runId, () => undefined)
    await target.close()
    await target.stop(runId)
    const { folder: ours } = await machineNow()
    expect((await imageOf(join(ours, 'vda.qcow2'))).equals(wanted)).toBe(true)
    expect((await imageOf(join(ours, 'vdb.qcow2'))).equals(Buffer.alloc(2 * MiB, 0xb2))).toBe(true)
  })

  test('tells why when the content cannot be read, and works when it can be again', async () => {
    let broken = true
    const reader: BlockReader = {
      ...patterned(4 * MiB, 1),
      async read(offset, length) {
        if (broken && offset >= 2 * MiB) throw new Error('the store is away')
        return Buffer.alloc(length, 1)
      },
    }
    const [vda, ...others] = spec().disks
    await target.boot({ ...spec(), disks: [{ ...present(vda, 'the first disk'), reader }, ...others] })
    const failed = target.hydrate(runId, () => undefined)
    await expect(failed).rejects.toMatchObject({ name: 'Outage', code: 'target/hydrate-failed' })
    broken = false
    await target.hydrate(runId, () => undefined)
    await target.adopt(runId)
  })
})

async function imageOf(file: string): Promise<Buffer> {
  await promisify(execFile)('qemu-img', ['convert', '-O', 'raw', file, `${file}.raw`])
  return readFile(`${file}.raw`)
}

describe('a clean-up', () => {
  test('never touches a folder that does not carry its run, whatever the folder is called', async () => {
    const lookalike = join(folder, replicaFolderName(name, runId))
    await mkdir(lookalike)
    await writeFile(join(lookalike, 'precious'), 'data')
    await target.destroy(runId, anywhere)
    expect(await readdir(lookalike)).toEqual(['precious'])

    await rm(lookalike, { recursive: true })
    await target.boot(spec())
    const { definition, folder: ours } = await machineNow()
    await saveMachineDefinition(host(), ours, { ...definition, ownedBy: null })
    await target.destroy(runId, anywhere)
    expect(await powerState({ ...(await machineOf(ours)), definition })).toBe('running')

    await saveMachineDefinition(host(), ours, definition)
    await target.destroy(runId, anywhere)
    expect(await readdir(folder)).toEqual([])
  })

  test('of a boot that got no further than its folder removes the folder', async () => {
    const unfinished = join(folder, replicaFolderName(name, runId))
    await mkdir(unfinished)
    await writeFile(join(unfinished, 'machine.json.new'), '{')
    await target.destroy(runId, anywhere)
    expect(await readdir(folder)).toEqual([])
  })
})

async function machineOf(machineFolder: string) {
  const machines = await machineDirectory([host()], () => undefined).all()
  return present(
    machines.find((machine) => machine.folder === machineFolder),
    'it is there',
  )
}
