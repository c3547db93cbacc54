import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import {
  applyChanges,
  bufferReader,
  expectEqual,
  newPlacing,
  openOne,
  readWhole,
  request,
  takeFirstPoint,
} from '@understudy/simulator/contracts/platform-harness'
import { type VirtualClock, virtualClock } from '@understudy/simulator/virtual-clock'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openSimulatedPlatform, type SimulatedPlatform } from './platform.ts'

let folder: string
let clock: VirtualClock
let opened: SimulatedPlatform[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-simulated-'))
  clock = virtualClock()
})
afterEach(async () => {
  // Also those that a test let die: it is this process whose timers would write the files again.
  for (const platform of opened) await platform.close()
  opened = []
  await rm(folder, { recursive: true, force: true })
})

function open(settings: Readonly<Record<string, unknown>>, id = 'site-a'): SimulatedPlatform {
  const platform = openSimulatedPlatform(
    { id: id as SiteId, settings },
    {},
    { folder, clock, sleep: clock.sleep },
  )
  opened.push(platform)
  return platform
}

const sim1 = 'sim-0001' as MachineRef
const disk0 = 'disk0' as DiskKey
const small = { machines: 1, diskBytes: 4 * MiB, usedBytes: MiB, churnBytesPerSecond: 40 * KiB }

const bootSpec = (content: readonly Buffer[], change: Partial<BootSpec> = {}): BootSpec => ({
  runId: 'run-1' as RunId,
  name: 'sim-0001 copy',
  mode: 'failover',
  hardware: { cpus: 1, memoryBytes: 128 * MiB, firmware: 'bios', disks: [], adapters: [] },
  disks: content.map((data, index) => ({
    key: `disk${index}` as DiskKey,
    bytes: data.length,
    boot: index === 0,
    reader: bufferReader(data),
  })),
  networks: new Map(),
  trackingId: 'owner-1',
  placing: newPlacing(),
  ...change,
})

test('a guest writes by the clock at its rate, and the deltas of many cycles make its disks exactly', async () => {
  const { source, control } = open({ ...small, disksPerMachine: 2 })
  const first = await takeFirstPoint(source, request(sim1, null))
  let { checkpoint } = first
  const content = new Map(first.content)
  for (const seconds of [1, 5, 30, 0, 3600]) {
    await clock.advance(seconds * 1000)
    const opened = await openOne(source, request(sim1, checkpoint))
    let bytes = 0
    for (const disk of opened.disks) {
      const applied = await applyChanges(present(content.get(disk.key), 'seen before'), disk)
      expectEqual(applied.content, await readWhole(disk.reader), `${disk.key} after ${seconds} s`)
      expectEqual(applied.content, await control.readDisk(sim1, disk.key), `${disk.key} at the machine`)
      content.set(disk.key, applied.content)
      bytes += applied.changedBytes
    }
    // Ten grains a second, until everything in use but the stamps has been written again.
    expect(bytes).toBe(Math.min(seconds * 10 * 4 * KiB, 2 * (MiB - 4 * KiB)))
    await opened.point.release(true)
    checkpoint = opened.checkpoint
  }
})

test('the content of a point stays while the guest writes on', async () => {
  const { source } = open(small)
  await clock.advance(10_000)
  const opened = await openOne(source, request(sim1, null))
  const disk = present(opened.disks[0], 'one disk')
  const before = await readWhole(disk.reader)
  await clock.advance(10_000)
  expectEqual(await readWhole(disk.reader), before, 'the point')
  const now = await openOne(source, request(sim1, null))
  expect((await readWhole(present(now.disks[0], 'one disk').reader)).equals(before)).toBe(false)
})

test('after kill -9 of the server everything is as if it had gone on: content, replicas, tracking', async () => {
  const before = open(small)
  const first = await takeFirstPoint(before.source, request(sim1, null))
  await before.target.boot(bootSpec([present(first.content.get(disk0), 'read')]))
  await clock.advance(5_000)
  const second = await openOne(before.source, request(sim1, first.checkpoint))
  const content = await readWhole(present(second.disks[0], 'one disk').reader)
  await second.point.release(true)

  // Nothing was closed, and the newest checkpoint is in no file yet.
  const after = open(small)
  expect((await after.source.inventory()).map(({ ref, power, ownedBy }) => [ref, power, ownedBy])).toEqual([
    [sim1, 'running', null],
    ['sim-run-run-1', 'running', 'run-1'],
  ])
  await clock.advance(5_000)
  const third = await openOne(after.source, request(sim1, second.checkpoint))
  const applied = await applyChanges(content, present(third.disks[0], 'one disk'))
  expectEqual(applied.content, await after.control.readDisk(sim1, disk0), 'the delta over the crash')
  expect(applied.changedBytes).toBe(50 * 4 * KiB)
})

test('over, back and to the original machine again, every byte is accounted for', async () => {
  const site = open(small)
  const other = open({ ...small, machines: 0 }, 'site-b')
  const first = await takeFirstPoint(site.source, request(sim1, null))
  const original = present(first.content.get(disk0), 'read')
  await site.source.shutDown(sim1, { timeoutSeconds: 10 })
  const stopped = await site.source.openStoppedDisks(sim1, {
    excludedDisks: [],
    trackingId: 'owner-1',
    since: first.checkpoint,
  })
  expect(stopped.sinceKnown).toBe(true)

  const { ref, checkpoint } = await other.target.boot(bootSpec([original]))
  await clock.advance(7_000)
  expect(await other.target.probe(ref)).toMatchObject({ answered: true })
  await other.target.hydrate('run-1' as RunId, () => {})
  await other.target.adopt('run-1' as RunId)
  await clock.advance(3_000)
  await other.source.shutDown(ref, { timeoutSeconds: 10 })
  const back = await other.source.openStoppedDisks(ref, {
    excludedDisks: [],
    trackingId: 'owner-1',
    since: checkpoint,
  })
  const disk = present(back.disks[0], 'one disk')
  const applied = await applyChanges(original, disk)
  expectEqual(applied.content, await other.control.readDisk(ref, disk0), 'the delta of the replica')
  expect(applied.changedBytes, 'ten seconds of writes').toBe(100 * 4 * KiB)

  const restored = await site.target.restoreInto(
    sim1,
    [{ key: disk0, bytes: disk.bytes, reader: disk.reader, differs: disk.changed() }],
    {
      runId: 'run-2' as RunId,
      fingerprints: stopped.fingerprints,
      overwriteModified: false,
      onProgress: () => {},
    },
  )
  expect(restored.writtenBytes).toBeGreaterThan(0)
  expectEqual(await site.control.readDisk(sim1, disk0), applied.content, 'the original machine')
  await site.source.start(sim1)
  const reopened = open(small)
  expectEqual(
    await reopened.control.readDisk(sim1, disk0),
    applied.content,
    'the original machine after a restart',
  )
  await clock.advance(2_000)
  const next = await takeFirstPoint(reopened.source, request(sim1, null))
  expectEqual(
    present(next.content.get(disk0), 'read'),
    await reopened.control.readDisk(sim1, disk0),
    'its next point',
  )
})

test('a replica that is not complete cannot be read after a restart until its point is offered again', async () => {
  const site = open(small)
  const first = await takeFirstPoint(site.source, request(sim1, null))
  const content = present(first.content.get(disk0), 'read')
  const spec = bootSpec([content], { trackingId: null })
  const { ref } = await site.target.boot(spec)
  const again = open(small)
  await expect(again.control.readDisk(ref, disk0)).rejects.toMatchObject({
    code: 'simulated/point-not-attached',
  })
  await again.target.reattach(spec)
  expectEqual(await again.control.readDisk(ref, disk0), content, 'the replica')
})

test('destroying a replica leaves no file of its disks behind', async () => {
  const site = open(small)
  const first = await takeFirstPoint(site.source, request(sim1, null))
  const spec = bootSpec([present(first.content.get(disk0), 'read')])
  await site.target.boot(spec)
  await site.target.hydrate(spec.runId, () => {})
  expect(await readdir(join(folder, 'site-a', 'disks'))).toEqual(['sim-run-run-1'])
  await site.target.destroy(spec.runId, spec.placing.before)
  expect(await readdir(join(folder, 'site-a', 'disks'))).toEqual([])
})

test('an unreachable site answers nothing as a source, though its machines run on', async () => {
  const site = open(small)
  const first = await takeFirstPoint(site.source, request(sim1, null))
  await site.close()
  const cut = open({ ...small, faults: { unreachable: true } })
  expect((await cut.checkConnection()).summary).toContain('unreachable')
  const unreachable = { name: 'Outage', code: 'site/unreachable' }
  await expect(cut.source.inventory()).rejects.toMatchObject(unreachable)
  await expect(cut.source.powerState(sim1)).rejects.toMatchObject(unreachable)
  // Replicas run at the other side of the disaster.
  expect(await cut.target.networks()).toHaveLength(2)
  await clock.advance(4_000)
  const back = open(small)
  const opened = await openOne(back.source, request(sim1, first.checkpoint))
  const applied = await applyChanges(
    present(first.content.get(disk0), 'read'),
    present(opened.disks[0], 'one disk'),
  )
  expect(applied.changedBytes).toBe(40 * 4 * KiB)
})

test('calls fail as often as the settings ask for', async () => {
  const site = open({ ...small, faults: { failuresPerThousandCalls: 250 } })
  let failures = 0
  for (let call = 0; call < 400; call += 1)
    await site.source.powerState(sim1).catch((error: unknown) => {
      expect(error).toMatchObject({ name: 'Outage', code: 'simulated/broken-call' })
      failures += 1
    })
  expect(failures).toBeGreaterThan(60)
  expect(failures).toBeLessThan(140)
})

test('latency lasts as long as the settings ask for, and a guest that ignores its power button is an outage', async () => {
  const site = open({ ...small, latencyMilliseconds: 250, faults: { ignoresShutDown: true } })
  const startedAt = clock.now()
  await clock.until(site.source.powerState(sim1))
  expect(clock.now() - startedAt).toBe(250)
  const shutDown = site.source.shutDown(sim1, { timeoutSeconds: 30 })
  await expect(clock.until(shutDown)).rejects.toMatchObject({ code: 'machine/still-on' })
  expect(clock.now() - startedAt).toBe(250 + 250 + 30_000)
})

test('everything that is shown says that it is simulated', async () => {
  const site = open(small)
  expect((await site.checkConnection()).summary).toContain('Simulated')
  const [machine] = await site.source.inventory()
  expect(machine?.name).toMatch(/^sim-/)
  expect(machine?.host).toContain('simulated')
  expect(machine?.hardware.disks[0]?.label).toContain('Simulated')
  for (const network of await site.target.networks()) expect(network.description).toContain('Simulated')
})

test('the screen is a whole picture with something on it', async () => {
  const site = open({ machines: 0 })
  await site.target.boot(bootSpec([Buffer.alloc(MiB)]))
  const png = await site.target.screenshot('run-1' as RunId)
  const start = png.indexOf('IDAT')
  const rows = inflateSync(png.subarray(start + 4, start + 4 + png.readUInt32BE(start - 4)))
  expect(rows.length).toBe(400 * 641)
  expect(rows.filter((byte) => byte === 1).length).toBeGreaterThan(2_000)
})

test('with other settings machines come and go, and those that stay keep what they are', async () => {
  const before = open({ ...small, machines: 2 })
  await clock.advance(5_000)
  const kept = await before.control.readDisk(sim1, disk0)
  await before.source.powerOff('sim-0002' as MachineRef)
  await before.close()
  const more = open({ ...small, machines: 3 })
  const machines = await more.source.inventory()
  expect(machines.map(({ name, power }) => `${name} ${power}`)).toEqual([
    'sim-0001 running',
    'sim-0002 off',
    'sim-0003 running',
  ])
  expectEqual(await more.control.readDisk(sim1, disk0), kept, 'sim-0001')
  const fewer = open({ ...small, machines: 1 })
  expect(await fewer.source.inventory()).toHaveLength(1)
})

test('a mere look at a site leaves nothing behind', async () => {
  const site = open(small)
  await site.checkConnection()
  await site.source.inventory()
  await site.close()
  expect(await readdir(folder)).toEqual([])
})

test('a damaged state file is an outage that says which file', async () => {
  const site = open(small)
  await site.source.powerOff(sim1)
  await writeFile(join(folder, 'site-a', 'machines.json'), '{"version":1,"machi')
  await expect(open(small).source.inventory()).rejects.toMatchObject({
    name: 'Outage',
    code: 'simulated/state-unreadable',
    message: expect.stringContaining('machines.json'),
  })
})

test('five thousand machines that are all tracked cost little memory', async () => {
  const site = open({ ...small, machines: 5_000, diskBytes: 64 * 1024 * MiB })
  const before = process.memoryUsage().heapUsed
  const refs = (await site.source.inventory()).map(({ ref }) => ref)
  for (const ref of refs) {
    const result = await site.source.openPoint({ machines: [request(ref, null)], consistency: 'crash' })
    if (result.kind === 'opened') await result.point.release(true)
  }
  expect(refs).toHaveLength(5_000)
  expect((process.memoryUsage().heapUsed - before) / 5_000).toBeLessThan(20 * KiB)
})

test('a disk that is smaller than what is usually in use is in use wholly', async () => {
  const site = open({ machines: 1, diskBytes: 256 * KiB })
  const content = await site.control.readDisk(sim1, disk0)
  expect(content.subarray(252 * KiB).some((byte) => byte !== 0)).toBe(true)
})

test.each([
  [{ machines: -1 }, 'settings.machines'],
  [{ machines: 1.5 }, 'settings.machines'],
  [{ machines: '3' }, 'settings.machines'],
  [{ diskBytes: 65_537 }, 'multiple of 4096'],
  [{ diskBytes: MiB, usedBytes: 2 * MiB }, 'settings.usedBytes'],
  [{ guestAgent: 'yes' }, 'settings.guestAgent'],
  [{ faults: [] }, 'settings.faults'],
  [{ faults: { unreachable: 1 } }, 'settings.faults.unreachable'],
  [{ replicaFolder: 'here' }, 'settings.replicaFolder'],
  [{ machine: 3 }, 'settings.machine is not a setting'],
])('settings %j are refused, naming what is wrong', (settings, words) => {
  expect(() => open(settings)).toThrow(words)
})
