import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { FileSystem } from '@understudy/block/file-system'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointFacts, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica } from '@understudy/engine/ports/replica-store'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { diskFileSystem } from './disk-file-system.ts'
import { type JournalOptions, openJournalStore } from './journal-store.ts'

const id = 'replica-1' as ReplicaId
const a = 'a' as DiskKey
const b = 'b' as DiskKey
const facts: PointFacts = {
  instant: 1000,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: 'one',
  cycle: 'seed',
}
const random = seededRandom(1)

let folder = ''
const opened: Replica[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-journal-'))
})
afterEach(async () => {
  for (const replica of opened.splice(0)) await replica.close()
  await rm(folder, { recursive: true, force: true })
})

const storeWith = (options: Partial<JournalOptions> = {}) =>
  openJournalStore({
    folder,
    clock: { now: () => 5000 },
    ...options,
    limits: { maintainBehind: false, ...options.limits },
  })

async function newReplica(options: Partial<JournalOptions> = {}, encrypt = false): Promise<Replica> {
  const store = storeWith(options)
  await store.createReplica({ id, machineName: 'web', compress: true, encrypt })
  const replica = await store.openReplica(id, 1)
  opened.push(replica)
  return replica
}

async function writePoint(
  replica: Replica,
  pieces: readonly (readonly [DiskKey, number, Buffer])[],
  disks = [
    { key: a, bytes: MiB },
    { key: b, bytes: 256 * KiB },
  ],
): Promise<RecoveryPoint> {
  const point = await replica.beginPoint(replica.points().at(-1)?.id ?? null, disks)
  for (const [disk, offset, data] of pieces) await point.write(disk, offset, data)
  return await point.seal({ ...facts, instant: 1000 * (replica.points().length + 1) })
}

async function readDisk(replica: Replica, point: RecoveryPoint, disk: DiskKey): Promise<Buffer> {
  const opened = await replica.openPoint(point.id)
  const found = present(
    opened.disks.find(({ key }) => key === disk),
    'the disk is there',
  )
  const content = await found.reader.read(0, found.bytes)
  await opened.close()
  return content
}

/** Flips a bit where the bytes are found in some segment file. */
async function damage(needle: Buffer): Promise<void> {
  const segments = join(folder, id, 'segments')
  for (const name of await readdir(segments)) {
    const file = await open(join(segments, name), 'r+')
    const content = await file.readFile()
    const at = content.indexOf(needle)
    if (at >= 0) await file.write(Buffer.from([needle.readUInt8(0) ^ 1]), 0, 1, at)
    await file.close()
    if (at >= 0) return
  }
  expect.fail('the content is in some segment')
}

describe('points', () => {
  test('a point costs what changed: 4 KiB written cost less than 5 KiB, zeros cost no content', async () => {
    const replica = await newReplica()
    await writePoint(replica, [[a, 0, random.bytes(MiB)]])
    const small = await writePoint(replica, [[a, 64 * KiB, random.bytes(4 * KiB)]])
    expect(small.storedBytes).toBeLessThan(5 * KiB)
    expect(small.changedBytes).toBe(4 * KiB)
    const zeros = await writePoint(replica, [[a, 0, Buffer.alloc(512 * KiB)]])
    expect(zeros.storedBytes).toBeLessThan(KiB)
    expect((await readDisk(replica, zeros, a)).subarray(0, 512 * KiB).equals(Buffer.alloc(512 * KiB))).toBe(
      true,
    )
    await replica.close()
  })

  test('what is said about a point outlives the process', async () => {
    const replica = await newReplica()
    const point = await writePoint(replica, [])
    await replica.annotate(point.id, { pinned: true })
    await replica.annotate(point.id, { note: 'before the upgrade' })
    await replica.hold(point.id, 'run/7')
    await replica.close()
    const again = await storeWith().openReplica(id, null)
    expect(again.points()).toEqual([
      { ...point, annotations: { pinned: true, note: 'before the upgrade' }, heldBy: ['run/7'] },
    ])
    await again.unhold(point.id, 'run/7')
    await again.unhold(point.id, 'run/7')
    expect(again.points()[0]?.heldBy).toEqual([])
    await again.close()
  })

  test('the newest, held and pinned points never expire', async () => {
    const replica = await newReplica()
    const points: RecoveryPoint[] = []
    for (let count = 0; count < 5; count += 1)
      points.push(await writePoint(replica, [[a, 0, random.bytes(4 * KiB)]]))
    await replica.hold(present(points[1], 'a point').id, 'run')
    await replica.annotate(present(points[2], 'a point').id, { pinned: true })
    expect(await replica.expire([{ everySeconds: 0, forSeconds: 1 }], 10 ** 9)).toEqual({ removed: 2 })
    expect(replica.points().map((point) => point.id)).toEqual([points[1]?.id, points[2]?.id, points[4]?.id])
    await replica.close()
  })

  test('content that nothing shows any more gives its room back', async () => {
    const replica = await newReplica({ limits: { foldShare: 0, mergeLayers: 2 } })
    for (let count = 0; count < 6; count += 1) await writePoint(replica, [[a, 0, random.bytes(MiB)]])
    expect((await replica.usage()).storedBytes).toBeGreaterThan(6 * MiB)
    await replica.expire([{ everySeconds: 0, forSeconds: 1 }], 10 ** 9)
    expect((await replica.usage()).storedBytes).toBeLessThan(1.1 * MiB)
    await replica.close()
  })

  test('a replica that waits for its next cycle holds one file open, however much was merged and read before', async () => {
    const fs = countingOpenFiles(diskFileSystem())
    const replica = await newReplica({ fs, limits: { sealsPerMaintenance: 4, runFanout: 2 } })
    for (let count = 0; count < 10; count += 1)
      await writePoint(replica, [[a, count * 64 * KiB, random.bytes(8 * KiB)]])
    await readDisk(replica, present(replica.points()[5], 'a point'), a)
    for (let count = 0; count < 4; count += 1) await writePoint(replica, [[a, 0, random.bytes(4 * KiB)]])
    // The log, to which the next seal appends.
    expect(fs.openFiles()).toBe(1)
    await replica.close()
    expect(fs.openFiles()).toBe(0)
  })
})

function countingOpenFiles(fs: FileSystem): FileSystem & { openFiles(): number } {
  let open = 0
  return {
    ...fs,
    openFiles: () => open,
    async open(path, mode) {
      const handle = await fs.open(path, mode)
      open += 1
      const close = async (): Promise<void> => {
        await handle.close()
        open -= 1
      }
      return { ...handle, close }
    },
  }
}

describe('refusals', () => {
  test.each([
    ['an unknown replica', 'replica/not-found', () => storeWith().openReplica('other' as ReplicaId, 1)],
    ['an id that leaves the folder', 'replica/bad-id', () => storeWith().openReplica('../x' as ReplicaId, 1)],
    [
      'an unknown point',
      'recovery-point/not-found',
      async () => (await newReplica()).openPoint('000000000009' as RecoveryPoint['id']),
    ],
    [
      'a base that is not the newest',
      'replica/base-not-newest',
      async () => (await newReplica()).beginPoint('000000000009' as RecoveryPoint['id'], []),
    ],
    [
      'a second point at a time',
      'replica/point-open',
      async () => {
        const replica = await newReplica()
        await replica.beginPoint(null, [])
        await replica.beginPoint(null, [])
      },
    ],
    [
      'writing without an epoch',
      'replica/read-only',
      async () => {
        await newReplica()
        const replica = await storeWith().openReplica(id, null)
        opened.push(replica)
        await replica.beginPoint(null, [])
      },
    ],
    ['encryption without a key', 'replica/no-key', () => newReplica({}, true)],
    [
      'another key than the one it was made with',
      'replica/wrong-key',
      async () => {
        await newReplica({ key: () => Buffer.alloc(32, 1) }, true)
        await storeWith({ key: () => Buffer.alloc(32, 2) }).openReplica(id, 2)
      },
    ],
    [
      'a disk with less room than is kept free',
      'replica/disk-full',
      async () => (await newReplica({ limits: { reservedBytes: 2 ** 60 } })).beginPoint(null, []),
    ],
  ])('%s is answered with %s', async (_, code, work) => {
    await expect(work()).rejects.toMatchObject({ code, remedy: expect.any(String) })
  })

  test('a disk that is full before the first point is not told of with points that are kept', async () => {
    const replica = await newReplica({ limits: { reservedBytes: 2 ** 60 } })
    const refused = replica.beginPoint(null, [])
    await expect(refused).rejects.toMatchObject({ remedy: expect.not.stringContaining('points up to now') })
  })
})

describe('damage', () => {
  test('is found by the read it would spoil, with the disk and the range, and by no other', async () => {
    const replica = await newReplica()
    const content = random.bytes(128 * KiB)
    const point = await writePoint(replica, [[a, 64 * KiB, content]])
    await damage(content.subarray(70 * KiB, 71 * KiB))
    await expect(readDisk(replica, point, a)).rejects.toMatchObject({
      code: 'replica/damaged',
      facts: { disk: a, offset: 128 * KiB, bytes: 64 * KiB },
    })
    const opened = await replica.openPoint(point.id)
    const good = await present(opened.disks[0], 'a disk').reader.read(64 * KiB, 64 * KiB)
    expect(good.equals(content.subarray(0, 64 * KiB))).toBe(true)
    await opened.close()
    await replica.close()
  })

  test('is reported by the scrub with exactly the points that show it, and ends where it is written over', async () => {
    const replica = await newReplica()
    const content = random.bytes(64 * KiB)
    await writePoint(replica, [])
    const second = await writePoint(replica, [[b, 0, content]])
    const third = await writePoint(replica, [[b, 0, random.bytes(32 * KiB)]])
    await writePoint(replica, [[b, 32 * KiB, random.bytes(32 * KiB)]])
    await damage(content.subarray(0, KiB))
    const { damage: found } = await replica.scrub({ bytesPerSecond: 0 })
    expect(found).toEqual([{ disk: b, offset: 0, bytes: 64 * KiB, points: [second.id, third.id] }])
    await replica.close()
  })

  test('does not stop expiry, and what is not damaged stays readable', async () => {
    const replica = await newReplica({ limits: { foldShare: 0, mergeLayers: 2, smallSegments: 0 } })
    const content = random.bytes(64 * KiB)
    await writePoint(replica, [[b, 0, content]])
    const other = random.bytes(64 * KiB)
    await writePoint(replica, [[a, 0, other]])
    const last = await writePoint(replica, [[a, 128 * KiB, other]])
    await damage(content.subarray(0, KiB))
    expect(await replica.expire([{ everySeconds: 0, forSeconds: 1 }], 10 ** 9)).toEqual({ removed: 2 })
    expect((await readDisk(replica, last, a)).subarray(0, 64 * KiB).equals(other)).toBe(true)
    await expect(readDisk(replica, last, b)).rejects.toMatchObject({ code: 'replica/damaged' })
    await replica.close()
  })
})

describe('encryption', () => {
  test('keeps content off the disk and gives it back', async () => {
    const replica = await newReplica({ key: () => Buffer.alloc(32, 1) }, true)
    const content = Buffer.alloc(64 * KiB, 'secret content ')
    const point = await writePoint(replica, [[a, 0, content]])
    expect((await readDisk(replica, point, a)).subarray(0, 64 * KiB).equals(content)).toBe(true)
    const segments = join(folder, id, 'segments')
    const names = await readdir(segments)
    const file = await open(join(segments, present(names[0], 'a segment')), 'r')
    expect((await file.readFile()).includes('secret')).toBe(false)
    await file.close()
    await replica.close()
  })
})

describe('replicas', () => {
  test('are created once, listed, and gone with everything when deleted', async () => {
    const store = storeWith()
    const spec = { id, machineName: 'web', compress: true, encrypt: false }
    await store.createReplica(spec)
    const replica = await store.openReplica(id, 1)
    await writePoint(replica, [[a, 0, random.bytes(KiB)]])
    await store.createReplica(spec)
    expect(await store.list()).toEqual([id])
    expect(replica.points().length).toBe(1)
    await store.deleteReplica(id)
    expect(await store.exists(id)).toBe(false)
    expect(await store.list()).toEqual([])
    await expect(replica.beginPoint(null, [])).rejects.toMatchObject({ code: 'replica/not-found' })
    await replica.close()
    await store.deleteReplica(id)
    expect(await readdir(folder)).toEqual([])
  })
})

test('an older version that knows no unfinished copy stops at its line, and takes it for no recovery point', async () => {
  const replica = await newReplica()
  const writer = await replica.beginPoint(null, [{ key: a, bytes: MiB }])
  await writer.write(a, 0, random.bytes(8192))
  await writer.seal({ ...facts, unfinished: 'half' })
  await replica.close()
  // Opened anew it is written whole, packed.
  const again = await storeWith().openReplica(id, 2)
  opened.push(again)
  expect(again.unfinished()?.unfinished).toBe('half')
  const logs = join(folder, id, 'log')
  const kinds = new Set<string>()
  for (const name of await readdir(logs))
    for (const line of (await readFile(join(logs, name), 'utf8')).split('\n'))
      if (line !== '') kinds.add((JSON.parse(line.slice(9)) as { kind: string }).kind)
  expect([...kinds].filter((kind) => /point|seal|unfinished/.test(kind))).toEqual(['unfinished'])
})
