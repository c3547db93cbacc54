// What every replica store must do. The oracle is a whole disk in memory beside every point.
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { GroupId, ReplicaId } from '@understudy/domain/protection/protection'
import type {
  CutId,
  PointDisk,
  PointFacts,
  PointId,
  RecoveryPoint,
} from '@understudy/domain/recovery-points/recovery-point'
import type { PointWriter, Replica, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type SeededRandom, seededRandom } from '../seeded-random.ts'

/** An empty store for one test. */
export type ReplicaStoreHarness = {
  readonly store: ReplicaStore
  /** A new process over the same data; the old one is dead and closes nothing. */
  restart(): Promise<ReplicaStore>
  close(): Promise<void>
}

const KiB = 1024
const MiB = 1024 * KiB
const noon = Date.parse('2026-01-01T12:00:00Z')
const hour = 3_600_000
const id = 'replica-1' as ReplicaId
const a = 'disk-a' as DiskKey
const b = 'disk-b' as DiskKey
const facts = (change: Partial<PointFacts> = {}): PointFacts => ({
  instant: noon,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: 'mark-1',
  cycle: 'delta',
  ...change,
})

export function replicaStoreContract(name: string, make: () => Promise<ReplicaStoreHarness>): void {
  describe(`replica store: ${name}`, () => {
    let harness: ReplicaStoreHarness
    let store: ReplicaStore
    let opened: Replica[] = []
    beforeEach(async () => {
      harness = await make()
      opened = []
      store = remembering(harness.store, opened)
    })
    afterEach(async () => {
      // Those of a process that died as well: dead or not, it is this process that has their files open.
      for (const replica of opened) await replica.close()
      await harness.close()
    })
    const tools: Tools = {
      store: () => store,
      async restart() {
        store = remembering(await harness.restart(), opened)
      },
      async create(epoch = 1) {
        await store.createReplica({ id, machineName: 'web-1', compress: true, encrypt: false })
        return await store.openReplica(id, epoch)
      },
    }
    replicaTests(tools)
    contentTests(tools)
    sealTests(tools)
    epochTests(tools)
    differenceTests(tools)
    annotationTests(tools)
    expiryTests(tools)
    measureTests(tools)
  })
}

const remembering = (store: ReplicaStore, opened: Replica[]): ReplicaStore => ({
  encrypts: store.encrypts,
  createReplica: (spec) => store.createReplica(spec),
  exists: (replicaId) => store.exists(replicaId),
  deleteReplica: (replicaId) => store.deleteReplica(replicaId),
  list: () => store.list(),
  freeBytes: () => store.freeBytes(),
  async openReplica(replicaId, epoch) {
    const replica = await store.openReplica(replicaId, epoch)
    opened.push(replica)
    return replica
  },
})

type Tools = {
  store(): ReplicaStore
  restart(): Promise<void>
  /** Makes the replica if need be and opens it for writing. */
  create(epoch?: number): Promise<Replica>
}

type Content = ReadonlyMap<DiskKey, Buffer>

const newestId = (replica: Replica): PointId | null =>
  (replica.unfinished() ?? replica.points().at(-1))?.id ?? null

const disksOf = (content: Content): PointDisk[] =>
  [...content].map(([key, data]) => ({ key, bytes: data.length }))

/** Seals one more point; `write` says what is written, `disks` which there are now (as in the newest point by default). */
async function sealPoint(
  replica: Replica,
  write: (writer: PointWriter) => Promise<void>,
  options: { readonly disks?: readonly PointDisk[]; readonly facts?: Partial<PointFacts> } = {},
): Promise<RecoveryPoint> {
  const disks = options.disks ??
    (replica.unfinished() ?? replica.points().at(-1))?.disks ?? [{ key: a, bytes: MiB }]
  const writer = await replica.beginPoint(newestId(replica), disks)
  await write(writer)
  return await writer.seal(facts(options.facts))
}

async function readPoint(replica: Replica, point: PointId): Promise<Content> {
  const opened = await replica.openPoint(point)
  try {
    const content = new Map<DiskKey, Buffer>()
    for (const { key, bytes, reader } of opened.disks) {
      expect(reader.bytes).toBe(bytes)
      content.set(key, await reader.read(0, bytes))
    }
    return content
  } finally {
    await opened.close()
  }
}

/** Whole-disk equality. Names the disk and the first wrong byte, since a million bytes are no message. */
function expectSame(found: Content, expected: Content): void {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [key, data] of expected) {
    const other = present(found.get(key), 'the disk is there')
    expect(other.length, `size of ${key}`).toBe(data.length)
    const wrong = data.equals(other) ? null : data.findIndex((byte, index) => byte !== other[index])
    expect(wrong, `first wrong byte of ${key}`).toBeNull()
  }
}

const filled = (bytes: number, value: number): Buffer => Buffer.alloc(bytes, value)

function replicaTests({ store, restart, create }: Tools): void {
  test('creating a replica again leaves it as it is', async () => {
    const replica = await create()
    await sealPoint(replica, (writer) => writer.write(a, 0, filled(4096, 1)))
    await replica.close()
    const again = await create()
    expect(again.points()).toHaveLength(1)
  })
  test('a replica exists, is listed, and can be deleted with everything in it', async () => {
    const replica = await create()
    await sealPoint(replica, (writer) => writer.write(a, 0, filled(4096, 1)))
    await replica.close()
    expect(await store().exists(id)).toBe(true)
    expect(await store().list()).toEqual([id])
    await store().deleteReplica(id)
    expect(await store().exists(id)).toBe(false)
    expect(await store().list()).toEqual([])
    await expect(store().openReplica(id, null)).rejects.toThrow()
    expect((await create()).points()).toEqual([])
  })
  test('two replicas do not disturb each other', async () => {
    const first = await create()
    const other = 'replica-2' as ReplicaId
    await store().createReplica({ id: other, machineName: 'db-1', compress: false, encrypt: false })
    const second = await store().openReplica(other, 1)
    await sealPoint(first, (writer) => writer.write(a, 0, filled(4096, 1)))
    await sealPoint(second, (writer) => writer.write(a, 0, filled(4096, 2)))
    await store().deleteReplica(other)
    expectSame(
      await readPoint(first, present(newestId(first), 'sealed')),
      new Map([[a, grown(filled(4096, 1), MiB)]]),
    )
  })
  test('points and their content are there after a restart', async () => {
    const replica = await create()
    const points = [
      await sealPoint(replica, (writer) => writer.write(a, 0, filled(4096, 1))),
      await sealPoint(replica, (writer) => writer.write(a, 4096, filled(4096, 2))),
    ]
    const before = await Promise.all(points.map((point) => readPoint(replica, point.id)))
    await restart()
    const reopened = await store().openReplica(id, 2)
    expect(reopened.points()).toEqual(points)
    for (const [index, point] of points.entries())
      expectSame(await readPoint(reopened, point.id), present(before[index], 'read before'))
  })
}

const grown = (data: Buffer, bytes: number): Buffer => Buffer.concat([data.subarray(0, bytes)], bytes)

function contentTests({ create, restart, store }: Tools): void {
  test('a first point holds what was written and zeros everywhere else, on every disk', async () => {
    const replica = await create()
    const disks = [
      { key: a, bytes: MiB },
      { key: b, bytes: 3 * 512 * KiB },
    ]
    const point = await sealPoint(replica, (writer) => writer.write(b, 64 * KiB, filled(8192, 7)), { disks })
    const expectedB = Buffer.alloc(3 * 512 * KiB)
    expectedB.fill(7, 64 * KiB, 64 * KiB + 8192)
    expectSame(
      await readPoint(replica, point.id),
      new Map([
        [a, Buffer.alloc(MiB)],
        [b, expectedB],
      ]),
    )
  })

  test('what a point does not write keeps the content of the one before, and older points never change', async () => {
    const random = seededRandom(7)
    const replica = await create()
    const expected: { readonly id: PointId; readonly content: Content }[] = []
    let content: Content = new Map([
      [a, Buffer.alloc(MiB)],
      [b, Buffer.alloc(256 * KiB)],
    ])
    for (let index = 0; index < 12; index += 1) {
      const next = copyOf(content)
      const point = await sealPoint(replica, (writer) => writeAtRandom(writer, next, random), {
        disks: disksOf(next),
      })
      content = next
      expected.push({ id: point.id, content })
    }
    for (const point of expected) expectSame(await readPoint(replica, point.id), point.content)
    await restart()
    const reopened = await store().openReplica(id, 2)
    for (const point of expected) expectSame(await readPoint(reopened, point.id), point.content)
  })

  test('any part of a point can be read, from any offset, many at once', async () => {
    const random = seededRandom(8)
    const replica = await create()
    const content = new Map([[a, Buffer.alloc(MiB)]])
    let point = await sealPoint(replica, (writer) => writeAtRandom(writer, content, random))
    for (let index = 0; index < 3; index += 1)
      point = await sealPoint(replica, (writer) => writeAtRandom(writer, content, random))
    const opened = await replica.openPoint(point.id)
    const disk = present(opened.disks[0], 'one disk')
    const data = present(content.get(a), 'disk a')
    const reads = Array.from({ length: 64 }, async () => {
      const offset = random.below(MiB - 1)
      const bytes = 1 + random.below(Math.min(100 * KiB, MiB - offset))
      const read = await disk.reader.read(offset, bytes)
      expect(read.equals(data.subarray(offset, offset + bytes)), `${bytes} bytes at ${offset}`).toBe(true)
    })
    await Promise.all(reads)
    await opened.close()
  })

  test('zeros are content: they cover what was there', async () => {
    const replica = await create()
    await sealPoint(replica, (writer) => writer.write(a, 0, filled(MiB, 5)))
    const point = await sealPoint(replica, (writer) => writer.zero(a, 128 * KiB, 512 * KiB))
    const expected = filled(MiB, 5)
    expected.fill(0, 128 * KiB, 640 * KiB)
    expectSame(await readPoint(replica, point.id), new Map([[a, expected]]))
    const opened = await replica.openPoint(point.id)
    const reader = present(opened.disks[0], 'one disk').reader
    if (reader.map) {
      let at = 0
      for await (const extent of reader.map({ offset: 0, bytes: MiB })) {
        expect(extent.offset, 'the pieces have no gaps').toBe(at)
        at += extent.bytes
        if (extent.kind === 'zero')
          expect(
            expected.subarray(extent.offset, at).every((byte) => byte === 0),
            `zeros at ${extent.offset}`,
          ).toBe(true)
      }
      expect(at, 'the pieces add up').toBe(MiB)
    }
    await opened.close()
  })

  test('a write over zeros and zeros over a write: the later one wins', async () => {
    const replica = await create()
    const point = await sealPoint(replica, async (writer) => {
      await writer.write(a, 0, filled(64 * KiB, 1))
      await writer.zero(a, 16 * KiB, 16 * KiB)
      await writer.write(a, 20 * KiB, filled(4 * KiB, 2))
    })
    const expected = Buffer.alloc(MiB)
    expected
      .fill(1, 0, 64 * KiB)
      .fill(0, 16 * KiB, 32 * KiB)
      .fill(2, 20 * KiB, 24 * KiB)
    expectSame(await readPoint(replica, point.id), new Map([[a, expected]]))
  })

  test('writes of single sectors are exact', async () => {
    const replica = await create()
    await sealPoint(replica, (writer) => writer.write(a, 0, filled(64 * KiB, 9)))
    const point = await sealPoint(replica, async (writer) => {
      await writer.write(a, 512, filled(512, 1))
      await writer.write(a, 4096 - 512, filled(1024, 2))
      await writer.zero(a, 8192 + 1024, 512)
    })
    const expected = Buffer.alloc(MiB)
    expected
      .fill(9, 0, 64 * KiB)
      .fill(1, 512, 1024)
      .fill(2, 3584, 4608)
      .fill(0, 9216, 9728)
    expectSame(await readPoint(replica, point.id), new Map([[a, expected]]))
  })

  test('many writes at once all arrive', async () => {
    const replica = await create()
    const expected = Buffer.alloc(MiB)
    const point = await sealPoint(replica, async (writer) => {
      const pieces = Array.from({ length: 64 }, (_, index) => index)
      await Promise.all(
        pieces.map((index) => {
          expected.fill(index + 1, index * 16 * KiB, index * 16 * KiB + 12 * KiB)
          return writer.write(a, index * 16 * KiB, filled(12 * KiB, index + 1))
        }),
      )
    })
    expectSame(await readPoint(replica, point.id), new Map([[a, expected]]))
  })

  test('a buffer that was handed over may be changed once the write has resolved', async () => {
    const replica = await create()
    const data = filled(8192, 1)
    const point = await sealPoint(replica, async (writer) => {
      await writer.write(a, 0, data)
      data.fill(2)
    })
    expectSame(await readPoint(replica, point.id), new Map([[a, grown(filled(8192, 1), MiB)]]))
  })

  test('a larger disk keeps its content and gets zeros, a smaller one keeps what fits, older points keep their size', async () => {
    const replica = await create()
    const first = await sealPoint(replica, (writer) => writer.write(a, 0, filled(MiB, 3)))
    const larger = await sealPoint(replica, async () => {}, { disks: [{ key: a, bytes: 2 * MiB }] })
    const smaller = await sealPoint(replica, async () => {}, { disks: [{ key: a, bytes: 512 * KiB }] })
    const regrown = await sealPoint(replica, async () => {}, { disks: [{ key: a, bytes: MiB }] })
    expectSame(await readPoint(replica, first.id), new Map([[a, filled(MiB, 3)]]))
    expectSame(await readPoint(replica, larger.id), new Map([[a, grown(filled(MiB, 3), 2 * MiB)]]))
    expectSame(await readPoint(replica, smaller.id), new Map([[a, filled(512 * KiB, 3)]]))
    expectSame(await readPoint(replica, regrown.id), new Map([[a, grown(filled(512 * KiB, 3), MiB)]]))
  })

  test('a new disk starts as zeros, and a removed one stays in the points that had it', async () => {
    const replica = await create()
    const both = [
      { key: a, bytes: MiB },
      { key: b, bytes: 512 * KiB },
    ]
    const first = await sealPoint(replica, (writer) => writer.write(a, 0, filled(4096, 1)))
    const second = await sealPoint(replica, (writer) => writer.write(b, 4096, filled(4096, 2)), {
      disks: both,
    })
    const third = await sealPoint(replica, async () => {}, { disks: [{ key: a, bytes: MiB }] })
    const fourth = await sealPoint(replica, async () => {}, { disks: both })
    const diskA = grown(filled(4096, 1), MiB)
    const diskB = Buffer.alloc(512 * KiB).fill(2, 4096, 8192)
    expectSame(await readPoint(replica, first.id), new Map([[a, diskA]]))
    expectSame(
      await readPoint(replica, second.id),
      new Map([
        [a, diskA],
        [b, diskB],
      ]),
    )
    expectSame(await readPoint(replica, third.id), new Map([[a, diskA]]))
    expectSame(
      await readPoint(replica, fourth.id),
      new Map([
        [a, diskA],
        [b, Buffer.alloc(512 * KiB)],
      ]),
    )
  })

  test('a disk whose size is no whole number of grains is exact to its last sector', async () => {
    const replica = await create()
    const bytes = 64 * KiB + 512
    const disks = [{ key: a, bytes }]
    const point = await sealPoint(replica, (writer) => writer.write(a, 64 * KiB, filled(512, 4)), { disks })
    const expected = Buffer.alloc(bytes)
    expected.fill(4, 64 * KiB)
    expectSame(await readPoint(replica, point.id), new Map([[a, expected]]))
  })
}

const copyOf = (content: Content): Map<DiskKey, Buffer> =>
  new Map([...content].map(([key, data]) => [key, Buffer.from(data)]))

/** The same writes into the point and into the expectation. */
async function writeAtRandom(writer: PointWriter, content: Content, random: SeededRandom): Promise<void> {
  for (const [key, data] of content)
    for (let index = 0; index < 6; index += 1) {
      const sectors = data.length / 512
      const offset = random.below(sectors) * 512
      const bytes = Math.min(data.length - offset, (1 + random.below(96)) * 512)
      if (random.chance(0.3)) {
        await writer.zero(key, offset, bytes)
        data.fill(0, offset, offset + bytes)
      } else {
        const written = random.chance(0.5) ? random.bytes(bytes) : filled(bytes, 1 + random.below(255))
        await writer.write(key, offset, written)
        written.copy(data, offset)
      }
    }
}

function sealTests({ create, restart, store }: Tools): void {
  test('a sealed point says what it was told, is listed from old to new, and its ids sort by age', async () => {
    const replica = await create()
    const told = facts({ instant: noon + 5, consistency: 'application', checkpoint: null, cycle: 'seed' })
    const first = await sealPoint(replica, (writer) => writer.write(a, 0, filled(4096, 1)), { facts: told })
    expect(first).toMatchObject({ ...told, disks: [{ key: a, bytes: MiB }], annotations: {}, heldBy: [] })
    expect(first.changedBytes).toBeGreaterThanOrEqual(4096)
    const noted = { consistency: 'crash', consistencyNote: 'No agent' } as const
    const second = await sealPoint(replica, async () => {}, { facts: noted })
    expect(second).toMatchObject(noted)
    expect(second.changedBytes).toBe(0)
    expect(replica.points()).toEqual([first, second])
    expect(second.id > first.id).toBe(true)
  })
  test('a point says with which others it was taken, also to the next process, and one taken alone says nothing', async () => {
    const replica = await create()
    const group = { id: 'group-1' as GroupId, cut: 'cut-1' as CutId }
    const marked = await sealPoint(replica, async () => {}, { facts: facts({ group }) })
    const alone = await sealPoint(replica, async () => {})
    expect(marked.group).toEqual(group)
    expect(alone).not.toHaveProperty('group')
    await restart()
    expect((await store().openReplica(id, 2)).points()).toEqual([marked, alone])
  })
  test('an unfinished copy outlives a restart, is no recovery point, and is what the next one is written on', async () => {
    const replica = await create()
    expect(replica.unfinished()).toBeNull()
    const write = (at: number, byte: number) => (writer: PointWriter) =>
      writer.write(a, at, filled(8192, byte))
    const part = await sealPoint(replica, write(0, 1), { facts: facts({ unfinished: 'up to 8192' }) })
    const lost = await replica.beginPoint(part.id, part.disks)
    await lost.write(a, 0, filled(4096, 9))
    await restart()
    const reopened = await store().openReplica(id, 2)
    expect(reopened.points()).toEqual([])
    expect(reopened.unfinished()).toEqual(part)
    expect(part.unfinished).toBe('up to 8192')
    expect(await reopened.usage()).toMatchObject({ pointCount: 0, oldestInstant: null, newestInstant: null })
    expectSame(await readPoint(reopened, part.id), new Map([[a, grown(filled(8192, 1), MiB)]]))
    const more = await sealPoint(reopened, write(8192, 2), { facts: facts({ unfinished: 'up to 16384' }) })
    expect(reopened.unfinished()).toEqual(more)
    const reader = await store().openReplica(id, null)
    expect([reader.points(), reader.unfinished()]).toEqual([[], more])
    await reader.close()
    const point = await sealPoint(reopened, write(16384, 3))
    expect(reopened.points()).toEqual([point])
    expect(reopened.unfinished()).toBeNull()
    expect(point).not.toHaveProperty('unfinished')
    expect([part, more, point].map(({ changedBytes }) => changedBytes)).toEqual([8192, 16384, 24576])
    expect(point.storedBytes).toBeGreaterThan(more.storedBytes)
    // Whatever the tiers would keep of their age.
    const { removed } = await reopened.expire([{ everySeconds: 0, forSeconds: 1e9 }], point.instant)
    expect(removed).toBe(2)
    const whole = grown(Buffer.concat([filled(8192, 1), filled(8192, 2), filled(8192, 3)]), MiB)
    expectSame(await readPoint(reopened, point.id), new Map([[a, whole]]))
    await restart()
    expect((await store().openReplica(id, 3)).points()).toEqual([point])
  })
  test('an expiry leaves the unfinished copy that is the newest, however old it is', async () => {
    const replica = await create()
    const part = await sealPoint(replica, (writer) => writer.write(a, 0, filled(8192, 1)), {
      facts: facts({ unfinished: 'half' }),
    })
    expect(await replica.expire([], part.instant + 1e12)).toEqual({ removed: 0 })
    expect(replica.unfinished()).toEqual(part)
  })
  test('nothing of a point is visible before it is sealed', async () => {
    const replica = await create()
    const first = await sealPoint(replica, (writer) => writer.write(a, 0, filled(8192, 1)))
    const writer = await replica.beginPoint(first.id, first.disks)
    await writer.write(a, 0, filled(4096, 2))
    expect(replica.points()).toEqual([first])
    const reader = await store().openReplica(id, null)
    expect(reader.points()).toEqual([first])
    expectSame(await readPoint(reader, first.id), new Map([[a, grown(filled(8192, 1), MiB)]]))
    await reader.close()
    await writer.abort()
  })
  test('an aborted point leaves nothing behind, and aborting again or after a seal does no harm', async () => {
    const replica = await create()
    const first = await sealPoint(replica, (writer) => writer.write(a, 0, filled(8192, 1)))
    const aborted = await replica.beginPoint(first.id, first.disks)
    await aborted.write(a, 0, filled(8192, 2))
    await aborted.abort()
    await aborted.abort()
    const writer = await replica.beginPoint(first.id, first.disks)
    await writer.write(a, 4096, filled(4096, 3))
    const second = await writer.seal(facts())
    await writer.abort()
    expect(replica.points()).toEqual([first, second])
    const expected = grown(filled(4096, 1), MiB)
    expected.fill(3, 4096, 8192)
    expectSame(await readPoint(replica, second.id), new Map([[a, expected]]))
  })
  test('what a killed process wrote without sealing is gone after a restart', async () => {
    const replica = await create()
    const first = await sealPoint(replica, (writer) => writer.write(a, 0, filled(8192, 1)))
    const writer = await replica.beginPoint(first.id, first.disks)
    await writer.write(a, 0, filled(MiB, 2))
    await restart()
    const reopened = await store().openReplica(id, 2)
    expect(reopened.points()).toEqual([first])
    const second = await sealPoint(reopened, async () => {})
    expectSame(await readPoint(reopened, second.id), new Map([[a, grown(filled(8192, 1), MiB)]]))
  })
  test('one point is written at a time', async () => {
    const replica = await create()
    const writer = await replica.beginPoint(null, [{ key: a, bytes: MiB }])
    await expect(replica.beginPoint(null, [{ key: a, bytes: MiB }])).rejects.toThrow()
    await writer.abort()
    await (await replica.beginPoint(null, [{ key: a, bytes: MiB }])).abort()
  })
  test('a point builds on the newest one and on no other', async () => {
    const replica = await create()
    const first = await sealPoint(replica, async () => {})
    const second = await sealPoint(replica, async () => {})
    await expect(replica.beginPoint(first.id, first.disks)).rejects.toThrow()
    await expect(replica.beginPoint(null, first.disks)).rejects.toThrow()
    await (await replica.beginPoint(second.id, second.disks)).abort()
  })
  test('a point that is not there cannot be opened', async () => {
    const replica = await create()
    await expect(replica.openPoint('000000000099' as PointId)).rejects.toThrow()
  })
}

function epochTests({ create, restart, store }: Tools): void {
  const newerWriter = { code: 'replica/newer-writer' }
  test('an older epoch cannot open for writing, also after a restart', async () => {
    await create(5)
    await expect(store().openReplica(id, 4)).rejects.toMatchObject(newerWriter)
    await restart()
    await expect(store().openReplica(id, 4)).rejects.toMatchObject(newerWriter)
    await store().openReplica(id, 6)
  })
  test('a writer is refused at its seal when a newer epoch has come, and its point stays invisible', async () => {
    const old = await create(1)
    const first = await sealPoint(old, async () => {})
    const writer = await old.beginPoint(first.id, first.disks)
    await writer.write(a, 0, filled(4096, 1))
    const current = await store().openReplica(id, 2)
    await expect(writer.seal(facts())).rejects.toMatchObject(newerWriter)
    expect(current.points()).toEqual([first])
    const second = await sealPoint(current, async () => {})
    await writer.abort()
    await old.close()
    expect((await store().openReplica(id, null)).points()).toEqual([first, second])
  })
  test('an overtaken writer cannot begin or expire anything', async () => {
    const old = await create(1)
    const first = await sealPoint(old, async () => {})
    await store().openReplica(id, 2)
    await expect(old.beginPoint(first.id, first.disks)).rejects.toMatchObject(newerWriter)
    await expect(old.expire([{ everySeconds: 0, forSeconds: 1 }], noon + hour)).rejects.toMatchObject(
      newerWriter,
    )
  })
  test('reading needs no epoch, disturbs no writer, and may not write', async () => {
    const replica = await create(3)
    const first = await sealPoint(replica, async () => {})
    const writer = await replica.beginPoint(first.id, first.disks)
    const reader = await store().openReplica(id, null)
    await expect(reader.beginPoint(first.id, first.disks)).rejects.toThrow()
    await reader.close()
    await writer.seal(facts())
    expect(replica.points()).toHaveLength(2)
  })
}

function differenceTests({ create }: Tools): void {
  test('the difference of two points covers every byte that differs, in either order, sorted', async () => {
    const random = seededRandom(9)
    const replica = await create()
    const content = new Map([
      [a, Buffer.alloc(MiB)],
      [b, Buffer.alloc(256 * KiB)],
    ])
    const versions: { readonly id: PointId; readonly content: Content }[] = []
    for (let index = 0; index < 4; index += 1) {
      const point = await sealPoint(replica, (writer) => writeAtRandom(writer, content, random), {
        disks: disksOf(content),
      })
      versions.push({ id: point.id, content: copyOf(content) })
    }
    for (const from of versions)
      for (const to of versions)
        for (const key of [a, b]) {
          const covered = await coveredBy(replica.difference(key, from.id, to.id))
          const [left, right] = [present(from.content.get(key), 'disk'), present(to.content.get(key), 'disk')]
          for (let grain = 0; grain < left.length; grain += 512)
            if (left.compare(right, grain, grain + 512, grain, grain + 512) !== 0)
              expect(covered(grain), `${key} ${from.id} ${to.id} at ${grain}`).toBe(true)
        }
  })
  test('a small change is a small difference', async () => {
    const replica = await create()
    const first = await sealPoint(replica, (writer) => writer.write(a, 0, filled(MiB, 1)))
    const second = await sealPoint(replica, (writer) => writer.write(a, 512 * KiB, filled(4096, 2)))
    const third = await sealPoint(replica, (writer) => writer.write(a, 0, filled(4096, 3)))
    let bytes = 0
    for await (const extent of replica.difference(a, first.id, third.id)) bytes += extent.bytes
    expect(bytes).toBeLessThanOrEqual(64 * KiB)
    for await (const extent of replica.difference(a, second.id, second.id))
      throw new Error(`a point differs from itself at ${extent.offset}`)
  })
}

async function coveredBy(
  extents: AsyncIterable<{ offset: number; bytes: number }>,
): Promise<(at: number) => boolean> {
  const found: { offset: number; end: number }[] = []
  for await (const { offset, bytes } of extents) {
    expect(bytes).toBeGreaterThan(0)
    expect(offset, 'sorted, without overlap').toBeGreaterThanOrEqual(found.at(-1)?.end ?? 0)
    found.push({ offset, end: offset + bytes })
  }
  return (at) => found.some(({ offset, end }) => at >= offset && at < end)
}

function annotationTests({ create, restart, store }: Tools): void {
  test('annotations are kept over a restart, and a later one leaves the others alone', async () => {
    const replica = await create()
    const point = await sealPoint(replica, (writer) => writer.write(a, 0, filled(4096, 1)))
    await replica.annotate(point.id, { verifiedAt: noon, note: 'good' })
    const annotated = await replica.annotate(point.id, { pinned: true, note: 'better' })
    const expected = { verifiedAt: noon, note: 'better', pinned: true }
    expect(annotated.annotations).toEqual(expected)
    expect(replica.points()[0]?.annotations).toEqual(expected)
    await restart()
    const reopened = await store().openReplica(id, 2)
    expect(reopened.points()).toEqual([{ ...point, annotations: expected }])
    expectSame(await readPoint(reopened, point.id), new Map([[a, grown(filled(4096, 1), MiB)]]))
  })
  test('a point is held by several, each once, over a restart', async () => {
    const replica = await create()
    const point = await sealPoint(replica, async () => {})
    await replica.hold(point.id, 'run-1')
    await replica.hold(point.id, 'run-1')
    await replica.hold(point.id, 'run-2')
    await restart()
    const reopened = await store().openReplica(id, 2)
    expect([...(reopened.points()[0]?.heldBy ?? [])].sort()).toEqual(['run-1', 'run-2'])
    await reopened.unhold(point.id, 'run-1')
    await reopened.unhold(point.id, 'run-1')
    expect(reopened.points()[0]?.heldBy).toEqual(['run-2'])
  })
  test('a failover that only reads can hold and annotate a point while another process writes', async () => {
    const replica = await create()
    const point = await sealPoint(replica, async () => {})
    const reader = await store().openReplica(id, null)
    await reader.hold(point.id, 'run-1')
    await reader.annotate(point.id, { verifiedAt: noon })
    await sealPoint(replica, async () => {})
    expect((await replica.expire([{ everySeconds: 0, forSeconds: 1 }], noon + hour)).removed).toBe(0)
    const after = (await store().openReplica(id, null)).points()[0]
    expect(after).toMatchObject({ id: point.id, heldBy: ['run-1'], annotations: { verifiedAt: noon } })
    await reader.unhold(point.id, 'run-1')
    await reader.close()
    expect((await replica.expire([{ everySeconds: 0, forSeconds: 1 }], noon + hour)).removed).toBe(1)
  })
}

function expiryTests({ create, restart, store }: Tools): void {
  const second = 1000
  /** Points `stepSeconds` apart, each with its whole content. */
  const sealMany = async (replica: Replica, count: number, stepSeconds: number) => {
    const random = seededRandom(11)
    const content = new Map([[a, Buffer.alloc(256 * KiB)]])
    const made: { readonly point: RecoveryPoint; readonly content: Content }[] = []
    for (let index = 0; index < count; index += 1) {
      const point = await sealPoint(replica, (writer) => writeAtRandom(writer, content, random), {
        disks: disksOf(content),
        facts: { instant: noon + index * stepSeconds * second },
      })
      made.push({ point, content: copyOf(content) })
    }
    return made
  }
  const expectIntact = async (
    replica: Replica,
    made: Awaited<ReturnType<typeof sealMany>>,
  ): Promise<void> => {
    for (const { id: pointId } of replica.points())
      expectSame(
        await readPoint(replica, pointId),
        present(
          made.find(({ point }) => point.id === pointId),
          'it was sealed',
        ).content,
      )
  }

  test('what is older than the last tier goes, the newest stays, and what stays is intact', async () => {
    const replica = await create()
    const made = await sealMany(replica, 10, 60)
    const now = noon + 9 * 60 * second
    const { removed } = await replica.expire([{ everySeconds: 0, forSeconds: 4 * 60 }], now)
    expect(replica.points().every(({ instant }) => instant >= now - 4 * 60 * second)).toBe(true)
    expect(replica.points().length).toBeGreaterThanOrEqual(4)
    expect(removed).toBe(10 - replica.points().length)
    await expectIntact(replica, made)
    expect((await replica.expire([{ everySeconds: 0, forSeconds: 4 * 60 }], now)).removed).toBe(0)
    const muchLater = now + 1000 * hour
    await replica.expire([{ everySeconds: 0, forSeconds: 60 }], muchLater)
    expect(replica.points().map((point) => point.id)).toEqual([made.at(-1)?.point.id])
    await expectIntact(replica, made)
    await restart()
    const reopened = await store().openReplica(id, 2)
    expect(reopened.points()).toHaveLength(1)
    await expectIntact(reopened, made)
  })

  test('a wider tier keeps about one point a step, and thinning again removes nothing', async () => {
    const replica = await create()
    const made = await sealMany(replica, 40, 10)
    const now = noon + 40 * 10 * second
    const tiers = [
      { everySeconds: 0, forSeconds: 100 },
      { everySeconds: 60, forSeconds: 10 * hour },
    ]
    await replica.expire(tiers, now)
    const ages = replica.points().map(({ instant }) => (now - instant) / second)
    expect(ages.filter((age) => age < 100)).toHaveLength(9)
    // Of 300 s in steps of 60 s: five points, one more or less at the borders.
    const thinned = ages.filter((age) => age > 100)
    expect(thinned.length).toBeGreaterThanOrEqual(4)
    expect(thinned.length).toBeLessThanOrEqual(7)
    const gaps = ages.slice(1).map((age, index) => present(ages[index], 'older neighbour') - age)
    expect(Math.max(...gaps), 'no hole of two steps').toBeLessThan(120)
    await expectIntact(replica, made)
    expect((await replica.expire(tiers, now)).removed).toBe(0)
  })

  test('of the points of a step the one that most machines have stays, then the oldest', async () => {
    const replica = await create()
    const cutOf = (minutes: number) => `cut-${minutes}` as CutId
    for (let minutes = 0; minutes < 12; minutes += 1)
      await sealPoint(replica, async () => {}, {
        facts: facts({
          instant: noon + minutes * 60 * second,
          ...(minutes % 2 === 1 ? { group: { id: 'g' as GroupId, cut: cutOf(minutes) } } : {}),
        }),
      })
    // One that only this machine has is worth no more than one that was taken alone.
    const shares = new Map([1, 3, 5, 7].map((minutes) => [cutOf(minutes), minutes === 3 ? 3 : 2]))
    shares.set(cutOf(11), 1)
    const tiers = [{ everySeconds: 300, forSeconds: 10 * hour }]
    await replica.expire(tiers, noon + 12 * 60 * second, undefined, shares)
    const kept = replica.points().map(({ instant }) => (instant - noon) / 60 / second)
    expect(kept).toEqual([3, 5, 10, 11])
  })

  test('held and pinned points stay until they are let go', async () => {
    const replica = await create()
    const made = await sealMany(replica, 6, 60)
    const [first, , third] = made.map(({ point }) => point.id)
    await replica.hold(present(first, 'sealed'), 'run-1')
    await replica.annotate(present(third, 'sealed'), { pinned: true })
    const tiers = [{ everySeconds: 0, forSeconds: 1 }]
    await replica.expire(tiers, noon + hour)
    expect(replica.points().map((point) => point.id)).toEqual([first, third, made.at(-1)?.point.id])
    await expectIntact(replica, made)
    await replica.unhold(present(first, 'sealed'), 'run-1')
    await replica.annotate(present(third, 'sealed'), { pinned: false })
    expect((await replica.expire(tiers, noon + hour)).removed).toBe(2)
    await expectIntact(replica, made)
  })

  test('a point that is open stays readable while it expires', async () => {
    const replica = await create()
    const made = await sealMany(replica, 5, 60)
    const oldest = present(made[0], 'sealed')
    const opened = await replica.openPoint(oldest.point.id)
    const reader = present(opened.disks[0], 'one disk').reader
    await replica.expire([{ everySeconds: 0, forSeconds: 1 }], noon + hour)
    const expected = present(oldest.content.get(a), 'disk a')
    expect((await reader.read(0, expected.length)).equals(expected)).toBe(true)
    await opened.close()
    await replica.expire([{ everySeconds: 0, forSeconds: 1 }], noon + hour)
    expect(replica.points().map((point) => point.id)).toEqual([made.at(-1)?.point.id])
    await expectIntact(replica, made)
  })

  test('replication goes on after and while points expire', async () => {
    const replica = await create()
    const made = await sealMany(replica, 8, 60)
    const expiry = replica.expire([{ everySeconds: 0, forSeconds: 120 }], noon + 7 * 60 * second)
    const content = copyOf(present(made.at(-1), 'sealed').content)
    const random = seededRandom(12)
    const next = await sealPoint(replica, (writer) => writeAtRandom(writer, content, random), {
      facts: { instant: noon + 8 * 60 * second },
    })
    await expiry
    made.push({ point: next, content })
    await expectIntact(replica, made)
    expect(newestId(replica)).toBe(next.id)
  })
}

function measureTests({ store, create }: Tools): void {
  test('usage counts points and names the oldest and the newest', async () => {
    const replica = await create()
    expect(await replica.usage()).toMatchObject({ pointCount: 0, oldestInstant: null, newestInstant: null })
    const random = seededRandom(13)
    await sealPoint(replica, (writer) => writer.write(a, 0, random.bytes(512 * KiB)), {
      facts: { instant: noon },
    })
    await sealPoint(replica, async () => {}, { facts: { instant: noon + 5 } })
    const usage = await replica.usage()
    expect(usage).toMatchObject({ pointCount: 2, oldestInstant: noon, newestInstant: noon + 5 })
    expect(usage.storedBytes).toBeGreaterThanOrEqual(512 * KiB)
    expect(usage.freeBytes).toBeGreaterThan(0)
  })
  test('the room that is left is told where there is a bound, also before the first replica', async () => {
    expect((await store().freeBytes()) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(MiB)
    await create()
    expect((await store().freeBytes()) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(MiB)
  })
  test('a scrub of a sound replica finds nothing wrong', async () => {
    const replica = await create()
    const random = seededRandom(14)
    await sealPoint(replica, (writer) => writer.write(a, 0, random.bytes(512 * KiB)))
    const report = await replica.scrub({ bytesPerSecond: 2 ** 40 })
    expect(report.damage).toEqual([])
    expect(report.checkedBytes).toBeGreaterThanOrEqual(512 * KiB)
  })
}
