// The power fails before and after every single operation on the disk. Afterwards the replica opens, every acknowledged point is
// intact, nothing unsealed is visible, and the next writer can go on.
import { KiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointDisk, PointFacts, PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { Crashed, type CrashFileSystem, crashFileSystem } from '@understudy/simulator/crash-file-system'
import { type SeededRandom, seededRandom } from '@understudy/simulator/seeded-random'
import { describe, expect, test } from 'vitest'
import { openJournalStore } from './journal-store.ts'
import type { JournalLimits } from './limits.ts'

const id = 'replica' as ReplicaId
const SECTOR = 512
const tight: Partial<JournalLimits> = {
  segmentBytes: 16 * KiB,
  syncBehindBytes: 6 * KiB,
  recordBytes: 4 * KiB,
  openFiles: 2,
  maintenanceBytesPerSecond: 0,
  mergeLayers: 2,
  foldShare: 0.2,
  smallSegmentBytes: 8 * KiB,
  smallSegments: 2,
  runFanout: 2,
  sealsPerMaintenance: 2,
  logBytes: 1 * KiB,
  maintainBehind: false,
}
const retention = [
  { everySeconds: 0, forSeconds: 8 },
  { everySeconds: 10, forSeconds: 40 },
]

type Content = ReadonlyMap<DiskKey, Buffer>

/** What a correct store must hold: grows as calls are acknowledged. */
type Model = {
  created: boolean
  epoch: number
  now: number
  points: Map<PointId, Content>
  /** Of the call that has not returned: what it may have done, wholly or not at all. */
  sealing: Content | null
  removing: ReadonlySet<PointId>
  holds: Set<PointId>
  disks: readonly PointDisk[]
}

const newModel = (): Model => ({
  created: false,
  epoch: 0,
  now: 1_000_000_000_000,
  points: new Map(),
  sealing: null,
  removing: new Set(),
  holds: new Set(),
  disks: [
    { key: 'a' as DiskKey, bytes: 40 * SECTOR },
    { key: 'b' as DiskKey, bytes: 16 * SECTOR },
  ],
})

type World = {
  readonly fs: CrashFileSystem
  readonly model: Model
  readonly random: SeededRandom
  readonly encrypt: boolean
}

const openStore = ({ fs, model }: World): ReplicaStore =>
  openJournalStore({
    folder: '/replicas',
    fs,
    clock: { now: () => model.now },
    key: () => Buffer.alloc(32, 9),
    limits: tight,
  })

const seedFrom = Number(process.env.UNDERSTUDY_SEED ?? Date.now() % 2 ** 31)

describe('a crash loses nothing that was acknowledged', () => {
  test('before and after every operation of a short life with expiry, merging and a change of epoch', async () => {
    const operations = await countOperations(7, 6)
    expect(operations).toBeGreaterThan(150)
    for (let at = 1; at <= operations; at += 1)
      for (const when of ['before', 'after'] as const) {
        const world = newWorld(7, at % 4 === 0)
        world.fs.planCrash({ atOperation: at, when })
        await live(world, 6).catch(ignoreCrash)
        await checkAfterCrash(world, { at, when, chance: seededRandom(at) })
      }
  }, 240_000)

  test('at random moments of long lives, several crashes in a row', async () => {
    for (let round = 0; round < 40; round += 1) {
      const seed = seedFrom + round
      const chance = seededRandom(seed).fork('crashes')
      const world = newWorld(seed, round % 3 === 0)
      for (let crash = 0; crash < 4; crash += 1) {
        const when = chance.chance(0.5) ? 'before' : 'after'
        const at = 1 + chance.below(700)
        world.fs.planCrash({ atOperation: at, when })
        await live(world, 12).catch(ignoreCrash)
        await checkAfterCrash(world, { at, when, chance, seed })
      }
    }
  }, 240_000)
})

describe('a full disk', () => {
  test('fails the point with a clear outage, keeps every sealed point, and the next point succeeds once there is room', async () => {
    for (let round = 0; round < 40; round += 1) {
      const seed = seedFrom + round
      const world = newWorld(seed, false)
      const store = openStore(world)
      await create(world, store)
      const replica = await open(world, store)
      let failures = 0
      for (let step = 0; step < 12; step += 1) {
        world.fs.limitBytes(step % 3 === 0 ? null : world.fs.usedBytes() + world.random.below(6000))
        const writing = step % 4 === 3 ? expire(world, replica) : writePoint(world, replica)
        await writing.catch((error: unknown) => {
          failures += 1
          expect(error, `UNDERSTUDY_SEED=${seed}`).toMatchObject({
            name: 'Outage',
            code: 'replica/disk-full',
          })
          world.model.sealing = null
        })
        settleRemovals(world, replica)
        await compare(world, replica)
      }
      world.fs.limitBytes(null)
      await writePoint(world, replica)
      await compare(world, replica)
      await replica.close()
      if (round === 39) expect(failures).toBeGreaterThan(0)
      // What the failed seals left in the log must not come back either.
      world.fs.restart(world.random)
      await checkAfterCrash(world, { at: 0, when: 'after', chance: world.random, seed })
    }
  }, 240_000)
})

function newWorld(seed: number, encrypt: boolean): World {
  return { fs: crashFileSystem(), model: newModel(), random: seededRandom(seed), encrypt }
}

async function countOperations(seed: number, steps: number): Promise<number> {
  const world = newWorld(seed, false)
  await live(world, steps)
  return world.fs.operations
}

function ignoreCrash(error: unknown): void {
  if (!(error instanceof Crashed)) throw error
}

/** One life of a process: opens, works, and ends in peace if it is not stopped. */
async function live(world: World, steps: number): Promise<void> {
  const store = openStore(world)
  await create(world, store)
  let replica = await open(world, store)
  for (let step = 0; step < steps; step += 1) {
    await writePoint(world, replica)
    const dice = world.random.below(10)
    if (dice < 3 || step === 3) await expire(world, replica)
    if (dice === 4) await hold(world, replica)
    if (dice === 5) await abortPoint(world, replica)
    if (dice === 6 || step === 4) replica = await open(world, store)
  }
  await expire(world, replica)
  await replica.close()
}

async function create(world: World, store: ReplicaStore): Promise<void> {
  await store.createReplica({ id, machineName: 'machine', compress: true, encrypt: world.encrypt })
  world.model.created = true
}

async function open({ model }: World, store: ReplicaStore): Promise<Replica> {
  const epoch = model.epoch + 1
  const replica = await store.openReplica(id, epoch)
  model.epoch = epoch
  return replica
}

async function writePoint(world: World, replica: Replica): Promise<void> {
  const { model, random } = world
  model.now += 3000
  const base = [...model.points.keys()].at(-1) ?? null
  const content = new Map(
    model.disks.map(({ key, bytes }) => [
      key,
      Buffer.from(model.points.get(base ?? ('' as PointId))?.get(key) ?? Buffer.alloc(bytes)),
    ]),
  )
  const point = await replica.beginPoint(base, model.disks)
  try {
    for (let count = 1 + random.below(4); count > 0; count -= 1) {
      const { key, bytes } = random.pick([present(model.disks[0], 'a disk'), ...model.disks])
      const offset = random.below(bytes / SECTOR) * SECTOR
      const length = Math.min(bytes - offset, (1 + random.below(12)) * SECTOR)
      const data = random.chance(0.2) ? Buffer.alloc(length) : random.bytes(length)
      present(content.get(key), 'a disk has content').set(data, offset)
      if (random.chance(0.1)) await point.zero(key, offset, length).then(() => point.write(key, offset, data))
      else await point.write(key, offset, data)
    }
    model.sealing = content
    const sealed = await point.seal(factsAt(model.now))
    model.points.set(sealed.id, content)
    model.sealing = null
  } catch (error) {
    await point.abort().catch(() => {})
    throw error
  }
}

const factsAt = (instant: number): PointFacts => ({
  instant,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: `checkpoint ${instant}`,
  cycle: 'delta',
})

async function abortPoint({ model, random }: World, replica: Replica): Promise<void> {
  const point = await replica.beginPoint([...model.points.keys()].at(-1) ?? null, model.disks)
  await point.write('a' as DiskKey, 0, random.bytes(2048))
  await point.abort()
}

async function expire(world: World, replica: Replica): Promise<void> {
  const { model } = world
  // Anything but the newest and what is held may go.
  const newest = [...model.points.keys()].at(-1)
  model.removing = new Set(
    [...model.points.keys()].filter((point) => point !== newest && !model.holds.has(point)),
  )
  await replica.expire(retention, model.now)
  settleRemovals(world, replica)
}

/** The call has returned: what is gone is gone for good. */
function settleRemovals({ model }: World, replica: Replica): void {
  const there = new Set(replica.points().map((point) => point.id))
  for (const point of model.removing) if (!there.has(point)) model.points.delete(point)
  model.removing = new Set()
}

async function hold({ model }: World, replica: Replica): Promise<void> {
  const point = [...model.points.keys()][0]
  if (point === undefined) return
  await replica.hold(point, 'run')
  model.holds.add(point)
}

type Where = {
  readonly at: number
  readonly when: string
  readonly chance: SeededRandom
  readonly seed?: number
}

async function checkAfterCrash(world: World, { at, when, chance, seed }: Where): Promise<void> {
  const { fs, model } = world
  const trace = fs.trace.slice(-4).join(' | ')
  fs.restart(chance)
  try {
    const store = openStore(world)
    if (!model.created) await create(world, store)
    // The epoch of a call that was cut off may be taken or not; a newer one always opens.
    model.epoch += 1
    const replica = await open(world, store)
    adoptWhatMayBe(model, replica)
    await compare(world, replica)
    expectNoLeftovers(fs, replica)
    await writePoint(world, replica)
    await compare(world, replica)
    await expire(world, replica)
    await compare(world, replica)
    expect((await replica.scrub({ bytesPerSecond: 0 })).damage).toEqual([])
    await replica.close()
  } catch (error) {
    const replay = seed === undefined ? '' : `UNDERSTUDY_SEED=${seed}: `
    throw new Error(`${replay}wrong after a crash ${when} operation ${at} (${trace})`, { cause: error })
  }
}

/** A seal that was under way may have happened or not, points that were being dropped may be there or not. Nothing else. */
function adoptWhatMayBe(model: Model, replica: Replica): void {
  const there = replica.points().map((point) => point.id)
  for (const point of model.removing) if (!there.includes(point)) model.points.delete(point)
  model.removing = new Set()
  const extra = there.filter((point) => !model.points.has(point))
  expect(extra.length).toBeLessThanOrEqual(model.sealing === null ? 0 : 1)
  if (extra[0] !== undefined && model.sealing !== null) model.points.set(extra[0], model.sealing)
  model.sealing = null
  for (const held of model.holds) expect(there).toContain(held)
}

async function compare({ model }: World, replica: Replica): Promise<void> {
  expect(replica.points().map((point) => point.id)).toEqual([...model.points.keys()])
  for (const [point, content] of model.points) {
    const opened = await replica.openPoint(point)
    for (const { key, bytes, reader } of opened.disks) {
      const expected = present(content.get(key), 'the model has the disk')
      expect((await reader.read(0, bytes)).equals(expected), `${point} ${key}`).toBe(true)
    }
    await opened.close()
  }
}

/** What a crash left behind is swept when the next writer opens: no file is there that nobody needs. */
function expectNoLeftovers(fs: CrashFileSystem, replica: Replica): void {
  expect(fs.files('/replicas/replica/log').length).toBe(1)
  expect(fs.files('/replicas/replica/epochs').length).toBe(1)
  const needed = fs.files('/replicas/replica/segments').length
  expect(needed).toBeLessThanOrEqual(12 * (replica.points().length + 1))
}
