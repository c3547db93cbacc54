// The process dies before and after every single request. Afterwards the replica opens, every acknowledged point is intact,
// nothing unsealed is visible, and the next writer goes on. The same with lost answers, and writes that arrive late.
import { KiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointDisk, PointFacts, PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { type SeededRandom, seededRandom } from '@understudy/simulator/seeded-random'
import { describe, expect, test } from 'vitest'
import { replicaStoreOver } from './azure-store.ts'
import { Crashed, type FaultyCalls, faultyCalls, type Trouble } from './emulator/faulty-calls.ts'
import {
  copyAccount,
  type MemoryAccount,
  memoryAccount,
  memoryCalls,
  zeroGrains,
} from './emulator/memory-calls.ts'
import { isSealed, loadHead } from './replica-head.ts'

const id = 'replica' as ReplicaId
const a = 'a' as DiskKey
const b = 'b' as DiskKey
const SECTOR = 512
const retention = [
  { everySeconds: 0, forSeconds: 8 },
  { everySeconds: 10, forSeconds: 40 },
]

type Content = ReadonlyMap<DiskKey, Buffer>

/** What a correct store must hold: grows as calls are acknowledged. */
type Model = {
  epoch: number
  now: number
  points: Map<PointId, Content>
  /** Of the call that has not returned: what it may have done, wholly or not at all. */
  sealing: Content | null
  removing: ReadonlySet<PointId>
  holds: Set<PointId>
  disks: readonly PointDisk[]
}

type World = {
  account: MemoryAccount
  readonly model: Model
  readonly random: SeededRandom
  trouble: Trouble
  calls: FaultyCalls | null
}

const newWorld = (seed: number, trouble: Trouble = {}): World => ({
  account: memoryAccount(),
  model: {
    epoch: 0,
    now: 1_000_000_000_000,
    points: new Map(),
    sealing: null,
    removing: new Set(),
    holds: new Set(),
    disks: [
      { key: a, bytes: 40 * SECTOR },
      { key: b, bytes: 16 * SECTOR },
    ],
  },
  random: seededRandom(seed),
  trouble,
  calls: null,
})

/** A process over the account. Sums and neighbours are written early, so that a short life sees every kind of request. */
function openStore(world: World): ReplicaStore {
  const calls = faultyCalls(memoryCalls(world.account), world.trouble)
  world.calls = calls
  return replicaStoreOver(async () => calls, {
    clock: { now: () => world.model.now },
    limits: { connections: 2, gatherBytes: 16 * KiB, bufferBytes: 32 * KiB, sumPages: 2 },
    patience: { pause: async () => {} },
  })
}

const seedFrom = Number(process.env.UNDERSTUDY_SEED ?? Date.now() % 2 ** 31)

describe('a crash loses nothing that was acknowledged', () => {
  test('before and after every request of a short life with expiry, resizing, an aborted point and a change of epoch', async () => {
    const whole = newWorld(7)
    await live(whole, 5)
    const requests = present(whole.calls, 'it lived').requests
    expect(requests).toBeGreaterThan(120)
    for (let at = 1; at <= requests; at += 1)
      for (const when of ['before', 'after'] as const) {
        const world = newWorld(7, { crash: { at, when } })
        await live(world, 5).catch(ignoreCrash)
        await checkAfterCrash(world, `${when} request ${at}`)
      }
  }, 240_000)

  test('at random moments of long lives, several crashes in a row, with lost answers and late writes', async () => {
    for (let round = 0; round < 16; round += 1) {
      const seed = seedFrom + round
      const chance = seededRandom(seed).fork('crashes')
      const world = newWorld(seed)
      for (let crash = 0; crash < 4; crash += 1) {
        const at = 1 + chance.below(500)
        const when = chance.chance(0.5) ? 'before' : 'after'
        world.trouble = {
          crash: { at, when },
          loses: () => chance.chance(0.08),
          comesLate: () => chance.chance(0.5),
        }
        await live(world, 10).catch(ignoreCrash)
        await checkAfterCrash(world, `UNDERSTUDY_SEED=${seed}: ${when} request ${at}`)
      }
    }
  }, 240_000)
})

test('lost answers and late writes change nothing in what is sealed', async () => {
  for (let round = 0; round < 12; round += 1) {
    const seed = seedFrom + round
    const chance = seededRandom(seed).fork('answers')
    const world = newWorld(seed, {
      loses: () => chance.chance(0.15),
      comesLate: () => chance.chance(0.7),
    })
    await live(world, 12).catch((error: unknown) => {
      throw new Error(`UNDERSTUDY_SEED=${seed}`, { cause: error })
    })
    await checkAfterCrash(world, `UNDERSTUDY_SEED=${seed}`)
  }
}, 120_000)

test('a storage that goes back in time is noticed by its writer, and the next one goes on from what is there', async () => {
  for (let round = 0; round < 12; round += 1) {
    const seed = seedFrom + round
    const world = newWorld(seed)
    const store = openStore(world)
    await create(store)
    const replica = await open(world, store)
    for (let step = 0; step < 3; step += 1) await writePoint(world, replica)
    const kept = copyAccount(world.account)
    const known = new Map(world.model.points)
    for (let step = 1 + world.random.below(3); step > 0; step -= 1) await writePoint(world, replica)
    const forgotten = [...world.model.points.keys()].filter((point) => !known.has(point))
    // The very object: the process goes on with its connections.
    world.account.blobs.clear()
    for (const [name, blob] of kept.blobs) world.account.blobs.set(name, blob)
    await expect(writePoint(world, replica), `UNDERSTUDY_SEED=${seed}`).rejects.toMatchObject({
      name: 'Outage',
      code: 'replica/went-back',
    })
    world.model.points = known
    world.model.sealing = null
    const again = await open(world, openStore(world))
    await compare(world, again)
    await writePoint(world, again)
    await compare(world, again)
    // Nothing that was confirmed once may come back with another content under the same name.
    for (const point of again.points()) expect(forgotten).not.toContain(point.id)
  }
})

function ignoreCrash(error: unknown): void {
  if (!(error instanceof Crashed)) throw error
}

/** One life of a process: opens, works, and ends in peace if it is not stopped. */
async function live(world: World, steps: number): Promise<void> {
  const store = openStore(world)
  await create(store)
  let replica = await open(world, store)
  for (let step = 0; step < steps; step += 1) {
    await writePoint(world, replica)
    const dice = world.random.below(10)
    if (dice < 3 || step === 3) await expire(world, replica)
    if (dice === 4) await hold(world, replica)
    if (dice === 5 || step === 1) await abortPoint(world, replica)
    if (dice === 6 || step === 2) resizeDisks(world)
    if (dice === 7 || step === 3) replica = await open(world, store)
  }
  await expire(world, replica)
  await replica.close()
}

const create = (store: ReplicaStore): Promise<void> =>
  store.createReplica({ id, machineName: 'machine', compress: true, encrypt: false })

async function open({ model }: World, store: ReplicaStore): Promise<Replica> {
  model.epoch += 1
  return await store.openReplica(id, model.epoch)
}

/** From the next point on. */
function resizeDisks({ model, random }: World): void {
  const grown = random.pick([40, 41, 64, 2040, 2100]) * SECTOR
  const withoutB = random.chance(0.2)
  model.disks = [{ key: a, bytes: grown }, ...(withoutB ? [] : [{ key: b, bytes: 16 * SECTOR }])]
}

async function writePoint(world: World, replica: Replica): Promise<void> {
  const { model, random } = world
  model.now += 3000
  const base = [...model.points.keys()].at(-1) ?? null
  const before = base === null ? undefined : model.points.get(base)
  const content = new Map(
    model.disks.map(({ key, bytes }) => {
      const data = Buffer.alloc(bytes)
      before?.get(key)?.copy(data)
      return [key, data]
    }),
  )
  const point = await replica.beginPoint(base, model.disks)
  try {
    for (let count = 1 + random.below(5); count > 0; count -= 1) {
      const { key, bytes } = random.pick([present(model.disks[0], 'a disk'), ...model.disks])
      const offset = random.below(bytes / SECTOR) * SECTOR
      const length = Math.min(bytes - offset, (1 + random.below(40)) * SECTOR)
      const data = random.chance(0.25) ? Buffer.alloc(length) : random.bytes(length)
      present(content.get(key), 'a disk has content').set(data, offset)
      if (random.chance(0.2)) await point.zero(key, offset, length)
      await point.write(key, offset, data)
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
  for (const { key } of model.disks) await point.write(key, 0, random.bytes(16 * SECTOR))
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

async function checkAfterCrash(world: World, where: string): Promise<void> {
  const trace = world.calls?.trace.slice(-4).join(' | ') ?? ''
  world.trouble = {}
  try {
    const store = openStore(world)
    await create(store)
    const replica = await open(world, store)
    adoptWhatMayBe(world.model, replica)
    await compare(world, replica)
    await expectNoLeftovers(world)
    await writePoint(world, replica)
    await compare(world, replica)
    await expire(world, replica)
    await compare(world, replica)
    expect((await replica.scrub({ bytesPerSecond: 0 })).damage).toEqual([])
    await replica.close()
  } catch (error) {
    throw new Error(`wrong after a crash ${where} (${trace})`, { cause: error })
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
    expect(opened.disks.map(({ key }) => key)).toEqual([...content.keys()])
    for (const { key, bytes, reader } of opened.disks) {
      const expected = present(content.get(key), 'the model has the disk')
      expect((await reader.read(0, bytes)).equals(expected), `${point} ${key}`).toBe(true)
    }
    await opened.close()
  }
}

/** What a crash left behind is swept when the next writer opens: nothing is there that nobody needs. */
async function expectNoLeftovers({ account, model }: World): Promise<void> {
  const calls = memoryCalls(account)
  const { head } = present(await loadHead(calls, id), 'the replica is there')
  const names: string[] = []
  for await (const { name, snapshot } of calls.list('replicas/', { snapshots: true }))
    names.push(snapshot === null ? name : `${name} ${snapshot}`)
  const points = names.filter((name) => name.endsWith('.json'))
  expect(points).toHaveLength(model.points.size)
  for (const name of points) expect(isSealed(head, Number(/(\d+)\.json$/.exec(name)?.[1]))).toBe(true)
  // Two blobs of a disk, each with at most one snapshot a point.
  const snapshots = names.filter((name) => name.includes(' '))
  expect(snapshots.length).toBeLessThanOrEqual(4 * model.points.size)
  expect(zeroGrains(account), 'zeros are cleared, not written').toBe(0)
}
