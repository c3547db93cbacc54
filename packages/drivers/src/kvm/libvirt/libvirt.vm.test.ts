import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { SourceHarness } from '@understudy/simulator/contracts/platform-harness'
import { sourcePlatformContract } from '@understudy/simulator/contracts/source-platform-contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { localHost } from '../local-host.ts'
import { withMonitor } from '../monitor.ts'
import type { KvmPlatform } from '../platform.ts'
import { libvirtDirectory } from './libvirt-directory.ts'
import { folderFindings } from './libvirt-eligibility.ts'
import { libvirtHost } from './libvirt-host.ts'
import type { PrivateLibvirtd } from './private-libvirtd.ts'
import { type TinyDomains, tinyDomains } from './tiny-domains.ts'

let domains: TinyDomains
let libvirtd: PrivateLibvirtd

beforeAll(async () => {
  domains = await tinyDomains()
  libvirtd = domains.libvirtd
})
afterAll(() => domains?.close())

async function harness(): Promise<SourceHarness> {
  const refs: MachineRef[] = []
  const platforms: KvmPlatform[] = [domains.open()]
  const source = (): SourcePlatform => platforms[platforms.length - 1]?.source as SourcePlatform
  return {
    source: source(),
    obeysShutDown: false,
    guestAgent: false,
    async addMachine({ name, disks }) {
      const ref = await domains.define(
        name,
        disks.map((bytes, index) => ({ bytes, format: index % 2 === 0 ? 'qcow2' : 'raw' })),
      )
      refs.push(ref)
      await libvirtd.virsh('start', ref)
      return ref
    },
    removeMachine: domains.remove,
    writeToDisk: domains.writeToDisk,
    readDiskNow: domains.readDiskNow,
    killMachine: domains.killQemu,
    resizeDisk: domains.resizeDisk,
    async reopen() {
      platforms.push(domains.open())
      return { source: source() }
    },
    pass: (milliseconds) => sleep(milliseconds),
    async close() {
      for (const ref of refs) await domains.remove(ref).catch(() => undefined)
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
    platform = domains.open()
    ref = await domains.define('two', [
      { bytes: 4 * MiB, format: 'qcow2' },
      { bytes: 2 * MiB, format: 'raw' },
    ])
  })
  afterAll(async () => {
    await platform?.close()
    await domains.remove(ref)
  })

  test('libvirt says who it is', async () => {
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
    await domains.writeToDisk(ref, 'virtio-disk0' as DiskKey, MiB, Buffer.alloc(8192, 7))
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
      expect((await reader.read(0, bytes)).equals(await domains.readDiskNow(ref, key))).toBe(true)
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
  const { source, close } = domains.open()
  const ref = await domains.define('ide', [
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
  await domains.remove(ref)
  await close()
})

test('a folder that QEMU may not enter is a blocker that names it', async () => {
  const closed = await mkdtemp(join(tmpdir(), 'us-'))
  const host = libvirtHost(localHost({ name: 'here', machinesFolder: closed }), libvirtd.uri)
  const ref = await domains.define('closed', [{ bytes: MiB, format: 'qcow2' }])
  await libvirtd.virsh('start', ref)
  const machine = await libvirtDirectory([host]).findMachine(ref)
  expect(await folderFindings(machine)).toMatchObject([
    { level: 'blocker', code: 'source/folder-not-reachable', message: expect.stringContaining(closed) },
  ])
  await domains.remove(ref)
  await rm(closed, { recursive: true })
})

test.each([
  ['qemu+unix:///system?socket=/nowhere/libvirt-sock', 'kvm/libvirt-not-running'],
  ['qemu+unix:///session', 'kvm/libvirt-not-running'],
])('a connection to %s fails with %s and a remedy', async (uri, code) => {
  const platform = domains.open({ uri })
  await expect(platform.checkConnection()).rejects.toMatchObject({
    code,
    remedy: expect.stringMatching(/libvirtd/),
  })
  await platform.close()
})
