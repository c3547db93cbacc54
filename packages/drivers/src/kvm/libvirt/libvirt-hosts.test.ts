import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { Whereabouts } from '@understudy/engine/ports/target-platform'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testHost } from '../test-host.ts'
import { type LibvirtDirectory, libvirtDirectory } from './libvirt-directory.ts'
import type { LibvirtHost } from './libvirt-host.ts'
import { evidenceOfOff, libvirtPowerState } from './libvirt-power.ts'
import { libvirtSource } from './libvirt-source.ts'
import { libvirtTarget } from './libvirt-target.ts'
import { toVirshFailure } from './virsh-failure.ts'

const ref = '11111111-2222-4333-8444-555555555555' as MachineRef

/** A libvirt for tests: it knows the one domain or not. */
type TestLibvirt = LibvirtHost & {
  domain: 'running' | 'shut off' | null
  /** Why it is shut off. */
  reason: string
  cutOff: boolean
  readonly running: Set<MachineRef>
  disks: string[]
  /** Of the running domain alone. */
  hotDisks: string[]
  persistent: boolean
}

function testLibvirt(name: string): TestLibvirt {
  const host = testHost(name, join(home, name))
  const xml = (active: boolean): string => {
    const disks = active ? [...libvirt.disks, ...libvirt.hotDisks] : libvirt.disks
    const elements = disks.map(
      (target) =>
        `<disk type='file' device='disk'><driver type='raw'/><source file='/vm/${target}'/><target dev='${target}' bus='virtio'/></disk>`,
    )
    return `<domain type='qemu'${active ? " id='7'" : ''}><name>web</name><uuid>${ref}</uuid><memory>65536</memory><devices>${elements.join('')}</devices></domain>`
  }
  const ask = async (line: string): Promise<string> => {
    await host.list(home)
    if (line.startsWith('list')) return libvirt.domain === null ? '' : ref
    if (line.startsWith('domblkinfo')) return ''
    if (line.startsWith('net-list') || line.startsWith('domcapabilities')) return ''
    if (libvirt.domain === null)
      throw toVirshFailure({ hostName: name, uri: '', commandLine: line, text: 'Domain not found' })
    if (line.startsWith('dominfo')) return `Persistent:     ${libvirt.persistent ? 'yes' : 'no'}`
    if (line.endsWith('--inactive')) return xml(false)
    if (line.startsWith('shutdown') || line.startsWith('destroy')) libvirt.domain = 'shut off'
    if (line.startsWith('shutdown') || line.startsWith('destroy')) return ''
    if (line.startsWith('dumpxml')) return xml(libvirt.domain === 'running')
    if (line.startsWith('domstate'))
      return libvirt.domain === 'running' ? 'running (booted)' : `shut off (${libvirt.reason})`
    throw new Error(`not expected: ${line}`)
  }
  const libvirt: TestLibvirt = Object.assign(host, {
    domain: null as TestLibvirt['domain'],
    reason: 'shutdown',
    disks: ['vda'],
    hotDisks: [] as string[],
    persistent: true,
    handOver: async () => undefined,
    uri: 'qemu:///system',
    folderOf: () => join(home, name, 'machine'),
    virsh: <Result>(
      work: (session: { ask: typeof ask; closed: Promise<void>; close(): void }) => Promise<Result>,
    ) => work({ ask, closed: new Promise<void>(() => undefined), close: () => undefined }),
  })
  return libvirt
}

let home: string
let one: TestLibvirt
let two: TestLibvirt
let directory: LibvirtDirectory
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-libvirts-'))
  one = testLibvirt('one')
  two = testLibvirt('two')
  directory = libvirtDirectory([one, two])
})
afterEach(() => rm(home, { recursive: true, force: true }))
const sourceOfBoth = () =>
  libvirtSource({ hosts: [one, two], directory, clock: { now: () => 5 }, bootDeadlineSeconds: 5 })
const power = async () => libvirtPowerState(await directory.findMachine(ref))

describe('a domain that two hosts know', () => {
  test('is that of the host where it runs', async () => {
    one.domain = 'shut off'
    two.domain = 'running'
    expect((await directory.findMachine(ref)).host.name).toBe('two')
    expect(await power()).toBe('running')
    expect(await directory.inventory()).toMatchObject([{ host: 'two', power: 'running' }])
  })

  test('is asked for where it ran last, and found where it has gone since', async () => {
    one.domain = 'running'
    await directory.findMachine(ref)
    one.domain = 'shut off'
    two.domain = 'running'
    expect(await power()).toBe('running')
  })

  test('is off when neither runs it, which the evidence says of both', async () => {
    one.domain = 'shut off'
    two.domain = 'shut off'
    expect(await power()).toBe('off')
    expect(await evidenceOfOff(await directory.findMachine(ref))).toBe(
      'libvirt reports shut off; no process with this uuid; not on two either',
    )
  })
})

describe('shut off, says libvirt', () => {
  test('and is not believed while a process with the uuid lives on that host', async () => {
    one.domain = 'shut off'
    one.running.add(ref)
    expect(await power()).toBe('unknown')
  })

  test('and is not believed while a process lives on a host that does not know the domain', async () => {
    one.domain = 'shut off'
    two.running.add(ref)
    expect(await power()).toBe('unknown')
    await expect(directory.findMachine(ref).then((machine) => evidenceOfOff(machine))).rejects.toMatchObject({
      code: 'source/power-unknown',
    })
  })

  test('and is not believed while the other host cannot be asked', async () => {
    one.domain = 'shut off'
    two.cutOff = true
    expect(await power()).toBe('unknown')
  })

  test('and is not believed without the other host, although it was last seen running here', async () => {
    one.domain = 'running'
    await directory.findMachine(ref)
    one.domain = 'shut off'
    two.cutOff = true
    expect(await power()).toBe('unknown')
    await expect(sourceOfBoth().start(ref)).rejects.toMatchObject({ code: 'source/power-unknown' })
  })

  test('and is believed without the other host when we switched it off, until it runs again', async () => {
    one.domain = 'running'
    two.cutOff = true
    expect((await sourceOfBoth().powerOff(ref)).evidence).toBe(
      'destroyed; libvirt reports shut off; no process with this uuid; two could not be asked, but its end here was our doing',
    )
    expect(await power()).toBe('off')
    two.cutOff = false
    two.domain = 'running'
    await directory.findMachine(ref)
    two.domain = 'shut off'
    two.cutOff = true
    expect(await power()).toBe('unknown')
  })

  test('and we switched nothing off that was shut off already', async () => {
    one.domain = 'shut off'
    two.cutOff = true
    const away = { code: 'source/power-unknown', message: expect.stringContaining('host two') }
    await expect(sourceOfBoth().powerOff(ref)).rejects.toMatchObject(away)
    await expect(sourceOfBoth().shutDown(ref, { timeoutSeconds: 5 })).rejects.toMatchObject(away)
  })

  test.each([true, false])(
    'and is never believed of a domain that was migrated away (silent: %s)',
    async (silent) => {
      one.domain = 'running'
      await directory.findMachine(ref)
      one.domain = 'shut off'
      one.reason = 'migrated'
      two.cutOff = silent
      expect(await power()).toBe('unknown')
      expect(await directory.inventory().catch(() => [])).not.toMatchObject([{ power: 'off' }])
      const moved = { code: 'source/power-unknown', message: expect.stringContaining('migrated away') }
      await expect(sourceOfBoth().powerOff(ref)).rejects.toMatchObject(moved)
      await expect(sourceOfBoth().shutDown(ref, { timeoutSeconds: 5 })).rejects.toMatchObject(moved)
    },
  )

  test('and is believed of the host that a domain was migrated to', async () => {
    one.domain = 'shut off'
    one.reason = 'migrated'
    two.domain = 'shut off'
    expect((await directory.findMachine(ref)).host.name).toBe('two')
    expect(await power()).toBe('off')
    expect(await directory.inventory()).toMatchObject([{ host: 'two', power: 'off' }])
  })
})

test('a domain that vanished is off only when no host has a process with its uuid', async () => {
  one.domain = 'shut off'
  const machine = await directory.findMachine(ref)
  one.domain = null
  expect(await libvirtPowerState(machine)).toBe('off')
  two.running.add(ref)
  expect(await libvirtPowerState(machine)).toBe('unknown')
})

test('a domain is found although another host is away, and one that is not found is an outage then', async () => {
  two.domain = 'running'
  one.cutOff = true
  expect((await directory.findMachine(ref)).host.name).toBe('two')
  two.domain = null
  await expect(directory.findMachine(ref)).rejects.toMatchObject({ code: 'kvm/host-unreachable' })
  one.cutOff = false
  await expect(directory.findMachine(ref)).rejects.toMatchObject({ code: 'source/no-such-machine' })
})

test('the inventory keeps what a host had that is away, with unknown power', async () => {
  two.domain = 'running'
  expect(await directory.inventory()).toMatchObject([{ ref, power: 'running' }])
  two.cutOff = true
  expect(await directory.inventory()).toMatchObject([{ ref, power: 'unknown' }])
  await expect(libvirtDirectory([one, two]).inventory()).rejects.toMatchObject({ name: 'Outage' })
})

test('disks are not read, and nothing is started, while another host may run the machine', async () => {
  one.domain = 'shut off'
  two.running.add(ref)
  const source = sourceOfBoth()
  await expect(
    source.openStoppedDisks(ref, { excludedDisks: [], trackingId: 'p1', since: null }),
  ).rejects.toMatchObject({ code: 'source/power-unknown' })
  await expect(source.start(ref)).rejects.toMatchObject({ code: 'source/power-unknown' })
})

describe('a planned failover', () => {
  const shutDown = (excludedDisks: readonly DiskKey[] = []) =>
    sourceOfBoth().shutDown(ref, { timeoutSeconds: 5, excludedDisks })

  test('shuts down a domain whose definition has all its disks', async () => {
    one.domain = 'running'
    expect((await shutDown()).evidence).toContain('no process with this uuid')
  })

  test('shuts down, and reads what changed last, although another host of its site is dead', async () => {
    one.domain = 'running'
    two.cutOff = true
    expect((await shutDown()).evidence).toContain('two could not be asked, but its end here was our doing')
    expect(await evidenceOfOff(await directory.findMachine(ref))).not.toBe(null)
  })

  test('does not shut down a domain with a disk that is attached to the running one alone, unless it is excluded', async () => {
    one.domain = 'running'
    one.hotDisks = ['vdb']
    await expect(shutDown()).rejects.toMatchObject({
      code: 'source/disks-not-defined',
      message: expect.stringContaining('virtio-disk1'),
    })
    expect(one.domain).toBe('running')
    await shutDown(['virtio-disk1' as DiskKey])
    expect(one.domain).toBe('shut off')
  })

  test('does not shut down a transient domain, which would leave nothing to read', async () => {
    one.domain = 'running'
    one.persistent = false
    await expect(shutDown()).rejects.toMatchObject({ code: 'source/disks-not-defined' })
    expect(one.domain).toBe('running')
  })
})

describe('a replica at a site with a host away', () => {
  const runId = 'run-1' as RunId
  const away = { code: 'kvm/host-unreachable' }
  const nothingMade: Whereabouts = { kind: 'nowhere' }
  const target = () =>
    libvirtTarget({
      hosts: [one, two],
      directory,
      clock: { now: () => 5 },
      settings: { networks: [], accelerator: 'tcg', bootDeadlineSeconds: 5 },
    })
  /** Refused by the preflight as soon as it gets there: its network does not exist. */
  const boot = (before: Whereabouts) =>
    target().boot({
      runId,
      name: 'web',
      mode: 'failover',
      hardware: { cpus: 1, memoryBytes: 2 ** 26, firmware: 'bios', disks: [], adapters: [] },
      disks: [],
      networks: new Map([['net0', 'nowhere']]),
      trackingId: null,
      placing: { before, keep: async () => undefined },
    })

  test('is begun, and removed, when it never had to do with that host', async () => {
    two.cutOff = true
    expect((await target().networks()).length).toBeGreaterThan(0)
    await expect(boot(nothingMade)).rejects.toMatchObject({ code: 'network/not-found' })
    await target().destroy(runId, nothingMade)
  })

  test('is neither begun again nor taken for removed when it was begun there', async () => {
    const before: Whereabouts = { kind: 'at', place: two.place }
    two.cutOff = true
    await expect(boot(before)).rejects.toMatchObject({ code: 'run/host-away' })
    await expect(target().destroy(runId, before)).rejects.toMatchObject({ code: 'run/host-away' })
  })

  test('has no networks when no host answers', async () => {
    one.cutOff = true
    two.cutOff = true
    await expect(target().networks()).rejects.toMatchObject(away)
  })
})
