import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { MiB } from '@understudy/base/bytes'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { SourceHarness } from '@understudy/simulator/contracts/platform-harness'
import { sourcePlatformContract } from '@understudy/simulator/contracts/source-platform-contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { localHost } from '../local-host.ts'
import { withMonitor } from '../monitor.ts'
import { type KvmPlatform, openKvmPlatform } from '../platform.ts'
import { libvirtDirectory } from './libvirt-directory.ts'
import { folderFindings } from './libvirt-eligibility.ts'
import { libvirtHost } from './libvirt-host.ts'
import { type PrivateLibvirtd, privateLibvirtd } from './private-libvirtd.ts'

// A real libvirtd of our own with domains of type qemu. Their firmware idles at "no bootable device", and `qemu-io` inside QEMU
// writes where a guest would.
const run = promisify(execFile)
let libvirtd: PrivateLibvirtd

beforeAll(async () => {
  libvirtd = await privateLibvirtd()
  await mkdir(join(libvirtd.folder, 'points'))
})
afterAll(() => libvirtd?.close())

const openPlatform = (uri = libvirtd.uri): KvmPlatform =>
  openKvmPlatform(
    {
      settings: {
        adapter: 'libvirt',
        accelerator: 'tcg',
        bootDeadlineSeconds: 60,
        networks: [],
        hosts: [
          {
            name: 'here',
            address: { kind: 'local' },
            machinesFolder: join(libvirtd.folder, 'points'),
            libvirtUri: uri,
          },
        ],
      },
    },
    {},
    { clock: { now: () => Date.now() } },
  )

type TestDisk = { readonly bytes: number; readonly format: 'raw' | 'qcow2'; readonly bus?: 'virtio' | 'ide' }

const fileOf = (ref: MachineRef, index: number): string => join(libvirtd.folder, `${ref}-${index}.img`)

async function define(name: string, disks: readonly TestDisk[]): Promise<MachineRef> {
  // A uuid of its own: being off is proven by looking for it among all processes.
  const ref = randomUUID() as MachineRef
  const elements: string[] = []
  for (const [index, { bytes, format, bus = 'virtio' }] of disks.entries()) {
    await run('qemu-img', ['create', '-q', '-f', format, fileOf(ref, index), String(bytes)])
    const target = `${bus === 'virtio' ? 'vd' : 'hd'}${String.fromCharCode(97 + index)}`
    elements.push(
      `<disk type='file' device='disk'><driver name='qemu' type='${format}' discard='unmap'/><source file='${fileOf(ref, index)}'/><target dev='${target}' bus='${bus}'/></disk>`,
    )
  }
  const path = join(libvirtd.folder, `${ref}.xml`)
  await writeFile(
    path,
    `<domain type='qemu'><name>${name}</name><uuid>${ref}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
     <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
     <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${elements.join('')}<memballoon model='none'/></devices></domain>`,
  )
  await libvirtd.virsh('define', path)
  return ref
}

const isOn = async (ref: MachineRef): Promise<boolean> =>
  (await libvirtd.virsh('domstate', ref)).trim() !== 'shut off'

async function human(ref: MachineRef, commandLine: string): Promise<void> {
  await libvirtd.virsh('qemu-monitor-command', ref, '--hmp', commandLine)
}

const indexOf = (key: DiskKey): number => Number(/(\d+)$/.exec(key)?.[1])

async function formatOf(file: string): Promise<string> {
  return (await readFile(file)).subarray(0, 3).toString('latin1') === 'QFI' ? 'qcow2' : 'raw'
}

async function writeToDisk(ref: MachineRef, key: DiskKey, offset: number, data: Buffer): Promise<void> {
  const file = fileOf(ref, indexOf(key))
  const content = join(libvirtd.folder, `content-${ref}`)
  await writeFile(content, data)
  const command = `write -q -s ${content} ${offset} ${data.length}`
  if (await isOn(ref)) {
    const device = `/machine/peripheral/${key}/virtio-backend`
    await human(ref, `qemu-io -d ${device} "${command}"`)
    await human(ref, `qemu-io -d ${device} "flush"`)
  } else await run('qemu-io', ['-f', await formatOf(file), '-c', command, '-c', 'flush', file])
  await rm(content)
}

async function readDiskNow(ref: MachineRef, key: DiskKey): Promise<Buffer> {
  const file = fileOf(ref, indexOf(key))
  const whole = join(libvirtd.folder, `whole-${ref}`)
  await run('qemu-img', ['convert', '-U', '-f', await formatOf(file), '-O', 'raw', file, whole])
  const content = await readFile(whole)
  await rm(whole)
  return content
}

async function killQemu(ref: MachineRef): Promise<void> {
  const { stdout } = await run('pgrep', ['-f', '--', `[-]uuid ${ref}`])
  process.kill(Number(stdout.trim()), 'SIGKILL')
  await expect.poll(() => isOn(ref), { timeout: 30_000 }).toBe(false)
}

async function remove(ref: MachineRef): Promise<void> {
  if (await isOn(ref)) await libvirtd.virsh('destroy', ref)
  await libvirtd.virsh('undefine', ref)
}

async function harness(): Promise<SourceHarness> {
  const refs: MachineRef[] = []
  const platforms: KvmPlatform[] = [openPlatform()]
  const source = (): SourcePlatform => platforms[platforms.length - 1]?.source as SourcePlatform
  return {
    source: source(),
    obeysShutDown: false,
    guestAgent: false,
    async addMachine({ name, disks }) {
      const ref = await define(
        name,
        disks.map((bytes, index) => ({ bytes, format: index % 2 === 0 ? 'qcow2' : 'raw' })),
      )
      refs.push(ref)
      await libvirtd.virsh('start', ref)
      return ref
    },
    removeMachine: remove,
    writeToDisk,
    readDiskNow,
    killMachine: killQemu,
    async resizeDisk(ref, key, bytes) {
      const target = `vd${String.fromCharCode(97 + indexOf(key))}`
      await libvirtd.virsh('blockresize', ref, target, `${bytes}B`)
    },
    async reopen() {
      platforms.push(openPlatform())
      return { source: source() }
    },
    pass: (milliseconds) => sleep(milliseconds),
    async close() {
      for (const ref of refs) await remove(ref).catch(() => undefined)
      for (const platform of platforms) await platform.close()
    },
  }
}

sourcePlatformContract('kvm behind libvirt', harness)

const ask = (ref: MachineRef, since: string | null = null) => ({
  ref,
  trackingId: 'p1',
  since,
  excludedDisks: [],
})

describe('a domain with two disks', () => {
  let platform: KvmPlatform
  let ref: MachineRef
  beforeAll(async () => {
    platform = openPlatform()
    ref = await define('two', [
      { bytes: 4 * MiB, format: 'qcow2' },
      { bytes: 2 * MiB, format: 'raw' },
    ])
  })
  afterAll(async () => {
    await platform?.close()
    await remove(ref)
  })

  test('libvirt is a source and no target, and says who it is', async () => {
    expect(platform.target).toBeUndefined()
    expect((await platform.checkConnection()).summary).toMatch(
      /^here: libvirt with QEMU \d+\.\d+\.\d+, \d+ machines?$/,
    )
  })

  test('disks have the same keys whether the domain runs or not, and starting is proven', async () => {
    const look = async () => (await platform.source.inventory()).find((machine) => machine.ref === ref)
    const off = await look()
    expect(off).toMatchObject({ name: 'two', power: 'off', hardware: { memoryBytes: 64 * MiB } })
    expect(off?.hardware.disks).toMatchObject([
      { key: 'virtio-disk0', label: 'vda', bytes: 4 * MiB, format: 'qcow2', bus: 'virtio', boot: true },
      { key: 'virtio-disk1', label: 'vdb', bytes: 2 * MiB, format: 'raw', bus: 'virtio', boot: false },
    ])
    await platform.source.start(ref)
    await platform.source.start(ref)
    expect(await look()).toMatchObject({ power: 'running', hardware: off?.hardware })
  })

  test('an eligible domain is warned of the taint, and QEMU can reach the folder of points', async () => {
    const { findings, shortestIntervalSeconds } = await platform.source.eligibility(ref)
    expect(findings.filter(({ level }) => level === 'blocker')).toEqual([])
    expect(findings.map(({ code }) => code)).toContain('source/libvirt-taint')
    expect(shortestIntervalSeconds).toBe(5)
  })

  test('both disks are held still for a short pause that is reported', async () => {
    const result = await platform.source.openPoint({ machines: [ask(ref)], consistency: 'crash' })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    const { pauseMilliseconds } = result.point
    await result.point.release(true)
    console.log(`libvirt: pause of a two-disk point ${pauseMilliseconds.toFixed(1)} ms`)
    expect(pauseMilliseconds).toBeGreaterThan(0)
    expect(pauseMilliseconds).toBeLessThan(2000)
    expect((await libvirtd.virsh('domstate', ref)).trim()).toBe('running')
    expect(await libvirtd.virsh('list', '--all')).toContain('two')
  })

  test('a second visitor from another process waits for the first one', async () => {
    const local = localHost({ name: 'here', machinesFolder: join(libvirtd.folder, 'points') })
    // Two hosts are two processes as far as locks within a process go.
    const [first, second] = [libvirtHost(local, libvirtd.uri), libvirtHost(local, libvirtd.uri)]
    const order: string[] = []
    const visit = async (host: typeof first, name: string, milliseconds: number): Promise<void> =>
      withMonitor(await libvirtDirectory([host]).find(ref), async (qmp) => {
        await qmp.execute('query-status')
        order.push(`${name} in`)
        await sleep(milliseconds)
        order.push(`${name} out`)
      })
    const one = visit(first, 'one', 1500)
    await expect.poll(() => order).toEqual(['one in'])
    await Promise.all([one, visit(second, 'two', 0)])
    expect(order).toEqual(['one in', 'one out', 'two in', 'two out'])
  })

  test('after the plug is pulled the last changes of qcow2 are known, raw is compared, and off is proven', async () => {
    const result = await platform.source.openPoint({ machines: [ask(ref)], consistency: 'crash' })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    const since = result.point.machines[0]?.checkpoint ?? null
    await result.point.release(true)
    await writeToDisk(ref, 'virtio-disk0' as DiskKey, MiB, Buffer.alloc(8192, 7))
    await expect(
      platform.source.openStoppedDisks(ref, { trackingId: 'p1', since, excludedDisks: [] }),
    ).rejects.toMatchObject({ code: 'source/not-off' })
    const proof = await platform.source.powerOff(ref)
    expect(proof.evidence).toBe('destroyed; libvirt reports shut off; no process with this uuid')
    expect((await platform.source.powerOff(ref)).evidence).toContain('was found off')

    const raw = 'virtio-disk1' as DiskKey
    const both = await platform.source.openStoppedDisks(ref, { trackingId: 'p1', since, excludedDisks: [] })
    expect(both.sinceKnown).toBe(false)
    for (const { key, reader, bytes } of both.disks)
      expect((await reader.read(0, bytes)).equals(await readDiskNow(ref, key))).toBe(true)
    await both.close()
    const known = await platform.source.openStoppedDisks(ref, {
      trackingId: 'p1',
      since,
      excludedDisks: [raw],
    })
    expect(known.sinceKnown).toBe(true)
    const extents: number[][] = []
    for await (const { offset, bytes } of known.disks[0]?.changed() ?? []) extents.push([offset, bytes])
    await known.close()
    expect(extents).toEqual([[MiB, 8192]])
  })
})

test('a disk on IDE blocks the domain, running or not, unless it is excluded', async () => {
  const { source, close } = openPlatform()
  const ref = await define('ide', [
    { bytes: MiB, format: 'qcow2' },
    { bytes: MiB, format: 'raw', bus: 'ide' },
  ])
  const blockers = async () =>
    (await source.eligibility(ref)).findings
      .filter(({ level }) => level === 'blocker')
      .map(({ code }) => code)
  expect(await blockers()).toEqual(['source/bus'])
  await libvirtd.virsh('start', ref)
  expect(await blockers()).toEqual(['source/bus'])
  await remove(ref)
  await close()
})

test('a folder that QEMU may not enter is a blocker that names it', async () => {
  const closed = await mkdtemp(join(tmpdir(), 'us-'))
  const host = libvirtHost(localHost({ name: 'here', machinesFolder: closed }), libvirtd.uri)
  const ref = await define('closed', [{ bytes: MiB, format: 'qcow2' }])
  await libvirtd.virsh('start', ref)
  const machine = await libvirtDirectory([host]).findMachine(ref)
  expect(await folderFindings(machine)).toMatchObject([
    { level: 'blocker', code: 'source/folder-not-reachable', message: expect.stringContaining(closed) },
  ])
  await remove(ref)
  await rm(closed, { recursive: true })
})

test.each([
  ['qemu+unix:///system?socket=/nowhere/libvirt-sock', 'kvm/libvirt-not-running'],
  ['qemu+unix:///session', 'kvm/libvirt-not-running'],
])('a connection to %s fails with %s and a remedy', async (uri, code) => {
  const platform = openPlatform(uri)
  await expect(platform.checkConnection()).rejects.toMatchObject({
    code,
    remedy: expect.stringMatching(/libvirtd/),
  })
  await platform.close()
})
