// Both ends of the line, with what goes between them as the texts that it is. The oracle: the server's disks at the point's instant.
import type { AgentLine } from '@understudy/agent-protocol/agent-line'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { AgentId } from '@understudy/domain/agents/agent'
import type { LinuxFacts } from '@understudy/domain/boot-check/boot-facts'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { SourceDisk, SourcePoint } from '@understudy/engine/ports/source-platform'
import { applyChanges } from '@understudy/simulator/contracts/platform-harness'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { readAll } from '@understudy/simulator/memory-disk'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { afterEach, expect, test } from 'vitest'
import { openPhysicalPlatform } from './platform.ts'
import { noReceivers, wireLab } from './wire-lab.ts'

const siteId = 'harbour' as SiteId
const GRAIN = 4096
const labs: ReturnType<typeof wireLab>[] = []
afterEach(async () => {
  for (const lab of labs.splice(0)) await lab.close()
})

async function newServer(options: { readonly settles?: boolean } = {}) {
  const clock = virtualClock()
  const site = fakeWorld(clock).addSite('local')
  const machine = await site.addMachine({ name: 'db', disks: [2 ** 20, 2 ** 18], writeEveryMilliseconds: 0 })
  machine.settles = options.settles ?? false
  const lab = wireLab(site.source, () => clock.now())
  labs.push(lab)
  const { source, world } = lab
  const { ref } = machine
  const open = async (since: string | null, trackingId = 't'): Promise<SourcePoint> => {
    const opened = await source.openPoint({
      machines: [{ ref, trackingId, since, excludedDisks: [] }],
      consistency: 'crash',
    })
    if (opened.kind !== 'opened') throw new Error(opened.reason.message)
    return opened.point
  }
  const now = async (): Promise<Buffer[]> => Promise.all(machine.readDisks().map(readAll))
  const keys = [...machine.disks.keys()]
  const write = (grain: number, byte: number) =>
    machine.write(present(keys[0], 'it has a disk'), grain * GRAIN, Buffer.alloc(GRAIN, byte))
  return { clock, site, machine, ref, lab, source, world, open, now, write }
}

async function apply(copy: Buffer[], disks: readonly SourceDisk[]): Promise<Buffer[]> {
  const applied: Buffer[] = []
  for (const [index, disk] of disks.entries())
    applied.push((await applyChanges(copy[index] ?? Buffer.alloc(0), disk)).content)
  return applied
}
const machineOf = ({ machines }: SourcePoint) => present(machines[0], 'the point has the server')
const expectSame = (copy: readonly Buffer[], original: readonly Buffer[]): void =>
  expect(copy.map((bytes, index) => bytes.equals(original[index] ?? Buffer.alloc(0)))).toEqual([true, true])

test('a server is a machine under the name of its agent, and is called by what it is known again by', async () => {
  const { source, world, ref } = await newServer()
  const [machine] = await source.inventory()
  expect(machine).toMatchObject({
    ref,
    name: 'db',
    power: 'running',
    ownedBy: null,
  })
  expect(machine?.hardware.disks.map(({ bytes }) => bytes)).toEqual([2 ** 20, 2 ** 18])
  expect(await source.powerState(ref)).toBe('running')
  expect((await source.eligibility(ref)).shortestIntervalSeconds).toBeGreaterThanOrEqual(15)
  world.connected = false
  expect(await source.powerState(ref)).toBe('unknown')
  await expect(source.eligibility('nobody' as MachineRef)).rejects.toMatchObject({
    code: 'machine/not-found',
  })
})

const bootFacts: LinuxFacts = {
  system: 'linux',
  distribution: { id: 'debian', like: [], name: 'Debian GNU/Linux 12' },
  firmware: 'bios',
  runningKernel: '6.1.0-1-amd64',
  kernels: [
    {
      version: '6.1.0-1-amd64',
      builtIn: null,
      available: ['virtio_blk'],
      initramfs: { kind: 'read', drivers: [] },
    },
  ],
  commandLine: 'root=/dev/sda1',
  fstab: ['/dev/sda1 / ext4 '],
  crypttab: [],
  namingRules: [],
  interfaces: [],
  networkFiles: [],
  fallbackLoader: null,
  sshServer: true,
  azureAgent: false,
  cloudInit: null,
}

test('a server says itself whether it would boot elsewhere; one that cannot say is no error of ours', async () => {
  const { source, site, lab, ref } = await newServer()
  const ask = () => present(source.bootFacts, 'servers can be asked').call(source, ref)
  await expect(ask()).rejects.toMatchObject({ name: 'Refusal', code: 'boot-check/no-way' })
  site.source.bootFacts = async () => bootFacts
  lab.restartAgents()
  expect(await ask()).toEqual(bootFacts)
  site.source.bootFacts = async () => ({ ...bootFacts, commandLine: 'x'.repeat(20_000) })
  lab.restartAgents()
  await expect(ask()).rejects.toThrow()
})

test('a server is prepared by its agent, which says what it has changed', async () => {
  const { source, site, lab, ref } = await newServer()
  const prepare = () => present(source.prepareBoot, 'servers can be prepared').call(source, ref, ['virtio'])
  const find = () => present(source.findPreparation, 'servers can be asked').call(source, ref)
  await expect(prepare()).rejects.toMatchObject({ name: 'Refusal', code: 'boot-check/no-way' })
  expect(await find()).toBeNull()
  const prepared = {
    at: 5,
    tool: 'initramfs-tools',
    drivers: ['virtio_blk'],
    changes: ['/boot/initrd.img-6.1'],
  }
  site.source.prepareBoot = async (_ref, hardware) => ({ ...prepared, drivers: hardware })
  site.source.findPreparation = async () => prepared
  lab.restartAgents()
  expect(await prepare()).toEqual({ ...prepared, drivers: ['virtio'] })
  expect(await find()).toEqual(prepared)
})

test('a server whose agent is away stays as it was last seen, and nobody says that it runs', async () => {
  const { lab, ref } = await newServer()
  const seen = { ...(await lab.source.inventory())[0], name: 'old name', host: 'old' }
  const line = {
    servers: async () => [
      {
        agentId: 'agent' as AgentId,
        identity: ref,
        name: 'db-1',
        hostName: 'h',
        state: 'silent',
        connected: false,
      },
    ],
  } as unknown as AgentLine
  const { source, checkConnection } = openPhysicalPlatform(
    { id: siteId },
    {
      line,
      lastSeen: async () => [seen as never],
      clock: { now: () => 0 },
      receivers: noReceivers,
      sleep: async () => {},
    },
  )
  expect(await source.inventory()).toMatchObject([{ ref, name: 'db-1', power: 'unknown' }])
  await expect(checkConnection()).rejects.toBeInstanceOf(Outage)
})

test.each([false, true])(
  'the first point and the changes since are the disks at their instants (each answer lost once: %s)',
  async (twice) => {
    const { open, now, write, world } = await newServer()
    world.twice = twice
    await write(3, 1)
    const first = await open(null)
    let copy = await apply([], machineOf(first).disks)
    expectSame(copy, await now())
    await first.release(true)
    for (const grain of [9, 3, 200]) await write(grain, 7)
    const second = await open(machineOf(first).checkpoint)
    const wanted = await now()
    await write(100, 9)
    copy = await apply(copy, machineOf(second).disks)
    expectSame(copy, wanted)
    await second.release(true)
    expect(world.asked.filter((kind) => kind === 'release-point')).toHaveLength(2)
  },
)

test.each([false, true])(
  'a server that settles is what it was at the instant that it says (each answer lost once: %s)',
  async (twice) => {
    const { open, now, write, machine, world, clock } = await newServer({ settles: true })
    world.twice = twice
    const seen = new Map<number, Promise<Buffer[]>>()
    machine.onSettled = () => seen.set(clock.now(), now())
    let writes = 0
    machine.whileSettling = async () => {
      writes += 1
      for (const grain of [1, 5, 60 + writes]) await write(grain, writes)
    }
    let copy: Buffer[] = []
    let since: string | null = null
    let rounds = 0
    for (let cycle = 0; cycle < 3; cycle += 1) {
      await clock.advance(1000)
      const point = await open(since)
      const one = machineOf(point)
      copy = await apply(copy, one.disks)
      const settle = present(one.settle, 'it settles')
      const settled = await settle.call(one, async (disks) => {
        rounds += 1
        copy = await apply(copy, disks)
      })
      expectSame(copy, await present(seen.get(settled.instant), 'it had this instant'))
      since = settled.checkpoint
      await point.release(true)
    }
    expect(rounds).toBe(6)
  },
)

test('a settling that fails is told as it is, and nothing goes on behind it', async () => {
  const { open, machine, world } = await newServer({ settles: true })
  machine.whileSettling = () =>
    Promise.reject(new Outage({ code: 'linux/too-restless', message: 'It writes too fast', remedy: 'Wait.' }))
  const point = await open(null)
  const settle = present(machineOf(point).settle, 'it settles')
  await expect(settle(async () => {})).rejects.toMatchObject({ name: 'Outage', code: 'linux/too-restless' })
  await point.release(false)
  expect(world.asked.at(-1)).toBe('release-point')
})

test('an agent that was started anew has no point any more, and letting it go is no error', async () => {
  const { open, lab } = await newServer()
  const point = await open(null)
  lab.restartAgents()
  const [disk] = machineOf(point).disks
  await expect(disk?.reader.read(0, 4096)).rejects.toMatchObject({ name: 'Outage', code: 'agent/point-gone' })
  await expect(apply([], machineOf(point).disks)).rejects.toMatchObject({ code: 'agent/point-gone' })
  await point.release(false)
})

test('whoever comes anew for the same tracking takes the place of the one before; another one does not', async () => {
  const { open } = await newServer()
  const first = await open(null)
  const other = await open(null, 'other')
  const second = await open(null)
  const read = (point: SourcePoint) => machineOf(point).disks[0]?.reader.read(0, 4096)
  await expect(read(first)).rejects.toMatchObject({ code: 'agent/point-gone' })
  await read(other)
  await read(second)
})

test('tracking that is lost is said with its reason, and several servers have no instant in common', async () => {
  const { source, ref } = await newServer()
  const one = { ref, trackingId: 't', since: 'unknown', excludedDisks: [] }
  expect(await source.openPoint({ machines: [one], consistency: 'crash' })).toMatchObject({
    kind: 'tracking-lost',
    ref,
  })
  await expect(source.openPoint({ machines: [one, one], consistency: 'crash' })).rejects.toMatchObject({
    name: 'Refusal',
    code: 'group/no-common-instant',
  })
  const options = { timeoutSeconds: 1 }
  await expect(source.shutDown(ref, options)).rejects.toMatchObject({ code: 'machine/switch-off-by-hand' })
})

test.each([false, true])(
  'a server process that dies between seal and release goes on from what it sealed (a server that settles: %s)',
  async (settles) => {
    const { open, now, write } = await newServer({ settles })
    await write(3, 1)
    let copy: Buffer[] = []
    /** Returns what would be sealed with it; nobody lets it go. */
    const copyFrom = async (since: string | null): Promise<string> => {
      const one = machineOf(await open(since))
      copy = await apply(copy, one.disks)
      const settled = await one.settle?.(async (disks) => {
        copy = await apply(copy, disks)
      })
      return present(settled?.checkpoint ?? one.checkpoint, 'it is tracked')
    }
    const first = await copyFrom(null)
    await write(9, 2)
    const second = await copyFrom(first)
    expectSame(copy, await now())
    await write(11, 3)
    // Killed before the seal this time: the one before counts.
    const older = copy
    await copyFrom(second)
    await write(12, 4)
    copy = older
    await copyFrom(second)
    expectSame(copy, await now())
  },
)

test('a point is let go only when its settling is over', async () => {
  const { open, machine, world } = await newServer({ settles: true })
  const order: string[] = []
  const goOn = Promise.withResolvers<void>()
  machine.whileSettling = async () => {
    order.push('settling')
    await goOn.promise
    order.push('settled')
  }
  const drop = machine.dropCheckpoints
  machine.dropCheckpoints = (where) => {
    if (order.length > 0) order.push('dropped')
    drop(where)
  }
  const point = await open(null)
  const settling = present(machineOf(point).settle, 'it settles')(async () => {})
  settling.catch(() => {})
  await expect.poll(() => order).toEqual(['settling'])
  const released = point.release(false)
  await expect.poll(() => world.asked.at(-1)).toBe('release-point')
  await new Promise((resolve) => setImmediate(resolve))
  goOn.resolve()
  await released
  expect(order.slice(0, 2)).toEqual(['settling', 'settled'])
  expect(order.at(-1)).toBe('dropped')
})

test.each([-30, 30])(
  'a clock of the server that is %i years off, and jumps, is nothing to its points',
  async (years) => {
    const { open, world, clock } = await newServer()
    const off = years * 365 * 86_400_000
    world.agentNow = () => clock.now() + off
    const before = clock.now()
    const first = await open(null)
    expect(first.instant).toBe(before)
    await first.release(true)
    world.agentNow = () => clock.now() - off
    await clock.advance(5000)
    const second = await open(machineOf(first).checkpoint)
    expect(second.instant).toBeGreaterThanOrEqual(before + 5000)
    expect(second.instant).toBeLessThanOrEqual(clock.now())
  },
)
