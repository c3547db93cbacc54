// Random work on the journal and on a store that keeps whole copies: whole disks of all points must be equal at every step.
import { KiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointDisk, PointFacts, PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { OpenedPoint, PointWriter, Replica, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { crashFileSystem } from '@understudy/simulator/crash-file-system'
import { memoryReplicaStore } from '@understudy/simulator/memory-replica-store'
import { type SeededRandom, seededRandom } from '@understudy/simulator/seeded-random'
import { expect, test } from 'vitest'
import { openJournalStore } from './journal-store.ts'
import type { JournalLimits } from './limits.ts'

const id = 'replica' as ReplicaId
const CLUSTER = 512
const tight: Partial<JournalLimits> = {
  segmentBytes: 64 * KiB,
  syncBehindBytes: 6 * KiB,
  recordBytes: 8 * KiB,
  openFiles: 3,
  cacheBytes: 32 * KiB,
  maintenanceBytesPerSecond: 0,
  mergeLayers: 2,
  foldShare: 0.3,
  smallSegmentBytes: 16 * KiB,
  smallSegments: 2,
  runFanout: 2,
  sealsPerMaintenance: 3,
  logBytes: 4 * KiB,
  maintainBehind: false,
}

type World = {
  readonly random: SeededRandom
  readonly stores: readonly [ReplicaStore, ReplicaStore]
  replicas: readonly [Replica, Replica]
  epoch: number
  now: number
  disks: PointDisk[]
  readonly open: { readonly point: OpenedPoint; readonly content: ReadonlyMap<DiskKey, Buffer> }[]
}

type Variant = { readonly compress: boolean; readonly encrypt: boolean; readonly maintainBehind: boolean }
const variants: [string, Variant][] = [
  ['plain', { compress: false, encrypt: false, maintainBehind: false }],
  ['compressed', { compress: true, encrypt: false, maintainBehind: false }],
  ['encrypted and compressed', { compress: true, encrypt: true, maintainBehind: false }],
  ['maintained behind the writer', { compress: true, encrypt: false, maintainBehind: true }],
]

const seedFrom = Number(process.env.UNDERSTUDY_SEED ?? Date.now() % 2 ** 31)

for (const [name, variant] of variants)
  test(`a ${name} replica has the same content as a store of whole copies, whatever is done to both`, async () => {
    for (let round = 0; round < 6; round += 1) {
      const seed = seedFrom + round
      await runRound(seed, variant).catch((error: unknown) => {
        throw new Error(`UNDERSTUDY_SEED=${seed} fails`, { cause: error })
      })
    }
  })

async function runRound(seed: number, variant: Variant): Promise<void> {
  const world = await makeWorld(seed, variant)
  for (let step = 0; step < 60; step += 1) {
    await takeStep(world)
    if (step % 10 === 9) await compareAll(world)
  }
  await compareAll(world)
  const damage = await world.replicas[0].scrub({ bytesPerSecond: 0 })
  expect(damage.damage).toEqual([])
  for (const { point } of world.open) await point.close()
  for (const replica of world.replicas) await replica.close()
}

async function makeWorld(seed: number, variant: Variant): Promise<World> {
  const random = seededRandom(seed)
  const world = { now: 1_000_000_000_000 }
  const clock = { now: () => world.now }
  const journal = openJournalStore({
    folder: '/replicas',
    fs: crashFileSystem(),
    clock,
    key: () => Buffer.alloc(32, 5),
    limits: { ...tight, maintainBehind: variant.maintainBehind },
  })
  const stores = [journal, memoryReplicaStore(clock)] as const
  for (const store of stores) await store.createReplica({ id, machineName: 'machine', ...variant })
  const replicas = await openBoth(stores, 1)
  const disks = [{ key: 'a' as DiskKey, bytes: 200 * CLUSTER }]
  return Object.assign(world, { random, stores, replicas, epoch: 1, disks, open: [] })
}

const openBoth = async (
  stores: readonly [ReplicaStore, ReplicaStore],
  epoch: number,
): Promise<readonly [Replica, Replica]> => [
  await stores[0].openReplica(id, epoch),
  await stores[1].openReplica(id, epoch),
]

async function takeStep(world: World): Promise<void> {
  const { random } = world
  const dice = random.below(100)
  if (dice < 55) return writePoint(world, random.chance(0.9))
  if (dice < 62) return changeDisks(world)
  if (dice < 76) return expire(world)
  if (dice < 82) return reopen(world)
  if (dice < 88) return mark(world)
  if (dice < 94) return keepOpen(world)
  await compareDifference(world)
}

async function writePoint(world: World, seals: boolean): Promise<void> {
  const { random, replicas } = world
  world.now += 1000 + random.below(5000)
  const base = replicas[0].points().at(-1)?.id ?? null
  const writers: PointWriter[] = []
  for (const replica of replicas) writers.push(await replica.beginPoint(base, world.disks))
  for (let count = random.below(12); count > 0; count -= 1) {
    const disk = random.pick([present(world.disks[0], 'there is a disk'), ...world.disks])
    const offset = random.below(disk.bytes / CLUSTER) * CLUSTER
    const bytes = Math.min(disk.bytes - offset, (1 + random.below(48)) * CLUSTER)
    const data = random.chance(0.25) ? null : someContent(random, bytes)
    for (const writer of writers)
      await (data === null ? writer.zero(disk.key, offset, bytes) : writer.write(disk.key, offset, data))
  }
  const facts: PointFacts = {
    instant: world.now,
    consistency: 'crash',
    consistencyNote: null,
    checkpoint: `checkpoint ${world.now}`,
    cycle: 'delta',
  }
  for (const writer of writers) await (seals ? writer.seal(facts) : writer.abort())
}

/** Noise, text that compresses, and text with zeros in it. */
function someContent(random: SeededRandom, bytes: number): Buffer {
  const kind = random.below(3)
  if (kind === 0) return random.bytes(bytes)
  const data = Buffer.alloc(bytes, `text ${random.below(1000)} `)
  if (kind === 2) data.fill(0, random.below(bytes), random.below(bytes + 1))
  return data
}

async function changeDisks(world: World): Promise<void> {
  const { random } = world
  const key = random.pick(['a', 'b', 'c'] as const) as DiskKey
  const bytes = (1 + random.below(300)) * CLUSTER
  const others = world.disks.filter((disk) => disk.key !== key)
  world.disks = random.chance(0.3) && others.length > 0 ? others : [...others, { key, bytes }]
}

async function expire(world: World): Promise<void> {
  const { random, replicas, now } = world
  const tiers = random.pick([
    [{ everySeconds: 0, forSeconds: 30 }],
    [
      { everySeconds: 0, forSeconds: 10 },
      { everySeconds: 15, forSeconds: 120 },
    ],
    [
      { everySeconds: 0, forSeconds: 5 },
      { everySeconds: 20, forSeconds: 60 },
      { everySeconds: 60, forSeconds: 300 },
    ],
  ])
  const [journal, model] = [await replicas[0].expire(tiers, now), await replicas[1].expire(tiers, now)]
  expect(journal).toEqual(model)
}

async function reopen(world: World): Promise<void> {
  // Closing first ends the process; without it a second handle takes over in the same one.
  if (world.random.chance(0.5)) for (const replica of world.replicas) await replica.close()
  const before = world.replicas
  world.epoch += world.random.below(2)
  world.replicas = await openBoth(world.stores, world.epoch)
  for (const replica of before) await replica.close()
}

async function mark(world: World): Promise<void> {
  const { random, replicas } = world
  const point = replicas[0].points()[random.below(replicas[0].points().length)]
  if (point === undefined) return
  const dice = random.below(3)
  for (const replica of replicas) {
    if (dice === 0) await replica.hold(point.id, 'run/1')
    else if (dice === 1) await replica.unhold(point.id, 'run/1')
    else await replica.annotate(point.id, { pinned: !point.annotations.pinned, note: `at ${world.now}` })
  }
}

/** A point stays readable while it is open, also when it has expired meanwhile. */
async function keepOpen(world: World): Promise<void> {
  const { random, replicas, open } = world
  const oldest = open.length > 2 ? open.shift() : undefined
  if (oldest !== undefined) {
    expect(await contentOf(oldest.point)).toEqual(oldest.content)
    await oldest.point.close()
  }
  const points = replicas[0].points()
  const point = points[random.below(points.length)]
  if (point === undefined) return
  const opened = await replicas[0].openPoint(point.id)
  open.push({ point: opened, content: await contentOf(opened) })
}

async function compareDifference(world: World): Promise<void> {
  const { random, replicas } = world
  const points = replicas[0].points()
  const from = points[random.below(points.length)]
  const to = points[random.below(points.length)]
  const disk = to?.disks[0]
  if (from === undefined || to === undefined || disk === undefined) return
  const before = present(await wholePoint(replicas[1], from.id), 'the model has the point').get(disk.key)
  const after = present((await wholePoint(replicas[1], to.id)).get(disk.key), 'the model has the disk')
  const patched = Buffer.alloc(disk.bytes)
  before?.copy(patched, 0, 0, Math.min(before.length, disk.bytes))
  let cursor = 0
  for await (const { offset, bytes, kind } of replicas[0].difference(disk.key, from.id, to.id)) {
    expect(offset).toBeGreaterThanOrEqual(cursor)
    cursor = offset + bytes
    if (kind === 'data') after.copy(patched, offset, offset, offset + bytes)
    else patched.fill(0, offset, offset + bytes)
  }
  expect(patched.equals(after)).toBe(true)
}

async function compareAll({ replicas }: World): Promise<void> {
  const strip = (replica: Replica) => replica.points().map(({ storedBytes, ...rest }) => rest)
  expect(strip(replicas[0])).toEqual(strip(replicas[1]).map((point) => point))
  for (const { id: point } of replicas[0].points()) {
    const [journal, model] = [await wholePoint(replicas[0], point), await wholePoint(replicas[1], point)]
    expect([...journal.keys()]).toEqual([...model.keys()])
    for (const [key, content] of journal) expect(content.equals(present(model.get(key), key))).toBe(true)
  }
}

async function wholePoint(replica: Replica, point: PointId): Promise<Map<DiskKey, Buffer>> {
  const opened = await replica.openPoint(point)
  const content = await contentOf(opened)
  await opened.close()
  return content
}

/** In one read, and what it maps as zeros must be zeros. */
async function contentOf(opened: OpenedPoint): Promise<Map<DiskKey, Buffer>> {
  const content = new Map<DiskKey, Buffer>()
  for (const { key, bytes, reader } of opened.disks) {
    const data = await reader.read(0, bytes)
    content.set(key, data)
    let cursor = 0
    for await (const piece of reader.map?.({ offset: 0, bytes }) ?? []) {
      expect(piece.offset).toBe(cursor)
      cursor += piece.bytes
      if (piece.kind === 'zero')
        expect(data.subarray(piece.offset, cursor).every((byte) => byte === 0)).toBe(true)
    }
    expect(cursor).toBe(bytes)
  }
  return content
}
