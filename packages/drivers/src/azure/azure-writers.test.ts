// Writers that stand still and wake up, strangers who write into the container, holds against expiry.
import { setImmediate } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointDisk, PointFacts, PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { describe, expect, test } from 'vitest'
import { replicaStoreOver } from './azure-store.ts'
import { type Gate, gatedCalls } from './emulator/gated-calls.ts'
import { type MemoryAccount, memoryAccount, memoryCalls } from './emulator/memory-calls.ts'
import { fromAzure } from './failures.ts'
import type { ListedBlob, StorageCalls } from './storage-calls.ts'

const id = 'replica' as ReplicaId
const a = 'a' as DiskKey
const b = 'b' as DiskKey
const disks: readonly PointDisk[] = [
  { key: a, bytes: 64 * 1024 },
  { key: b, bytes: 32 * 1024 },
]
const noon = Date.parse('2026-01-01T12:00:00Z')
const onlyNewest = [{ everySeconds: 0, forSeconds: 1 }]
const facts: PointFacts = {
  instant: noon,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: null,
  cycle: 'delta',
}

const brokenLine = {
  status: null,
  name: 'ECONNRESET',
  detail: '',
  retryAfterSeconds: null,
  cause: null,
}

const storeOver = (calls: StorageCalls): ReplicaStore =>
  replicaStoreOver(async () => calls, {
    clock: { now: () => noon },
    patience: { pause: async () => {}, attempts: 3 },
  })
const create = (store: ReplicaStore): Promise<void> =>
  store.createReplica({ id, machineName: 'web-1', compress: false, encrypt: false })

const newest = (replica: Replica): PointId | null => replica.points().at(-1)?.id ?? null

/** The whole of both disks is `value`. */
async function fillPoint(replica: Replica, value: number): Promise<PointId> {
  const writer = await replica.beginPoint(newest(replica), disks)
  try {
    for (const { key, bytes } of disks) await writer.write(key, 0, Buffer.alloc(bytes, value))
    return (await writer.seal({ ...facts, instant: noon + value })).id
  } catch (error) {
    await writer.abort()
    throw error
  }
}

async function expectFilled(replica: Replica, point: PointId, value: number): Promise<void> {
  const opened = await replica.openPoint(point)
  for (const { key, bytes, reader } of opened.disks)
    expect((await reader.read(0, bytes)).equals(Buffer.alloc(bytes, value)), `${point} ${key}`).toBe(true)
  await opened.close()
}

/** The handle, opened by a process that stands still at a request of the test's choosing. */
async function sleeper(account: MemoryAccount, gate: Gate): Promise<Replica> {
  return await storeOver(gatedCalls(memoryCalls(account), gate)).openReplica(id, 1)
}

describe('a writer that stands still and wakes up when another has taken over', () => {
  test('harms no point, wherever it stood: it is refused, or its point was sealed before', async () => {
    const length = await requestsOf(async (replica) => void (await fillPoint(replica, 2)))
    expect(length).toBeGreaterThan(10)
    for (let at = 1; at <= length; at += 1)
      for (const awake of ['before the next point', 'while the next point is written'] as const) {
        const account = memoryAccount()
        await create(storeOver(memoryCalls(account)))
        const gate: Gate = { at: Number.POSITIVE_INFINITY, requests: 0 }
        const old = await sleeper(account, gate)
        const first = await fillPoint(old, 1)
        gate.at = gate.requests + at
        const late = fillPoint(old, 2).then(
          (point) => ({ point, error: null }),
          (error: unknown) => ({ point: null, error }),
        )
        await gate.reached
        const current = await storeOver(memoryCalls(account)).openReplica(id, 2)
        const known = current.points().map((point) => point.id)
        const writer = await current.beginPoint(newest(current), disks)
        if (awake === 'while the next point is written') await writer.write(a, 0, Buffer.alloc(32 * 1024, 3))
        gate.open?.()
        const outcome = await late
        await writer.write(a, 0, Buffer.alloc(64 * 1024, 3))
        await writer.write(b, 0, Buffer.alloc(32 * 1024, 3))
        const third = await writer.seal(facts).catch(async (error: unknown) => {
          // The sleeper may spoil the cycle in which it wakes up. Then the next one puts everything right.
          expect(error, `at request ${at}`).toMatchObject({ name: 'Outage', code: 'azure/blob-touched' })
          return { id: await fillPoint(current, 3) }
        })
        if (outcome.point === null)
          expect(outcome.error, `at request ${at}`).toMatchObject({ code: 'replica/newer-writer' })
        else expect(known).toContain(outcome.point)
        const reader = await storeOver(memoryCalls(account)).openReplica(id, null)
        expect(reader.points().map((point) => point.id)).toEqual([...known, third.id])
        await expectFilled(reader, first, 1)
        if (known[1] !== undefined) await expectFilled(reader, known[1], 2)
        await expectFilled(reader, third.id, 3)
        expect((await reader.scrub({ bytesPerSecond: 0 })).damage).toEqual([])
      }
  })

  test('deletes nothing of its successor, in an expiry or a sweep that stood still', async () => {
    for (const work of [
      async (replica: Replica) => void (await replica.expire(onlyNewest, noon + 10_000)),
      async (_: Replica, store: ReplicaStore) => void (await store.openReplica(id, 1)),
    ]) {
      const length = await requestsOf(work)
      for (let at = 1; at <= length; at += 1) {
        const account = memoryAccount()
        await create(storeOver(memoryCalls(account)))
        const gate: Gate = { at: Number.POSITIVE_INFINITY, requests: 0 }
        const calls = gatedCalls(memoryCalls(account), gate)
        const store = storeOver(calls)
        const old = await store.openReplica(id, 1)
        await fillPoint(old, 1)
        await fillPoint(old, 2)
        gate.at = gate.requests + at
        const late = work(old, store).catch((error: unknown) => error)
        await gate.reached
        const current = await storeOver(memoryCalls(account)).openReplica(id, 2)
        const third = await fillPoint(current, 3)
        gate.open?.()
        await late
        const fourth = await fillPoint(current, 4)
        const reader = await storeOver(memoryCalls(account)).openReplica(id, null)
        await expectFilled(reader, third, 3)
        await expectFilled(reader, fourth, 4)
        expect((await reader.scrub({ bytesPerSecond: 0 })).damage).toEqual([])
      }
    }
  })
})

test('a writer that was overtaken and has looked at the newer points is refused all the same, also by its own epoch', async () => {
  for (const epoch of [1, 2]) {
    const store = storeOver(memoryCalls(memoryAccount()))
    await create(store)
    const old = await store.openReplica(id, 1)
    await fillPoint(old, 1)
    const current = await store.openReplica(id, epoch)
    const second = await fillPoint(current, 2)
    await expectFilled(old, second, 2)
    expect(newest(old)).toBe(second)
    await expect(fillPoint(old, 3)).rejects.toMatchObject({ code: 'replica/newer-writer' })
    await expect(old.expire(onlyNewest, noon + 10_000)).rejects.toMatchObject({
      code: 'replica/newer-writer',
    })
    await expectFilled(current, await fillPoint(current, 4), 4)
  }
})

describe('a list that was made before a point was sealed, and is read after', () => {
  const setUp = async () => {
    const calls = memoryCalls(memoryAccount())
    const store = storeOver(calls)
    await create(store)
    const replica = await store.openReplica(id, 1)
    await fillPoint(replica, 1)
    const { list } = calls
    const listed = Promise.withResolvers<void>()
    const read = Promise.withResolvers<void>()
    calls.list = async function* (...args) {
      const found: ListedBlob[] = []
      for await (const blob of list(...args)) found.push(blob)
      listed.resolve()
      await read.promise
      yield* found
    }
    return { replica, listed: listed.promise, read: read.resolve }
  }
  const goesOn = async (replica: Replica, point: PointId): Promise<void> => {
    expect(newest(replica)).toBe(point)
    await expectFilled(replica, point, 2)
    await expectFilled(replica, await fillPoint(replica, 3), 3)
  }

  test('does not make an expiry lose sight of it', async () => {
    const { replica, listed, read } = await setUp()
    const expiry = replica.expire(onlyNewest, noon + 10_000)
    await listed
    const point = await fillPoint(replica, 2)
    read()
    await expiry
    await goesOn(replica, point)
  })

  test('does not make a look for another point forget it', async () => {
    const { replica, listed, read } = await setUp()
    const look = replica.openPoint('000000000099' as PointId)
    await listed
    const point = await fillPoint(replica, 2)
    read()
    await expect(look).rejects.toMatchObject({ code: 'recovery-point/not-found' })
    await goesOn(replica, point)
  })
})

describe('a look at the head that meets a change of our own is no storage that went back', () => {
  const setUp = async () => {
    const calls = memoryCalls(memoryAccount())
    const store = storeOver(calls)
    await create(store)
    const replica = await store.openReplica(id, 1)
    await fillPoint(replica, 1)
    const writer = await replica.beginPoint(newest(replica), disks)
    for (const { key, bytes } of disks) await writer.write(key, 0, Buffer.alloc(bytes, 2))
    const seal = () => writer.seal({ ...facts, instant: noon + 2 })
    return { calls, replica, seal }
  }
  const isHead = (name: string): boolean => name.startsWith('heads/')
  const goesOn = async (replica: Replica, point: PointId): Promise<void> => {
    expect(newest(replica)).toBe(point)
    await expectFilled(replica, point, 2)
    expect((await replica.expire(onlyNewest, noon + 20_000)).removed).toBe(0)
    await expectFilled(replica, await fillPoint(replica, 3), 3)
  }

  test('when an expiry has read it before a seal, and hears so after', async () => {
    const { calls, replica, seal } = await setUp()
    const { get } = calls
    const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    calls.get = async (name, signal) => {
      const found = await get(name, signal)
      if (!isHead(name)) return found
      calls.get = get
      asked.resolve()
      await answered.promise
      return found
    }
    const expiry = replica.expire(onlyNewest, noon + 10_000)
    await asked.promise
    const point = await seal()
    answered.resolve()
    expect((await expiry).removed).toBe(1)
    await goesOn(replica, point.id)
  })

  test('when an expiry reads it while the answer to a seal is on its way', async () => {
    const { calls, replica, seal } = await setUp()
    const { put } = calls
    const [written, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    calls.put = async (name, ...args) => {
      const etag = await put(name, ...args)
      if (isHead(name)) {
        written.resolve()
        await answered.promise
      }
      return etag
    }
    const sealed = seal()
    await written.promise
    const expiry = replica.expire(onlyNewest, noon + 10_000).catch((error: unknown) => error)
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    answered.resolve()
    const point = await sealed
    expect(await expiry).toEqual({ removed: 1 })
    await goesOn(replica, point.id)
  })

  test('when an expiry and the next point find a lost answer at the same moment', async () => {
    const { calls, replica, seal } = await setUp()
    const { put, list } = calls
    calls.put = async (name, ...args) => {
      if (isHead(name)) throw fromAzure(brokenLine, 'write a file')
      return await put(name, ...args)
    }
    await expect(seal()).rejects.toMatchObject({ name: 'Outage', code: 'azure/unreachable' })
    calls.put = put
    const read = Promise.withResolvers<void>()
    calls.list = async function* (...args) {
      const found: ListedBlob[] = []
      for await (const blob of list(...args)) found.push(blob)
      await read.promise
      yield* found
    }
    const next = fillPoint(replica, 2)
    const expiry = replica.expire(onlyNewest, noon + 10_000)
    const point = await next
    read.resolve()
    await expiry
    await goesOn(replica, point)
  })
})

/** How many requests the work takes, after two points. */
async function requestsOf(work: (replica: Replica, store: ReplicaStore) => Promise<void>): Promise<number> {
  const account = memoryAccount()
  await create(storeOver(memoryCalls(account)))
  const gate: Gate = { at: Number.POSITIVE_INFINITY, requests: 0 }
  const store = storeOver(gatedCalls(memoryCalls(account), gate))
  const replica = await store.openReplica(id, 1)
  await fillPoint(replica, 1)
  await fillPoint(replica, 2)
  const before = gate.requests
  await work(replica, store)
  return gate.requests - before
}

test('a hold and an expiry at the same moment never lose a point that somebody was granted', async () => {
  for (let at = 1; at <= 12; at += 1) {
    const account = memoryAccount()
    const store = storeOver(memoryCalls(account))
    await create(store)
    const writer = await store.openReplica(id, 1)
    const first = await fillPoint(writer, 1)
    await fillPoint(writer, 2)
    const gate: Gate = { at, requests: 0 }
    const holder = storeOver(gatedCalls(memoryCalls(account), gate))
    const held = holder
      .openReplica(id, null)
      .then((reader) => reader.hold(first, 'run'))
      .then(
        () => true,
        () => false,
      )
    await Promise.race([gate.reached, held])
    await writer.expire(onlyNewest, noon + 10_000)
    gate.open?.()
    const granted = await held
    const after = (await storeOver(memoryCalls(account)).openReplica(id, null))
      .points()
      .map((point) => point.id)
    expect(after.includes(first), `request ${at}`).toBe(granted)
    if (granted) await expectFilled(writer, first, 1)
  }
})

test('a hold that is granted while an expiry stands still keeps the point', async () => {
  for (let at = 1; at <= 12; at += 1) {
    const account = memoryAccount()
    const gate: Gate = { at: Number.POSITIVE_INFINITY, requests: 0 }
    const store = storeOver(gatedCalls(memoryCalls(account), gate))
    await create(store)
    const writer = await store.openReplica(id, 1)
    const first = await fillPoint(writer, 1)
    await fillPoint(writer, 2)
    gate.at = gate.requests + at
    const expiry = writer.expire(onlyNewest, noon + 10_000)
    await Promise.race([gate.reached, expiry])
    const reader = await storeOver(memoryCalls(account)).openReplica(id, null)
    const granted = await reader.hold(first, 'run').then(
      () => true,
      () => false,
    )
    gate.open?.()
    await expiry
    const after = await storeOver(memoryCalls(account)).openReplica(id, null)
    expect(
      after.points().some((point) => point.id === first),
      `request ${at}`,
    ).toBe(granted)
    if (granted) await expectFilled(after, first, 1)
  }
})

describe('a stranger who writes into the container', () => {
  const setUp = async () => {
    const account = memoryAccount()
    const calls = memoryCalls(account)
    const store = storeOver(calls)
    await create(store)
    const replica = await store.openReplica(id, 1)
    const first = await fillPoint(replica, 1)
    const names = [...account.blobs.keys()]
    const blob = present(
      names.find((name) => /\/a\.[0-9a-f]+\.vhd$/.test(name)),
      'the blob of disk a',
    )
    /** As any tool would, without our conditions. */
    const scribble = async (): Promise<void> => {
      const { sequence } = present(await calls.pageFacts(blob), 'it is there')
      await calls.putPages(blob, { offset: 4096, fence: sequence, data: Buffer.alloc(512, 9) })
    }
    return { account, calls, replica, first, blob, scribble }
  }

  test('between two cycles is put right before anything else is written', async () => {
    const { replica, first, scribble } = await setUp()
    await scribble()
    const writer = await replica.beginPoint(first, disks)
    await writer.write(a, 0, Buffer.alloc(4096, 1))
    const second = await writer.seal(facts)
    await expectFilled(replica, first, 1)
    await expectFilled(replica, second.id, 1)
  })

  test('at the end of a cycle spoils that cycle and no point, and the next cycle is right', async () => {
    const { replica, first, scribble, calls, blob } = await setUp()
    const writer = await replica.beginPoint(first, disks)
    await writer.write(a, 0, Buffer.alloc(64 * 1024, 2))
    // Every page has arrived when the snapshot is asked for.
    const take = calls.takeSnapshot
    calls.takeSnapshot = async (name) => {
      if (name === blob) await scribble()
      return await take(name)
    }
    await expect(writer.seal(facts)).rejects.toMatchObject({ name: 'Outage', code: 'azure/blob-touched' })
    calls.takeSnapshot = take
    await expectFilled(replica, await fillPoint(replica, 3), 3)
    await expectFilled(replica, first, 1)
  })

  test('in the middle of a cycle is found by the sums: no wrong byte is ever returned', async () => {
    const { replica, first, scribble } = await setUp()
    const writer = await replica.beginPoint(first, disks)
    await writer.write(a, 8192, Buffer.alloc(4096, 1))
    await scribble()
    const second = await writer.seal(facts)
    await expectFilled(replica, first, 1)
    const opened = await replica.openPoint(second.id)
    const reader = present(opened.disks[0], 'disk a').reader
    await expect(reader.read(0, 16 * 1024)).rejects.toMatchObject({
      code: 'replica/damaged',
      facts: { disk: a, offset: 4096, bytes: 4096 },
    })
    expect((await reader.read(8192, 4096)).equals(Buffer.alloc(4096, 1))).toBe(true)
    const { damage } = await replica.scrub({ bytesPerSecond: 0 })
    expect(damage).toEqual([{ disk: a, offset: 4096, bytes: 4096, points: [second.id] }])
    // A resync writes it anew.
    await expectFilled(replica, await fillPoint(replica, 4), 4)
  })

  test('who puts another blob in the place of a disk, or deletes it, is found out, and older points stay as they are', async () => {
    const replaced = await setUp()
    const other = { bytes: MiB + 512, metadata: {}, fence: 1 }
    const kept = present(replaced.account.blobs.get(replaced.blob), 'it is there')
    replaced.account.blobs.delete(replaced.blob)
    await replaced.calls.createPages(replaced.blob, other)
    const stranger = present(replaced.account.blobs.get(replaced.blob), 'it is there')
    // Azure keeps the snapshots when a blob is overwritten.
    if (stranger.kind === 'paged' && kept.kind === 'paged')
      for (const [time, snapshot] of kept.snapshots) stranger.snapshots.set(time, snapshot)
    await expect(fillPoint(replaced.replica, 2)).rejects.toMatchObject({
      name: 'Refusal',
      code: 'azure/blob-replaced',
    })
    await expectFilled(replaced.replica, replaced.first, 1)

    const deleted = await setUp()
    await deleted.calls.remove(deleted.blob, {})
    await expect(fillPoint(deleted.replica, 2)).rejects.toMatchObject({
      name: 'Refusal',
      code: 'azure/blob-missing',
    })
    const opened = await deleted.replica.openPoint(deleted.first)
    const [gone, there] = opened.disks
    await expect(present(gone, 'disk a').reader.read(0, 512)).rejects.toMatchObject({
      code: 'replica/damaged',
    })
    expect((await present(there, 'disk b').reader.read(0, 512)).equals(Buffer.alloc(512, 1))).toBe(true)
  })

  test('who deletes the newest manifest is noticed when the replica is opened', async () => {
    const { account, calls } = await setUp()
    for (const name of account.blobs.keys()) if (/points\//.test(name)) await calls.remove(name, {})
    await expect(storeOver(calls).openReplica(id, null)).rejects.toMatchObject({ code: 'replica/damaged' })
  })
})

test('differences are exact without the help of page lists, which an emulator gets wrong', async () => {
  const random = seededRandom(5)
  const account = memoryAccount()
  const calls = memoryCalls(account)
  // An emulator that does not understand the question lists every page.
  calls.changedPages = async function* (from, _earlier, range) {
    for await (const extent of calls.pageRanges(from, range)) yield { ...extent, isCleared: false }
  }
  const store = storeOver(calls)
  await create(store)
  const replica = await store.openReplica(id, 1)
  const content = Buffer.alloc(64 * 1024)
  const versions: { readonly id: PointId; readonly content: Buffer }[] = []
  for (let round = 0; round < 5; round += 1) {
    const writer = await replica.beginPoint(newest(replica), disks)
    for (let count = 0; count < 3; count += 1) {
      const offset = random.below(16) * 4096
      const data = random.chance(0.3) ? Buffer.alloc(4096) : random.bytes(4096)
      data.copy(content, offset)
      await writer.write(a, offset, data)
    }
    versions.push({ id: (await writer.seal(facts)).id, content: Buffer.from(content) })
  }
  for (const from of versions)
    for (const to of versions) {
      const found: number[] = []
      for await (const { offset, bytes } of replica.difference(a, from.id, to.id))
        for (let at = offset; at < offset + bytes; at += 4096) found.push(at)
      const differing = Array.from({ length: 16 }, (_, index) => index * 4096).filter(
        (at) => from.content.compare(to.content, at, at + 4096, at, at + 4096) !== 0,
      )
      // What was written with what it held may be named too; what differs must be.
      expect(found).toEqual(expect.arrayContaining(differing))
      expect(found.length).toBeLessThanOrEqual(15)
    }
})
