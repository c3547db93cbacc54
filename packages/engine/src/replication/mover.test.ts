import { InvariantError, Outage, Refusal } from '@understudy/base/errors'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import {
  defaultPolicySettings,
  type PolicyId,
  type PolicySettings,
} from '@understudy/domain/protection/policy'
import type { Protection, ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { changedStores } from '@understudy/simulator/changed-stores'
import { type FakeSite, fakeWorld } from '@understudy/simulator/fake-platform'
import { readAll } from '@understudy/simulator/memory-disk'
import { durableLog, memoryDurable } from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryPrinter } from '@understudy/simulator/memory-printer'
import { memorySeedFolders } from '@understudy/simulator/memory-seed-folders'
import { memorySteps } from '@understudy/simulator/memory-steps'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { defaultEngineConfig, type EngineParts } from '../engine-parts.ts'
import type { ReplicaStore } from '../ports/replica-store.ts'
import { createMover, type Mover } from './mover.ts'

const id = 'p1' as ProtectionId
const replicaId = 'r1' as ReplicaId
const movers: Mover[] = []
const minute = 60_000

afterEach(async () => {
  for (const mover of movers.splice(0)) await mover.stop()
})

async function newWorld(
  settings: Partial<PolicySettings> = {},
  disks: readonly number[] = [2 ** 20, 2 ** 20],
) {
  const clock = virtualClock()
  const world = fakeWorld(clock)
  const a = world.addSite('a')
  const b = world.addSite('b')
  const stores = memoryStores()
  for (const site of ['a', 'b'])
    await stores.sites.create(
      {
        id: site as SiteId,
        name: site,
        platform: 'simulated',
        settings: {},
        health: 'unknown',
        healthNote: null,
        checkedAt: null,
        createdAt: 0,
      },
      {},
    )
  const machine = await a.addMachine({ name: 'web', disks, writeEveryMilliseconds: 200 })
  await stores.machines.replaceInventory(a.id, await a.source.inventory(), clock.now())
  await stores.policies.save({ ...defaultPolicySettings, ...settings, id: 'policy' as PolicyId, name: 'p' })
  await b.replicas.createReplica({ id: replicaId, machineName: 'web', compress: false, encrypt: false })
  await stores.protections.create(protectionOf(machine.ref))
  let ids = 0
  const newId = (): string => {
    ids += 1
    return `id-${ids}`
  }
  const partsOf = (moverId: string): EngineParts => ({
    stores,
    durable: memoryDurable({ log: durableLog(), clock }),
    platforms: world.platforms,
    steps: memorySteps(clock),
    seeds: memorySeedFolders(),
    printer: memoryPrinter(),
    live: memoryLive(),
    clock,
    sleep: clock.sleep,
    newId,
    config: { ...defaultEngineConfig, moverId },
    log: () => {},
  })
  const startMover = (
    moverId: string,
    change: (parts: EngineParts) => EngineParts = (parts) => parts,
  ): Mover => {
    const mover = createMover(change(partsOf(moverId)), { onLook: async () => {} })
    movers.push(mover)
    mover.start()
    return mover
  }
  const points = async () => (await b.replicas.openReplica(replicaId, null)).points()
  const events = async (code: string) =>
    (await stores.events.list({ code }, { limit: 100, cursor: null })).rows
  const openAlerts = async () =>
    (await stores.alerts.list({ open: true }, { limit: 100, cursor: null })).rows.map(({ code }) => code)
  const state = async () => (await stores.protections.find(id))?.state
  /** Whole-disk equality of the newest point with the machine, at the instant when it is taken. */
  const newestDisks = async () => {
    const replica = await b.replicas.openReplica(replicaId, null)
    const newest = replica.points().at(-1)
    if (!newest) throw new Error('there is a point')
    return (await replica.openPoint(newest.id)).disks.map(({ reader }) => reader)
  }
  return { clock, world, a, b, stores, machine, startMover, points, events, openAlerts, state, newestDisks }
}

const protectionOf = (ref: MachineRef): Protection => ({
  id,
  name: 'web',
  state: 'seeding',
  stateNote: null,
  resumeState: null,
  cycleAskedAt: null,
  direction: 'forward',
  machineId: 'machine-1' as Protection['machineId'],
  sourceSiteId: 'a' as SiteId,
  sourceRef: ref,
  targetSiteId: 'b' as SiteId,
  originalRef: null,
  policyId: 'policy' as PolicyId,
  groupId: null,
  replicaId,
  epoch: 0,
  excludedDisks: [],
  adapters: [],
  hardware: { cpus: 1, memoryBytes: 1, firmware: 'bios', disks: [], adapters: [] },
  createdAt: 0,
})

describe('a mover', () => {
  test('keeps to the limit of the line between the sites, also while it copies', async () => {
    const { clock, stores, startMover, state, machine } = await newWorld({}, [2 ** 22])
    await machine.write([...machine.disks.keys()][0] as DiskKey, 0, Buffer.alloc(2 ** 22, 7))
    const line = { sourceSiteId: 'a' as SiteId, targetSiteId: 'b' as SiteId }
    const calendar = { timeZone: 'UTC', rules: [], otherwiseMegabitsPerSecond: 1 }
    await stores.bandwidth.save({ ...line, calendar })
    startMover('m1')
    await clock.advance(10_000)
    expect(await state()).toBe('seeding')
    await stores.bandwidth.remove(line.sourceSiteId, line.targetSiteId)
    await clock.advance(5_000)
    expect(await state()).toBe('protected')
  })

  test('seeds, becomes protected and then seals a whole point every interval, however little changed', async () => {
    const { clock, startMover, points, state, newestDisks, machine, stores } = await newWorld()
    startMover('m1')
    await clock.advance(60_000)
    expect(await state()).toBe('protected')
    const sealed = await points()
    expect(sealed.length).toBeGreaterThanOrEqual(12)
    expect(sealed.map(({ cycle }) => cycle).filter((cycle) => cycle !== 'delta')).toEqual(['seed'])
    // The point is younger than five seconds and no byte of it is from another instant.
    expect(await checkGuest(await newestDisks())).toMatchObject({ identity: machine.identity })
    const { newestPoint, lastCycle, pointCount, storedBytes } = await stores.protections.summary(id)
    expect(newestPoint?.id).toBe(sealed.at(-1)?.id)
    // Before retention has run for the first time.
    expect(pointCount).toBe(sealed.length)
    expect(storedBytes).toBe(sealed.reduce((sum, point) => sum + point.storedBytes, 0))
    expect(storedBytes).toBeGreaterThan(0)
    expect(clock.now() - (newestPoint?.instant ?? 0)).toBeLessThan(6_000)
    expect(lastCycle?.readBytes).toBeLessThan(2 ** 20)
  })

  test('damage that a scrub finds is told with its points and repaired by a comparison with the source', async () => {
    const { clock, stores, startMover, points, openAlerts, events } = await newWorld()
    await stores.protections.updateNotes(id, { scrubbedAt: clock.now() })
    let scrubs = 0
    startMover('m1', (parts) => ({
      ...parts,
      config: { ...parts.config, scrubEverySeconds: 300, scrubBytesPerSecond: 0 },
      platforms: changedStores(parts.platforms, (store) => ({
        async openReplica(...which) {
          const opened = await store.openReplica(...which)
          return {
            ...opened,
            scrub: async (options) => {
              scrubs += 1
              const report = await opened.scrub(options)
              if (scrubs > 1) return report
              const spoilt = {
                disk: 'disk0' as DiskKey,
                offset: 0,
                bytes: 4096,
                points: [opened.points()[0]?.id].flatMap((one) => one ?? []),
              }
              return { ...report, damage: [spoilt] }
            },
          }
        },
      })),
    }))
    await clock.advance(250_000)
    expect(scrubs).toBe(0)
    await clock.advance(150_000)
    expect(scrubs).toBe(1)
    expect(await openAlerts()).toEqual(['replica/damaged'])
    expect((await points()).map(({ cycle }) => cycle)).toContain('resync')
    // The next scrub finds everything right, and says so.
    await clock.advance(400_000)
    expect(scrubs).toBe(2)
    expect(await openAlerts()).toEqual([])
    expect(await events('replica/scrubbed')).toHaveLength(1)
  })

  test('a machine that writes nothing still gets points, so that its lag stays honest', async () => {
    const { clock, a, startMover, points, stores, machine } = await newWorld()
    a.removeMachine(machine.ref)
    const silent = await a.addMachine({ name: 'silent', writeEveryMilliseconds: 0 })
    await stores.protections.update(id, { sourceRef: silent.ref })
    startMover('m1')
    await clock.advance(20_000)
    const before = (await points()).length
    await clock.advance(20_000)
    expect((await points()).length).toBe(before + 4)
    const { lastCycle } = await stores.protections.summary(id)
    expect(lastCycle).toMatchObject({ kind: 'idle', readBytes: 0, changedBytes: 0 })
  })

  test('takes an application-consistent point on schedule and says when it had to fall back', async () => {
    const withAgent = await newWorld({ applicationConsistentEverySeconds: 30 })
    withAgent.startMover('m1')
    await withAgent.clock.advance(100_000)
    const application = (await withAgent.points()).filter(({ consistency }) => consistency === 'application')
    expect(application.length).toBeGreaterThanOrEqual(3)
    expect(application.length).toBeLessThanOrEqual(5)

    const { clock, a, stores, startMover, points, events, machine } = await newWorld()
    a.removeMachine(machine.ref)
    const bare = await a.addMachine({ name: 'bare', guestAgent: false })
    await stores.protections.update(id, { sourceRef: bare.ref })
    startMover('m2')
    await clock.advance(30_000)
    expect((await points()).every(({ consistency }) => consistency === 'crash')).toBe(true)
    expect(await events('cycle/consistency-fallback')).toHaveLength(1)
  })

  test('an outage is retried after 1, 2, 4, 8 and 10 minutes and its alert resolves by itself', async () => {
    const { clock, a, startMover, openAlerts, state } = await newWorld()
    startMover('m1')
    await clock.advance(20_000)
    a.cutOff()
    const before = a.faults.calls.get('source.openPoint') ?? 0
    await clock.advance(16 * 60_000)
    // At 0, 1, 3, 7 and 15 minutes.
    expect((a.faults.calls.get('source.openPoint') ?? 0) - before).toBe(5)
    expect(await state()).toBe('protected')
    expect((await openAlerts()).sort()).toEqual(['protection/lag', 'protection/outage'])
    a.comeBack()
    await clock.advance(11 * 60_000)
    expect(await openAlerts()).toEqual([])
  })

  test('the alert of an outage also resolves in the next process, which has not seen the outage', async () => {
    const { clock, a, startMover, openAlerts } = await newWorld()
    const first = startMover('m1')
    await clock.advance(20_000)
    a.cutOff()
    await clock.advance(10_000)
    expect(await openAlerts()).toContain('protection/outage')
    await first.stop()
    a.comeBack()
    startMover('m1')
    await clock.advance(30_000)
    expect(await openAlerts()).toEqual([])
  })

  test('whoever asks for a cycle does not wait for the pause after an outage, in whatever process he asked', async () => {
    const { clock, a, startMover, points, stores } = await newWorld()
    // By a server whose clock was ahead.
    await stores.protections.update(id, { cycleAskedAt: clock.now() + 24 * 3_600_000 })
    startMover('m1')
    await clock.advance(20_000)
    a.cutOff()
    await clock.advance(16 * 60_000)
    a.comeBack()
    const before = (await points()).length
    await clock.advance(60_000)
    expect(await points()).toHaveLength(before)
    await stores.protections.update(id, { cycleAskedAt: clock.now() })
    await clock.advance(10_000)
    expect((await points()).length).toBeGreaterThan(before)
  })

  test('a cycle that is asked for while another one runs comes after that one', async () => {
    const { clock, a, startMover, points, stores } = await newWorld({ intervalSeconds: 3600 })
    startMover('m1')
    await clock.advance(20_000)
    const release = a.faults.hang('source.openPoint')
    await stores.protections.update(id, { cycleAskedAt: 1 })
    await clock.advance(10_000)
    await stores.protections.update(id, { cycleAskedAt: 2 })
    await clock.advance(10_000)
    expect(await points()).toHaveLength(1)
    release()
    await clock.advance(10_000)
    expect(await points()).toHaveLength(3)
  })

  /** The store of site b as the mover sees it, which the test can take from under what is open. */
  function changingStore(b: Pick<FakeSite, 'id' | 'replicas'>) {
    const opened: ReplicaStore[] = []
    const closed: ReplicaStore[] = []
    let forgotten = 0
    const newStore = (): ReplicaStore => {
      const store: ReplicaStore = {
        ...b.replicas,
        async openReplica(...which) {
          const replica = await b.replicas.openReplica(...which)
          const knows = forgotten
          opened.push(store)
          return {
            ...replica,
            async beginPoint(...point) {
              if (knows === forgotten) return await replica.beginPoint(...point)
              throw new Outage({
                code: 'replica/went-back',
                message: 'It has forgotten',
                remedy: 'Open it anew.',
              })
            },
            async close() {
              closed.push(store)
              await replica.close()
            },
          }
        },
      }
      return store
    }
    let now = newStore()
    const change = (parts: EngineParts): EngineParts => ({
      ...parts,
      platforms: {
        ...parts.platforms,
        async of(site) {
          const platform = await parts.platforms.of(site)
          return site.id === b.id ? { ...platform, replicas: now } : platform
        },
      },
    })
    return {
      opened,
      closed,
      change,
      /** What is open knows of seconds that are gone; what is opened from now on does not. */
      forget: (): void => {
        forgotten += 1
      },
      /** The site was saved with other settings. */
      replace: (): void => {
        now = newStore()
      },
    }
  }

  test('a store that has lost its last seconds is opened anew, and replication goes on without a restart', async () => {
    const { clock, b, startMover, points, openAlerts } = await newWorld()
    const store = changingStore(b)
    startMover('m1', store.change)
    await clock.advance(20_000)
    store.forget()
    await clock.advance(10_000)
    expect(await openAlerts()).toContain('protection/outage')
    const count = (await points()).length
    await clock.advance(2 * minute)
    expect((await points()).length).toBeGreaterThan(count + 8)
    expect(await openAlerts()).not.toContain('protection/outage')
    expect([store.opened.length, store.closed.length]).toEqual([2, 1])
  })

  test('a target that was saved with other settings is written through them from the next cycle on', async () => {
    const { clock, b, startMover, points } = await newWorld()
    const store = changingStore(b)
    startMover('m1', store.change)
    await clock.advance(20_000)
    expect(store.opened).toHaveLength(1)
    const count = (await points()).length
    store.replace()
    await clock.advance(20_000)
    expect(store.opened).toHaveLength(2)
    expect(store.opened[1]).not.toBe(store.opened[0])
    expect(store.closed).toEqual([store.opened[0]])
    // No cycle was cut, and none had to compare.
    const sealed = await points()
    expect(sealed).toHaveLength(count + 4)
    expect(sealed.filter(({ cycle }) => cycle === 'delta')).toHaveLength(sealed.length - 1)
  })

  test.each([
    ['stops before that is closed', 1],
    ['and hangs is left behind, and that closed later', 90],
  ])('a scrub of a replica that is given up %s', async (_, readSeconds) => {
    const { clock, b, startMover, points } = await newWorld()
    const done: string[] = []
    const { openReplica } = b.replicas
    vi.spyOn(b.replicas, 'openReplica').mockImplementationOnce(async (...which) => ({
      ...(await openReplica(...which)),
      scrub: async ({ signal }) => {
        done.push('scrub')
        await clock.sleep(24 * 60 * minute, signal).catch(() => {})
        // In the middle of a read.
        await clock.sleep(readSeconds * 1000)
        done.push('scrub ended')
        throw new DOMException('Stopped', 'AbortError')
      },
      close: async () => void done.push('closed'),
    }))
    const store = changingStore(b)
    startMover('m1', (parts) => store.change({ ...parts, config: { ...parts.config, scrubEverySeconds: 1 } }))
    await clock.advance(5 * minute)
    expect(done).toEqual(['scrub'])
    store.replace()
    const count = (await points()).length
    await clock.advance(minute)
    expect((await points()).length).toBeGreaterThan(count + 3)
    await clock.advance(minute)
    expect(done).toEqual(['scrub', 'scrub ended', 'closed'])
  })

  test('a refusal stops replication at once, with its remedy, and is not retried', async () => {
    const { clock, a, startMover, state, events, openAlerts, stores } = await newWorld()
    startMover('m1')
    await clock.advance(20_000)
    const error = new Refusal({
      code: 'host/key-changed',
      message: 'The host has another key.',
      remedy: 'Check it.',
    })
    a.faults.failNext('source.openPoint', 1, error)
    await clock.advance(10_000)
    expect(await state()).toBe('broken')
    expect((await stores.protections.find(id))?.stateNote).toContain('Check it.')
    expect(await events('host/key-changed')).toHaveLength(1)
    expect(await openAlerts()).toContain('protection/broken')
    const calls = a.faults.calls.get('source.openPoint')
    await clock.advance(3_600_000)
    expect(a.faults.calls.get('source.openPoint')).toBe(calls)
  })

  test.each([
    [
      'a refusal',
      new Refusal({ code: 'host/key-changed', message: 'Another key', remedy: 'Check.' }),
      'warn',
    ],
    ['a fault of ours', new InvariantError('we were wrong'), 'error'],
  ])('%s stops replication and is logged at its own level', async (_, error, level) => {
    const { clock, a, startMover, state } = await newWorld()
    const logged: string[] = []
    startMover('m1', (parts) => ({ ...parts, log: (at, what) => logged.push(`${at}: ${what}`) }))
    await clock.advance(20_000)
    a.faults.failNext('source.openPoint', 1, error)
    await clock.advance(10_000)
    expect(await state()).toBe('broken')
    expect(logged).toEqual([`${level}: cycle failed`])
  })

  test('lost tracking leads to a resync with a reason that finds everything that changed meanwhile', async () => {
    const { clock, startMover, points, state, events, machine, newestDisks } = await newWorld()
    startMover('m1')
    await clock.advance(20_000)
    machine.dropCheckpoints(() => true)
    await machine.write([...machine.disks.keys()][0] as DiskKey, 900_000, Buffer.alloc(5000, 7))
    await clock.advance(10_000)
    expect((await points()).filter(({ cycle }) => cycle === 'resync')).toHaveLength(1)
    expect(await state()).toBe('protected')
    expect(await events('tracking/lost')).toHaveLength(1)
    const [first] = await newestDisks()
    if (!first) throw new Error('there is a disk')
    expect((await first.read(900_000, 5000)).equals(Buffer.alloc(5000, 7))).toBe(true)
    await checkGuest(await newestDisks())
  })

  test('a dead mover’s protection is taken over by another one, which the store knows by its epoch', async () => {
    const { clock, stores, startMover, points } = await newWorld()
    startMover('m1', (parts) => ({
      ...parts,
      sleep: async (milliseconds, signal) =>
        // Dead after 20 s: it never wakes again.
        clock.now() < Date.parse('2026-01-01T00:00:20Z') || signal?.aborted
          ? await parts.sleep(milliseconds, signal)
          : await parts.sleep(1e12, signal),
    }))
    await clock.advance(10_000)
    startMover('m2')
    await clock.advance(15_000)
    const epoch = (await stores.protections.find(id))?.epoch
    const count = (await points()).length
    await clock.advance(60_000)
    expect(await stores.leases.held('m2')).toEqual([id])
    expect((await stores.protections.find(id))?.epoch).toBe((epoch ?? 0) + 1)
    expect((await points()).length).toBeGreaterThan(count + 5)
  })

  test('the same point instant means the same bytes: every sealed point is a whole guest', async () => {
    const { clock, b, startMover, points } = await newWorld({ intervalSeconds: 1 })
    startMover('m1')
    await clock.advance(30_000)
    const replica = await b.replicas.openReplica(replicaId, null)
    for (const { id: pointId } of await points()) {
      const opened = await replica.openPoint(pointId)
      expect(await checkGuest(opened.disks.map(({ reader }) => reader))).not.toBeNull()
    }
  })

  test('after a stop the newest point equals the source as it was at its instant, byte for byte', async () => {
    const { clock, startMover, machine, newestDisks } = await newWorld()
    const mover = startMover('m1')
    await clock.advance(22_000)
    machine.shutDown()
    await mover.stop()
    const copies = await Promise.all((await newestDisks()).map(readAll))
    const sources = await Promise.all(machine.readDisks().map(readAll))
    // Only the records that the guest wrote since may differ: at most five seconds of it, each a record and a header.
    const differing = copies.map((copy, index) => differingGrains(copy, sources[index] ?? Buffer.alloc(0)))
    for (const count of differing) expect(count).toBeLessThanOrEqual(15)
  })

  test('a clock that is set back stops neither cycles nor heartbeats', async () => {
    const { clock, stores, startMover, points } = await newWorld()
    let behindMilliseconds = 0
    const ownClock = { now: () => clock.now() - behindMilliseconds }
    startMover('m1', (parts) => ({ ...parts, clock: ownClock }))
    await clock.advance(20_000)
    const count = (await points()).length
    behindMilliseconds = 3_600_000
    await clock.advance(minute)
    expect((await points()).length).toBeGreaterThan(count + 8)
    const [mover] = await stores.leases.movers()
    expect(Math.abs(ownClock.now() - (mover?.beatAt ?? 0))).toBeLessThan(10_000)
  })

  test('whose replicas cannot be closed while the database is away goes on when both are back', async () => {
    const { clock, stores, startMover, points, b } = await newWorld()
    const { openReplica } = b.replicas
    vi.spyOn(b.replicas, 'openReplica').mockImplementationOnce(async (...which) => ({
      ...(await openReplica(...which)),
      close: () => Promise.reject(new Error('the disk does not answer')),
    }))
    startMover('m1')
    await clock.advance(12_000)
    const away = vi.spyOn(stores.leases, 'beat').mockRejectedValue(new Error('the database is away'))
    await clock.advance(40_000)
    away.mockRestore()
    const count = (await points()).length
    await clock.advance(20_000)
    expect((await points()).length).toBeGreaterThan(count)
  })

  test('can be stopped while the database is away', async () => {
    const { clock, stores, startMover } = await newWorld()
    const mover = startMover('m1')
    await clock.advance(12_000)
    vi.spyOn(stores.leases, 'leave').mockRejectedValue(new Error('the database is away'))
    await expect(clock.until(mover.stop(), 31_000)).resolves.toBeUndefined()
  })

  describe('whose source ignores that its answer is not wanted any more', () => {
    /** The next point is opened only when it is let go; nobody who asks for it can take that back. */
    function stuckSource() {
      let letGo = (): void => {}
      let gate: Promise<void> | null = null
      let asked = 0
      const change = (parts: EngineParts): EngineParts => ({
        ...parts,
        platforms: {
          ...parts.platforms,
          async of(site) {
            const platform = await parts.platforms.of(site)
            const { source } = platform
            if (!source) return platform
            const openPoint: typeof source.openPoint = async (request) => {
              asked += 1
              await gate
              return await source.openPoint(request)
            }
            return { ...platform, source: { ...source, openPoint } }
          },
        },
      })
      const hang = (): void => {
        gate = new Promise((resolve) => (letGo = resolve))
      }
      return {
        change,
        hang,
        asked: () => asked,
        letGo: () => {
          gate = null
          letGo()
        },
      }
    }

    test('leaves the cycle behind after a while and says so; what wakes up late writes nothing', async () => {
      const { clock, stores, startMover, points, events, b } = await newWorld()
      const stuck = stuckSource()
      const mover = startMover('m1', stuck.change)
      await clock.advance(12_000)
      stuck.hang()
      await clock.advance(6000)
      await stores.protections.moveState(id, 'protected', 'failingOver', null)
      const count = (await points()).length
      expect(await clock.until(mover.quiesce(id), 31_000)).toBe(true)
      const [event] = await events('protection/cycle-abandoned')
      expect(event?.message).toContain('within 30 s')
      // A failover writes as the newest owner, and stays that.
      const epoch = await stores.protections.nextEpoch(id)
      const writer = await b.replicas.openReplica(replicaId, epoch)
      stuck.letGo()
      await clock.advance(20_000)
      expect((await points()).length).toBe(count)
      expect((await stores.protections.find(id))?.epoch).toBe(epoch)
      const newest = writer.points().at(-1)
      await expect(writer.beginPoint(newest?.id ?? null, newest?.disks ?? [])).resolves.toBeDefined()
    })

    test('can be stopped, and gives its lease back', async () => {
      const { clock, stores, startMover } = await newWorld()
      const stuck = stuckSource()
      const mover = startMover('m1', stuck.change)
      await clock.advance(12_000)
      stuck.hang()
      await clock.advance(6000)
      await clock.until(mover.stop(), 31_000)
      expect(await stores.leases.movers()).toEqual([])
    })

    test('goes on with a new cycle when the protection was paused elsewhere and resumed', async () => {
      const { clock, stores, startMover, points, events } = await newWorld()
      const stuck = stuckSource()
      startMover('m1', stuck.change)
      await clock.advance(12_000)
      stuck.hang()
      await clock.advance(6000)
      await stores.protections.moveState(id, 'protected', 'paused', null, 'protected')
      await clock.advance(40_000)
      expect(await events('protection/cycle-abandoned')).toHaveLength(1)
      const count = (await points()).length
      stuck.letGo()
      await stores.protections.moveState(id, 'paused', 'protected', null, null)
      await clock.advance(20_000)
      expect((await points()).length).toBeGreaterThan(count)
    })

    test('counts what was left behind among the cycles that run at once', async () => {
      const { clock, stores, startMover, points } = await newWorld()
      const stuck = stuckSource()
      const one = (parts: EngineParts): EngineParts => ({
        ...stuck.change(parts),
        config: { ...parts.config, concurrentCycles: 1 },
      })
      startMover('m1', one)
      await clock.advance(12_000)
      stuck.hang()
      await clock.advance(6000)
      await stores.protections.moveState(id, 'protected', 'paused', null, 'protected')
      await clock.advance(40_000)
      const [count, asked] = [(await points()).length, stuck.asked()]
      await stores.protections.moveState(id, 'paused', 'protected', null, null)
      await clock.advance(30_000)
      expect(stuck.asked()).toBe(asked)
      stuck.letGo()
      await clock.advance(20_000)
      expect((await points()).length).toBeGreaterThan(count)
    })
  })
})

function differingGrains(one: Buffer, other: Buffer): number {
  let count = 0
  for (let at = 0; at < one.length; at += 4096)
    if (!one.subarray(at, at + 4096).equals(other.subarray(at, at + 4096))) count += 1
  return count
}
