// Several processes on one replica folder: each has a store of its own, so they share nothing but the file system.
import { KiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { type CrashFileSystem, crashFileSystem } from '@understudy/simulator/crash-file-system'
import { type SeededRandom, seededRandom } from '@understudy/simulator/seeded-random'
import { expect, test, vi } from 'vitest'
import { openJournalStore } from './journal-store.ts'

const id = 'replica' as ReplicaId
const disk = { key: 'a' as DiskKey, bytes: 64 * KiB }
const keepNothing = [{ everySeconds: 0, forSeconds: 1 }]
const LATER = 1_000_000
const seedFrom = Number(process.env.UNDERSTUDY_SEED ?? Date.now() % 2 ** 31)

type World = {
  readonly fs: CrashFileSystem
  readonly random: SeededRandom
  readonly content: Map<PointId, Buffer>
}

const newProcess = ({ fs }: World, seenFs: FileSystem = fs): ReplicaStore =>
  openJournalStore({
    folder: '/replicas',
    fs: seenFs,
    clock: { now: () => 1 },
    limits: {
      segmentBytes: 16 * KiB,
      syncBehindBytes: 6 * KiB,
      recordBytes: 4 * KiB,
      openFiles: 1,
      maintenanceBytesPerSecond: 0,
      mergeLayers: 2,
      foldShare: 0,
      smallSegments: 1,
      runFanout: 2,
      logBytes: KiB,
      maintainBehind: false,
    },
  })

async function newWorld(seed: number, points: number): Promise<{ world: World; first: Replica }> {
  const world = { fs: crashFileSystem(), random: seededRandom(seed), content: new Map() }
  const store = newProcess(world)
  await store.createReplica({ id, machineName: 'machine', compress: false, encrypt: false })
  const first = await store.openReplica(id, 1)
  for (let count = 0; count < points; count += 1) await writePoint(world, first)
  return { world, first }
}

/** The file system as a process sees it that may be killed: nothing that it asks for comes back then, and what it had not begun does not happen. */
function mortal(fs: FileSystem): { readonly fs: FileSystem; kill(): void } {
  let dead = false
  const unlessDead = <Subject extends object>(subject: Subject): Subject =>
    new Proxy(subject, {
      get(target, name) {
        const value = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return async (...request: readonly unknown[]) => {
          if (dead) return await new Promise(() => {})
          const result: unknown = await Reflect.apply(value, target, request)
          if (dead) return await new Promise(() => {})
          return name === 'open' ? unlessDead(result as FileHandle) : result
        }
      },
    })
  return {
    fs: unlessDead(fs),
    kill() {
      dead = true
    },
  }
}

async function writePoint(world: World, replica: Replica): Promise<RecoveryPoint> {
  const base = replica.points().at(-1)?.id ?? null
  const content = Buffer.from(world.content.get(base ?? ('' as PointId)) ?? Buffer.alloc(disk.bytes))
  const point = await replica.beginPoint(base, [disk])
  try {
    const offset = world.random.below(14) * 4 * KiB
    const data = world.random.bytes(8 * KiB)
    content.set(data, offset)
    await point.write(disk.key, offset, data)
    const facts = { consistency: 'crash', consistencyNote: null, checkpoint: null, cycle: 'delta' } as const
    const sealed = await point.seal({ ...facts, instant: world.content.size + 1 })
    world.content.set(sealed.id, content)
    return sealed
  } catch (error) {
    await point.abort()
    throw error
  }
}

async function expectIntact(world: World, replica: Replica): Promise<void> {
  for (const { id: point } of replica.points()) {
    const opened = await replica.openPoint(point)
    const reader = present(opened.disks[0], 'a point has its disk').reader
    expect((await reader.read(0, disk.bytes)).equals(present(world.content.get(point), point))).toBe(true)
    await opened.close()
  }
}

async function inEveryOrder(rounds: number, work: (seed: number) => Promise<void>): Promise<void> {
  for (let round = 0; round < rounds; round += 1)
    await work(seedFrom + round).catch((error: unknown) => {
      throw new Error(`UNDERSTUDY_SEED=${seedFrom + round} fails`, { cause: error })
    })
}

test('a newer writer knows every point that an older one was told is sealed, and the older one is refused', async () => {
  const outcomes = new Set<string>()
  await inEveryOrder(150, async (seed) => {
    const { world, first } = await newWorld(seed, 2)
    world.fs.shuffle(world.random.fork('order'))
    const pause = async (): Promise<void> => {
      for (let turns = world.random.below(400); turns > 0; turns -= 1) await Promise.resolve()
    }
    const [older, newer] = await Promise.allSettled([
      pause().then(() => writePoint(world, first)),
      pause().then(() => newProcess(world).openReplica(id, 2)),
    ])
    outcomes.add(older.status)
    const second = newer.status === 'fulfilled' ? newer.value : expect.fail(String(newer.reason))
    const seen = second.points().map((point) => point.id)
    if (older.status === 'fulfilled') expect(seen).toContain(older.value.id)
    else expect(older.reason).toMatchObject({ code: 'replica/newer-writer' })
    // A point of the refused seal may be there or not; whole in either case.
    if (older.status === 'rejected' && seen.length === 3) return
    await expectIntact(world, second)
    await expect(writePoint(world, first)).rejects.toMatchObject({ code: 'replica/newer-writer' })
    await expect(first.expire(keepNothing, LATER)).rejects.toMatchObject({ code: 'replica/newer-writer' })
    await writePoint(world, second)
    await second.expire(keepNothing, LATER)
    await expectIntact(world, second)
  })
  expect([...outcomes].sort()).toEqual(['fulfilled', 'rejected'])
})

test.each(['at once', 'after the next point'])(
  'a seal whose look at the epochs fails spoils nothing for whoever takes over %s',
  async (when) => {
    const { world, first } = await newWorld(1, 0)
    const point = await first.beginPoint(null, [disk])
    const data = world.random.bytes(disk.bytes)
    await point.write(disk.key, 0, data)
    world.fs.failNext('list /replicas/replica/epochs')
    const facts = { consistency: 'crash', consistencyNote: null, checkpoint: null, cycle: 'seed' } as const
    await expect(point.seal({ ...facts, instant: 1 })).rejects.toMatchObject({ name: 'Outage' })
    await point.abort()
    if (when === 'after the next point') await writePoint(world, first)
    // Nobody was told that the point exists. It may, and is whole then.
    else world.content.set('000000000001' as PointId, data)
    await expectIntact(world, await newProcess(world).openReplica(id, 2))
  },
)

test('a sync behind the copy that fails fails its point, although the sync of the seal would succeed', async () => {
  const { world, first } = await newWorld(1, 1)
  const point = await first.beginPoint(present(first.points()[0], 'the first point').id, [disk])
  world.fs.failNext('sync /replicas/replica/segments')
  await point.write(disk.key, 0, world.random.bytes(8 * KiB))
  const facts = { consistency: 'crash', consistencyNote: null, checkpoint: null, cycle: 'delta' } as const
  await expect(point.seal({ ...facts, instant: 2 })).rejects.toMatchObject({ name: 'Outage' })
  await point.abort()
  await writePoint(world, first)
  expect((await newProcess(world).openReplica(id, 2)).points()).toHaveLength(2)
})

test('a writer that was overtaken while it merges deletes no file of its successor', async () => {
  await inEveryOrder(80, async (seed) => {
    const { world, first } = await newWorld(seed, 6)
    world.fs.shuffle(world.random.fork('order'))
    const takeOver = async (): Promise<Replica> => {
      for (let turns = world.random.below(600); turns > 0; turns -= 1) await Promise.resolve()
      const replica = await newProcess(world).openReplica(id, 2)
      for (let count = 0; count < 3; count += 1) await writePoint(world, replica)
      return replica
    }
    const [, newer] = await Promise.allSettled([first.expire(keepNothing, LATER), takeOver()])
    const second = newer.status === 'fulfilled' ? newer.value : expect.fail(String(newer.reason))
    await first.close()
    await expectIntact(world, second)
    await expectIntact(world, await newProcess(world).openReplica(id, null))
  })
})

test('an aborted point of an overtaken writer takes no file of its successor with it', async () => {
  const { world, first } = await newWorld(1, 1)
  const stale = await first.beginPoint(present(first.points()[0], 'a point').id, [disk])
  await stale.write(disk.key, 0, Buffer.alloc(4 * KiB, 1))
  const second = await newProcess(world).openReplica(id, 2)
  await writePoint(world, second)
  await stale.abort()
  await first.close()
  await expectIntact(world, await newProcess(world).openReplica(id, null))
})

test('an older epoch is refused when it opens, and the same epoch may come again', async () => {
  const { world } = await newWorld(1, 1)
  await newProcess(world).openReplica(id, 5)
  await newProcess(world).openReplica(id, 5)
  await expect(newProcess(world).openReplica(id, 4)).rejects.toMatchObject({ code: 'replica/newer-writer' })
})

test('a claim outlives a crash: an older epoch is refused afterwards as well', async () => {
  await inEveryOrder(20, async (seed) => {
    const { world } = await newWorld(seed, 1)
    await newProcess(world).openReplica(id, 5)
    world.fs.restart(world.random)
    await expect(newProcess(world).openReplica(id, 4)).rejects.toMatchObject({ code: 'replica/newer-writer' })
    expect((await newProcess(world).openReplica(id, 5)).points().length).toBe(1)
  })
})

test('a log that is damaged in the middle is refused rather than read without the line', async () => {
  const { world, first } = await newWorld(1, 2)
  const [log] = world.fs.files('/replicas/replica/log')
  await first.close()
  world.fs.damage(`/replicas/replica/log/${log}`, 100)
  await expect(newProcess(world).openReplica(id, null)).rejects.toMatchObject({ code: 'replica/damaged' })
  await expect(newProcess(world).openReplica(id, 2)).rejects.toMatchObject({ code: 'replica/damaged' })
})

test('a hold that was granted keeps its point, whatever another process drops at that moment', async () => {
  const outcomes = new Set<string>()
  await inEveryOrder(300, async (seed) => {
    const { world, first } = await newWorld(seed, 4)
    const reader = await newProcess(world).openReplica(id, null)
    const wanted = present(reader.points()[1], 'a point').id
    world.fs.shuffle(world.random.fork('order'))
    const holding = async (): Promise<void> => {
      for (let turns = world.random.below(250); turns > 0; turns -= 1) await Promise.resolve()
      await reader.hold(wanted, 'test failover')
    }
    const [held] = await Promise.allSettled([holding(), first.expire(keepNothing, LATER)])
    outcomes.add(held.status)
    const there = first.points().some((point) => point.id === wanted)
    if (held.status === 'fulfilled') expect(there).toBe(true)
    else expect(held.reason).toMatchObject({ code: 'recovery-point/not-found' })
    await first.expire(keepNothing, LATER)
    await expectIntact(world, first)
  })
  expect([...outcomes].sort()).toEqual(['fulfilled', 'rejected'])
})

test('a hold that was granted keeps its point although the process that drops points is killed meanwhile', async () => {
  const outcomes = new Set<string>()
  await inEveryOrder(300, async (seed) => {
    const { world } = await newWorld(seed, 4)
    const process = mortal(world.fs)
    const expiring = await newProcess(world, process.fs).openReplica(id, 2)
    const reader = await newProcess(world).openReplica(id, null)
    const wanted = present(reader.points()[1], 'a point').id
    world.fs.shuffle(world.random.fork('order'))
    const after = async (turns: number): Promise<void> => {
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    }
    const killed = after(world.random.below(300)).then(() => process.kill())
    void expiring.expire(keepNothing, LATER)
    await after(world.random.below(150))
    const holding = reader.hold(wanted, 'test failover').then(
      () => 'held',
      (error: unknown) => error,
    )
    await killed
    // Nobody decides any more; whoever takes over does.
    const next = await newProcess(world).openReplica(id, 3)
    const held = await holding
    outcomes.add(held === 'held' ? held : 'gone')
    if (held !== 'held') expect(held).toMatchObject({ code: 'recovery-point/not-found' })
    await next.expire(keepNothing, LATER)
    await expectIntact(world, next)
    const there = next.points().some((point) => point.id === wanted)
    if (held === 'held') expect(there).toBe(true)
  })
  expect([...outcomes].sort()).toEqual(['gone', 'held'])
})

test('points that an expiry was about to drop when it was killed can be held again as soon as somebody takes over', async () => {
  const { world } = await newWorld(5, 4)
  const process = mortal(world.fs)
  const expiring = await newProcess(world, process.fs).openReplica(id, 2)
  const wanted = present(expiring.points()[1], 'a point').id
  // The second look for holds is what follows the mark.
  const { list } = world.fs
  let looks = 0
  vi.spyOn(world.fs, 'list').mockImplementation(async (folder) => {
    if (folder.endsWith('/holds')) looks += 1
    if (looks === 2) process.kill()
    return await list.call(world.fs, folder)
  })
  void expiring.expire(keepNothing, LATER)
  while (looks < 2) await new Promise((resolve) => setImmediate(resolve))
  vi.restoreAllMocks()
  const reader = await newProcess(world).openReplica(id, null)
  expect(reader.points().map((point) => point.id)).toContain(wanted)
  const opened = await reader.openPoint(wanted)
  await opened.close()
  await expect(reader.hold(wanted, 'test failover')).rejects.toMatchObject({ code: 'recovery-point/leaving' })
  const next = await newProcess(world).openReplica(id, 3)
  await reader.hold(wanted, 'test failover')
  await next.expire(keepNothing, LATER)
  expect(next.points().map((point) => point.id)).toContain(wanted)
})

test('a point that is open in another process stays readable while its records move', async () => {
  const { world, first } = await newWorld(3, 8)
  const reader = await newProcess(world).openReplica(id, null)
  const point = present(reader.points()[5], 'a point').id
  await reader.hold(point, 'test failover')
  const opened = await reader.openPoint(point)
  const before = new Set(world.fs.files('/replicas/replica/segments'))
  await first.expire(keepNothing, LATER)
  await writePoint(world, first)
  await first.expire(keepNothing, LATER)
  expect(world.fs.files('/replicas/replica/segments').some((name) => before.has(name))).toBe(false)
  const content = await present(opened.disks[0], 'a disk').reader.read(0, disk.bytes)
  expect(content.equals(present(world.content.get(point), 'known content'))).toBe(true)
})

test('a process that has not looked for long opens a point whose records have moved', async () => {
  const { world, first } = await newWorld(3, 8)
  const reader = await newProcess(world).openReplica(id, null)
  const point = present(reader.points().at(-1), 'a point').id
  await first.expire(keepNothing, LATER)
  const opened = await reader.openPoint(point)
  const content = await present(opened.disks[0], 'a disk').reader.read(0, disk.bytes)
  expect(content.equals(present(world.content.get(point), 'known content'))).toBe(true)
})

test('a seal that failed on the log is settled before its files go: a crash afterwards finds the point whole or not at all', async () => {
  await inEveryOrder(60, async (seed) => {
    const { world, first } = await newWorld(seed, 2)
    world.fs.failNext('sync /replicas/replica/log')
    await expect(writePoint(world, first)).rejects.toMatchObject({ code: 'replica/disk-failed' })
    world.fs.restart(world.random)
    const replica = await newProcess(world).openReplica(id, 2)
    expect(replica.points().length).toBeGreaterThanOrEqual(2)
    for (const { id: point } of replica.points()) {
      const opened = await replica.openPoint(point)
      await present(opened.disks[0], 'a disk').reader.read(0, disk.bytes)
      await opened.close()
    }
  })
})

test('after a failed seal the same writer goes on from the point before', async () => {
  const { world, first } = await newWorld(1, 2)
  world.fs.failNext('sync /replicas/replica/log')
  await expect(writePoint(world, first)).rejects.toMatchObject({ code: 'replica/disk-failed' })
  await writePoint(world, first)
  await first.close()
  const again = await newProcess(world).openReplica(id, 2)
  expect(again.points().length).toBe(3)
  await expectIntact(world, again)
})
