import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import {
  bufferReader,
  expectEqual,
  KiB,
  MiB,
  openOne,
  readDisks,
  request,
  type TargetHarness,
  testBoot,
  testRun,
} from '@understudy/simulator/contracts/platform-harness'
import { targetPlatformContract } from '@understudy/simulator/contracts/target-platform-contract'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { machineDirectory } from '../machine-directory.ts'
import { withMonitor } from '../monitor.ts'
import type { KvmPlatform } from '../platform.ts'
import { kvmSource } from '../source.ts'
import { kvmTarget } from '../target.ts'
import { tinySite } from '../tiny-machine.ts'
import { type TinyDomains, tinyDomains } from './tiny-domains.ts'

const run1 = testRun('1')

const networks = [
  { id: 'dark', name: 'Isolated', kind: 'user' as const, isolated: true, probePorts: [] },
  { id: 'open', name: 'Open', kind: 'user' as const, isolated: false, probePorts: [] },
]
let domains: TinyDomains

beforeAll(async () => {
  domains = await tinyDomains()
})
afterAll(() => domains?.close())

async function harness(): Promise<TargetHarness> {
  const platforms: KvmPlatform[] = []
  const open = (): KvmPlatform => {
    const platform = domains.open({ networks })
    platforms.push(platform)
    return platform
  }
  const { source, target } = open()
  return {
    source,
    target,
    isolatedNetwork: 'dark',
    openNetwork: 'open',
    obeysShutDown: false,
    guestAgent: false,
    async addMachine({ name, disks }) {
      const ref = await domains.define(
        name,
        disks.map((bytes, index) => ({ bytes, format: index % 2 === 0 ? 'qcow2' : 'raw' })),
      )
      await domains.libvirtd.virsh('start', ref)
      return ref
    },
    removeMachine: domains.remove,
    writeToDisk: domains.writeToDisk,
    readDiskNow: domains.readDiskNow,
    killMachine: domains.killQemu,
    async reopen() {
      await platforms.at(-1)?.target.close()
      return open()
    },
    pass: (milliseconds) => sleep(milliseconds),
    async close() {
      for (const ref of await everyDomain()) await domains.remove(ref)
      for (const platform of platforms) await platform.close()
    },
  }
}

async function everyDomain(): Promise<readonly MachineRef[]> {
  const list = await domains.libvirtd.virsh('list', '--all', '--uuid')
  return list.split('\n').filter((line) => line.trim() !== '') as MachineRef[]
}

targetPlatformContract('kvm behind libvirt', harness)

test('a domain that ran at a plain KVM site meanwhile comes home with only what changed there', async () => {
  const random = seededRandom(11)
  const { source, target, close } = domains.open({ networks })
  const ref = await domains.define('web', [
    { bytes: 2 * MiB, format: 'qcow2' },
    { bytes: MiB, format: 'raw' },
  ])
  const keys = ['virtio-disk0', 'virtio-disk1'] as DiskKey[]
  for (const key of keys) await domains.writeToDisk(ref, key, 64 * KiB, random.bytes(64 * KiB))
  const original = await source.openStoppedDisks(ref, { excludedDisks: [], trackingId: 'p1', since: null })
  expect(original.disks.map(({ key }) => key)).toEqual(keys)

  const away = await tinySite()
  const directory = machineDirectory([away.host], () => undefined)
  const settings = { networks, accelerator: 'tcg' as const, bootDeadlineSeconds: 60 }
  const kvm = { hosts: [away.host], directory, clock: { now: () => Date.now() }, bootDeadlineSeconds: 60 }
  const awayTarget = kvmTarget({ ...kvm, settings })
  const disks = original.disks.map(({ key, bytes, reader }, index) => ({
    key,
    bytes,
    boot: index === 0,
    reader,
  }))
  const { spec } = testBoot([], { runId: run1, network: 'dark', mode: 'failover', trackingId: 'p1' })
  const replica = await awayTarget.boot({ ...spec, disks })
  await awayTarget.hydrate(spec.runId, () => {})
  const write = `qemu-io -d /machine/peripheral/dev-${keys[1]}/virtio-backend "write -P 7 128k 8k"`
  await withMonitor(await directory.find(replica.ref), (qmp) => qmp.human(write))

  const { point, disks: changed } = await openOne(
    kvmSource(kvm),
    request(replica.ref, replica.checkpoint, { trackingId: 'p1' }),
  )
  const content = await readDisks(changed)
  const back = changed.map((disk) => ({ ...disk, differs: disk.changed() }))
  await original.close()
  const options = {
    runId: spec.runId,
    fingerprints: original.fingerprints,
    overwriteModified: false,
    onProgress: () => {},
  }
  const { writtenBytes } = await target.restoreInto(ref, back, options)
  expect(writtenBytes).toBe(8 * KiB)
  for (const key of keys)
    expectEqual(await domains.readDiskNow(ref, key), content.get(key) ?? Buffer.alloc(0), key)
  await point.release(true)
  expect((await target.startTracked(ref, 'p1')).checkpoint).toMatch(/^us-p1-/)
  expect(await source.powerState(ref)).toBe('running')

  await awayTarget.destroy(spec.runId, spec.placing.before)
  await away.close()
  await domains.remove(ref)
  await close()
})

describe('a replica as a domain', () => {
  const random = seededRandom(7)
  let platform: KvmPlatform
  beforeEach(() => {
    platform = domains.open({ networks })
  })
  afterEach(async () => {
    for (const ref of await everyDomain()) await domains.remove(ref)
    await platform.close()
  })

  test('is libvirt’s own once it is hydrated: its definition names nothing of ours, and it starts again without us', async () => {
    const { virsh, folder } = domains.libvirtd
    // What other machines had, also those that are gone, lies beside it.
    const foldersBefore = await readdir(join(folder, 'points'))
    const contents = [random.bytes(2 * MiB), random.bytes(MiB)]
    const { spec, readers } = testBoot(contents, {
      runId: run1,
      network: 'dark',
      name: "O'Neill & <sons>",
    })
    const { ref } = await platform.target.boot(spec)
    const before = await domains.domain(ref, 'inactive')
    expect(before).toMatchObject({ name: 'O-Neill - -sons-', ownedBy: run1 })
    expect(before.disks.map(({ backing }) => backing?.exportName)).toEqual(['disk0', 'disk1'])

    await platform.target.hydrate(spec.runId, () => {})
    await platform.close()
    for (const reader of readers) reader.broken = true
    expect(await virsh('dumpxml', ref)).not.toContain('us-base.sock')
    expect(await virsh('dumpxml', ref, '--inactive')).not.toContain('us-base.sock')
    const list = await virsh('domblklist', ref)
    const files = (await domains.domain(ref)).disks.map(({ file }) => file ?? '')
    for (const file of files) expect(list).toContain(file)
    await virsh('destroy', ref)
    await virsh('start', ref)
    for (const [index, key] of (['disk0', 'disk1'] as const).entries())
      expectEqual(await domains.readDiskNow(ref, key as never), contents[index] ?? Buffer.alloc(0), key)

    const again = domains.open({ networks })
    await again.target.destroy(spec.runId, spec.placing.before)
    await again.close()
    expect(await everyDomain()).toEqual([])
    expect(await readdir(join(folder, 'points'))).toEqual(foldersBefore)
  })

  test('does not start without us before that, rather than to read zeros', async () => {
    const { virsh } = domains.libvirtd
    const { spec } = testBoot([random.bytes(MiB)], { runId: run1, network: 'dark' })
    const { ref } = await platform.target.boot(spec)
    await platform.target.stop(spec.runId)
    await platform.target.close()
    await expect(virsh('start', ref)).rejects.toThrow(/us-base\.sock|Failed to connect/)
    expect(await domains.isOn(ref)).toBe(false)
    await platform.target.reattach(spec)
    await virsh('start', ref)
    expect(await domains.isOn(ref)).toBe(true)
  })

  test('that lost its tag is not ours: it is neither booted over nor destroyed', async () => {
    const { virsh } = domains.libvirtd
    const { spec } = testBoot([random.bytes(MiB)], { runId: run1, network: 'dark' })
    const { ref } = await platform.target.boot(spec)
    await virsh('metadata', ref, '--uri', 'urn:understudy:run', '--remove', '--live', '--config')
    await platform.target.destroy(spec.runId, spec.placing.before)
    expect(await domains.isOn(ref)).toBe(true)
    await expect(platform.target.boot({ ...spec, name: 'other' })).rejects.toMatchObject({
      code: 'run/tag-lost',
    })
  })

  test('that was killed before its first instruction is tracked from it all the same', async () => {
    const { virsh } = domains.libvirtd
    const ref = await domains.define('web', [{ bytes: MiB, format: 'raw' }])
    await virsh('start', ref, '--paused')
    const { checkpoint } = await platform.target.startTracked(ref, 'owner-1')
    expect(checkpoint).toMatch(/^us-owner-1-/)
    await expect(platform.target.startTracked(ref, 'owner-1')).rejects.toMatchObject({
      code: 'machine/running',
    })
  })

  test('whose memory libvirt keeps is restored into only when that may be lost, and then starts from its disk', async () => {
    const { virsh } = domains.libvirtd
    const ref = await domains.define('web', [{ bytes: MiB, format: 'qcow2' }])
    await virsh('start', ref)
    await virsh('managedsave', ref)
    const content = random.bytes(MiB)
    const key = 'virtio-disk0' as never
    const disks = [{ key, bytes: MiB, reader: bufferReader(content), differs: null }]
    const options = { runId: run1, fingerprints: [], onProgress: () => {} }
    await expect(
      platform.target.restoreInto(ref, disks, { ...options, overwriteModified: false }),
    ).rejects.toMatchObject({
      code: 'fail-back/original-modified',
      message: expect.stringContaining('managed save'),
    })
    await platform.target.restoreInto(ref, disks, { ...options, overwriteModified: true })
    expectEqual(await domains.readDiskNow(ref, key), content, 'the disk')
    expect(await virsh('dominfo', ref)).toMatch(/Managed save:\s+no/)
    // A mutation that fails when our folder of the machine is mistaken for a machine of plain KVM.
    expect(await readdir(join(domains.libvirtd.folder, 'points'), { recursive: true })).not.toContainEqual(
      expect.stringContaining('machine.json'),
    )
  })

  test('can be plugged into networks of libvirt, and one that is not active is found beforehand', async () => {
    const { virsh, folder } = domains.libvirtd
    const path = join(folder, 'net.xml')
    await writeFile(
      path,
      "<network><name>lan</name><forward mode='bridge'/><bridge name='br-none'/></network>",
    )
    await virsh('net-define', path)
    try {
      expect(await platform.target.networks()).toMatchObject([
        { id: 'dark', isolated: true },
        { id: 'open', isolated: false },
        { id: 'lan', isolated: false, description: 'Network lan of libvirt' },
        { id: 'us-unplugged', isolated: true },
      ])
      const { spec } = testBoot([], { runId: run1, network: 'lan', mode: 'failover' })
      const blockers = async () =>
        (await platform.target.preflight(spec)).filter(({ level }) => level === 'blocker')
      expect(await blockers()).toMatchObject([
        { code: 'network/bridge-missing', message: 'On host here libvirt has no active network lan' },
      ])
      await virsh('net-start', 'lan')
      expect(await blockers()).toEqual([])
    } finally {
      await virsh('net-destroy', 'lan').catch(() => undefined)
      await virsh('net-undefine', 'lan')
    }
  })
})
