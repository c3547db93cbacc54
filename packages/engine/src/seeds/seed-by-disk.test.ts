import { KiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { readAll } from '@understudy/simulator/memory-disk'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test, vi } from 'vitest'
import { by, type Lab, minute } from '../engine-lab.ts'
import { DISK_BYTES, folder, newSeedLab, passphrase } from './seed-lab.ts'

const seedOf = (lab: Lab, place = '') => {
  const [, seed] = [...lab.seeds.seeds].findLast(([key]) => key.startsWith(place)) ?? []
  if (!seed) throw new Error('there is a seed')
  return seed
}
/** Of everything that was written to the seed, zeros included. */
const sumOf = (lab: Lab): number =>
  seedOf(lab).contents.reduce((sum, content) => sum + (content === 'mark' ? 0 : content.bytes), 0)
const machineContent = async (lab: Lab) =>
  Buffer.concat(await Promise.all(lab.machine.readDisks().map(readAll)))
const actionOf = async (
  lab: Lab,
  id: Awaited<ReturnType<typeof newSeedLab>>['protectionId'],
  action: string,
) => (await lab.engine.allowedActions(id)).find((each) => each.action === action)

/** Whole-disk equality of the newest point with the machine, which stands still. */
async function expectCaughtUp(lab: Lab, id: Awaited<ReturnType<typeof newSeedLab>>['protectionId']) {
  const protection = await lab.state(id)
  const replica = await lab.b.platform.replicas.openReplica(protection.replicaId, null)
  const newest = replica.points().at(-1)
  if (!newest) throw new Error('there is a point')
  const opened = await replica.openPoint(newest.id)
  const content = Buffer.concat(await Promise.all(opened.disks.map(({ reader }) => readAll(reader))))
  expect(content.equals(await machineContent(lab))).toBe(true)
}

describe('a first copy on a disk', () => {
  test('is exported, carried and imported; then only changes go over the line', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    await exported()
    expect(await lab.state(protectionId)).toMatchObject({ state: 'awaitingSeed' })
    expect(await lab.stores.seeds.find(protectionId)).toMatchObject({ folder, export: { tracked: true } })
    const { point } = seedOf(lab).manifest ?? {}
    // The machine goes on writing while the disk is on its way, and nothing is replicated.
    await lab.clock.advance(10 * minute)
    expect(await lab.engine.recoveryPoints(protectionId)).toEqual([])
    lab.seeds.carry(folder, '/mnt/there')
    await lab.done(lab.engine.importSeed({ ...request, folder: '/mnt/there' }))
    const [first] = await lab.engine.recoveryPoints(protectionId)
    expect(first).toMatchObject({ instant: point?.instant, checkpoint: point?.checkpoint, cycle: 'seed' })
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    const cycles = (await lab.engine.recoveryPoints(protectionId)).map(({ cycle }) => cycle)
    expect(cycles.length).toBeGreaterThan(1)
    expect(new Set(cycles.slice(1))).toEqual(new Set(['delta']))
    expect(await lab.stores.seeds.find(protectionId)).toBeNull()
    expect((await lab.events('seed/imported')).length).toBe(1)
  })

  test('keeps the passphrase out of jobs, events and, once it is done, the stores', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    await exported()
    expect(await lab.stores.seeds.passphrase(protectionId)).toBeNull()
    await lab.done(lab.engine.importSeed(request))
    const jobs = await lab.stores.jobs.list({}, { limit: 100, cursor: null })
    const events = await lab.stores.events.list({}, { limit: 500, cursor: null })
    expect(JSON.stringify([jobs, events, lab.log])).not.toContain(passphrase)
  })

  test('interrupted by a disk that fails goes on there, and reads again only what changed', async () => {
    const { lab, protectionId, request } = await newSeedLab({
      machine: { writeEveryMilliseconds: 60_000 },
      config: { requestBytes: 16 * KiB, requestsInFlight: 2 },
    })
    let left = 3
    lab.seeds.onWrite = async () => {
      left -= 1
      if (left < 0) throw new Error('the disk is gone')
    }
    expect((await lab.settle(lab.engine.exportSeed(request))).state).toBe('failed')
    const before = sumOf(lab)
    expect(before).toBeGreaterThan(0)
    expect(await actionOf(lab, protectionId, 'import-seed')).toMatchObject({ allowed: false })
    lab.seeds.onWrite = async () => {}
    await lab.clock.advance(2 * minute)
    await lab.done(lab.engine.exportSeed(request))
    expect(lab.seeds.seeds.size).toBe(1)
    expect(seedOf(lab).contents.filter((content) => content === 'mark')).toHaveLength(2)
    // Two writes of the guest in between, and nothing else twice.
    expect(sumOf(lab)).toBeLessThan(DISK_BYTES + 4 * 64 * KiB)
    await lab.done(lab.engine.importSeed(request))
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  /** The replica's disk fails after so many writes; null: it works again. */
  const failingReplica = (lab: Lab) => {
    const { replicas } = lab.b.platform
    const { openReplica } = replicas
    const state = { left: null as number | null, written: 0 }
    vi.spyOn(replicas, 'openReplica').mockImplementation(async (...where) => {
      const replica = await openReplica(...where)
      return {
        ...replica,
        async beginPoint(...begin) {
          const writer = await replica.beginPoint(...begin)
          return {
            ...writer,
            async write(...args) {
              if (state.left !== null && --state.left < 0) throw new Error('the disk of the replica is gone')
              state.written += args[2].length
              await writer.write(...args)
            },
          }
        },
      }
    })
    return state
  }
  const inSlices = { requestBytes: 16 * KiB, requestsInFlight: 2, firstCopyKeepBytes: 128 * KiB }

  test('whose import is interrupted goes on behind what was kept, and is the same machine', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab({ config: inSlices })
    await exported()
    const disk = failingReplica(lab)
    disk.left = 20
    expect((await lab.settle(lab.engine.importSeed(request))).state).toBe('failed')
    // Nothing of it is a recovery point.
    expect(await lab.engine.recoveryPoints(protectionId)).toEqual([])
    expect(await actionOf(lab, protectionId, 'test-failover')).toMatchObject({ allowed: false })
    const whole = seedOf(lab).contents.reduce(
      (sum, content) => sum + (content === 'mark' ? 0 : (content.data?.length ?? 0)),
      0,
    )
    disk.left = null
    disk.written = 0
    await lab.done(lab.engine.importSeed(request))
    expect(disk.written).toBeGreaterThan(0)
    expect(disk.written).toBeLessThanOrEqual(whole - 128 * KiB)
    const [point] = await lab.engine.recoveryPoints(protectionId)
    expect(point).toMatchObject({ cycle: 'seed' })
    expect(point).not.toHaveProperty('unfinished')
    const protection = await lab.state(protectionId)
    const replica = await lab.b.platform.replicas.openReplica(protection.replicaId, null)
    const opened = await replica.openPoint(present(point, 'it was imported').id)
    expect(await checkGuest(opened.disks.map(({ reader }) => reader))).not.toBeNull()
  })

  test('of which another state was imported in part is imported anew from the right one', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab({ config: inSlices })
    await exported()
    const { contents } = seedOf(lab)
    const at = contents.findIndex((content) => content !== 'mark' && content.data !== null)
    const right = contents[at]
    if (right === undefined || right === 'mark' || right.data === null) throw new Error('there is data')
    contents[at] = { ...right, data: Buffer.alloc(right.data.length, 0xbb) }
    const disk = failingReplica(lab)
    disk.left = 20
    expect((await lab.settle(lab.engine.importSeed(request))).state).toBe('failed')
    disk.left = null
    contents[at] = right
    await lab.done(lab.engine.importSeed(request))
    const protection = await lab.state(protectionId)
    const replica = await lab.b.platform.replicas.openReplica(protection.replicaId, null)
    const opened = await replica.openPoint(present(replica.points()[0], 'it was imported').id)
    const of = present(
      opened.disks.find(({ key }) => key === right.disk),
      'it has the disk',
    )
    expect((await of.reader.read(right.offset, right.bytes)).equals(right.data)).toBe(true)
    expect(await checkGuest(opened.disks.map(({ reader }) => reader))).not.toBeNull()
  })

  test('that was imported in part and given up is replaced by the next one, or by what comes over the line', async () => {
    for (const next of ['seed', 'line'] as const) {
      const { lab, protectionId, ask, request, exported } = await newSeedLab({ config: inSlices })
      await exported()
      const disk = failingReplica(lab)
      disk.left = 20
      expect((await lab.settle(lab.engine.importSeed(request))).state).toBe('failed')
      disk.left = null
      await lab.engine.giveUpSeed(ask)
      await lab.clock.advance(minute)
      if (next === 'seed') {
        await exported()
        await lab.done(lab.engine.importSeed(request))
      } else await lab.engine.resume(ask)
      await lab.clock.advance(minute)
      const protection = await lab.state(protectionId)
      expect(protection.state).toBe('protected')
      const replica = await lab.b.platform.replicas.openReplica(protection.replicaId, null)
      for (const { id } of replica.points()) {
        const opened = await replica.openPoint(id)
        expect(await checkGuest(opened.disks.map(({ reader }) => reader)), next).not.toBeNull()
      }
      expect(replica.unfinished()).toBeNull()
    }
  })

  test('given up goes over the line, and its seed is refused afterwards', async () => {
    const { lab, protectionId, ask, request, exported } = await newSeedLab()
    await exported()
    await lab.engine.giveUpSeed(ask)
    await lab.engine.resume(ask)
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    await expect(lab.engine.importSeed(request)).rejects.toMatchObject({ code: 'protection/not-allowed' })
    await expect(lab.engine.exportSeed(request)).rejects.toMatchObject({ code: 'protection/not-allowed' })
  })

  test('given up of a protection that was paused leaves it paused, and resumed it is copied over the line', async () => {
    const { lab, protectionId, ask, exported } = await newSeedLab()
    await exported()
    await lab.engine.giveUpSeed(ask)
    await lab.clock.advance(minute)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'paused', resumeState: 'seeding' })
    expect(await lab.engine.recoveryPoints(protectionId)).toEqual([])
    await lab.engine.resume(ask)
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('that is imported, and whose changes do not follow yet, is enough for a failover', async () => {
    const { lab, protectionId, ask, request, exported } = await newSeedLab()
    await exported()
    // The last task of the import fails, so it still waits for its seed.
    lab.database.failNext('protections.moveState', 20)
    expect((await lab.settle(lab.engine.importSeed(request))).state).toBe('failed')
    lab.database.failNext('protections.moveState', 0)
    expect((await lab.state(protectionId)).state).toBe('awaitingSeed')
    expect(await actionOf(lab, protectionId, 'planned-failover')).toMatchObject({
      allowed: false,
      remedy: expect.stringContaining('Import the seed again'),
    })
    expect(await actionOf(lab, protectionId, 'test-failover')).toMatchObject({ allowed: true })
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: { kind: 'latest' }, acceptUnfenced: true }))
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(await lab.stores.seeds.find(protectionId)).toBeNull()
    expect(lab.world.violations).toEqual([])
  })

  test('of an export that was given up is superseded by the next one', async () => {
    const { lab, ask, request, exported, protectionId } = await newSeedLab()
    await exported()
    lab.seeds.carry(folder, '/mnt/old')
    await lab.engine.giveUpSeed(ask)
    await lab.clock.advance(minute)
    await exported()
    const failed = await lab.settle(lab.engine.importSeed({ ...request, folder: '/mnt/old' }))
    expect(failed.failure?.code).toBe('seed/not-found')
    await lab.done(lab.engine.importSeed(request))
    expect((await lab.engine.recoveryPoints(protectionId))[0]).toMatchObject({
      instant: seedOf(lab, folder).manifest?.point.instant,
    })
  })

  test.each([
    ['a wrong passphrase', { passphrase: 'wrong wrong wrong' }, 'seed/wrong-passphrase'],
    ['another folder', { folder: '/mnt/empty' }, 'seed/not-found'],
  ])('is not imported with %s, and can be imported after that', async (_, change, code) => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    await exported()
    const failed = await lab.settle(lab.engine.importSeed({ ...request, ...change }))
    expect(failed).toMatchObject({ state: 'failed', failure: { code, remedy: expect.any(String) } })
    expect(await lab.engine.recoveryPoints(protectionId)).toEqual([])
    await lab.done(lab.engine.importSeed(request))
    await expect(lab.engine.importSeed(request)).rejects.toMatchObject({ code: 'protection/not-allowed' })
  })

  test('equals the machine once its changes have followed', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    await exported()
    await lab.done(lab.engine.importSeed(request))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.plannedFailover({ by, protectionId }))
    await expectCaughtUp(lab, protectionId)
  })

  test('whose tracking is lost while it travels is compared, and says why', async () => {
    const { lab, protectionId, request, exported } = await newSeedLab()
    await exported()
    lab.machine.dropCheckpoints(() => true)
    await lab.done(lab.engine.importSeed(request))
    await lab.clock.advance(minute)
    const cycles = (await lab.engine.recoveryPoints(protectionId)).map(({ cycle }) => cycle)
    expect(cycles.slice(0, 2)).toEqual(['seed', 'resync'])
  })
})
