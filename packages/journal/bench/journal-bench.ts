// What the journal costs: appending beside a plain file write in the same run, opening with many points, reading any point,
// sealing, folding. `--quick` takes fewer rounds. Prints one bar a figure and keeps them in .bench/results.json.
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GiB, KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointFacts } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { diskFileSystem } from '../src/disk-file-system.ts'
import { openJournalStore } from '../src/journal-store.ts'
import type { JournalLimits } from '../src/limits.ts'

type Bar = { name: string; value: number; unit: string; wanted: string; isMet: boolean }

const isQuick = process.argv.includes('--quick')
const rounds = isQuick ? 3 : 7
const id = 'bench' as ReplicaId
const disk = { key: 'a' as DiskKey, bytes: 2 * GiB }
const bars: Bar[] = []

const folder = await mkdtemp(join(process.env.UNDERSTUDY_BENCH_FOLDER ?? tmpdir(), 'understudy-bench-'))
/** Noise, so that compression has nothing to gain: what is left is the journal itself. */
async function benchAppend(): Promise<void> {
  const bytes = isQuick ? 256 * MiB : 512 * MiB
  const block = randomBytes(MiB)
  const rates = {
    plain: [] as number[],
    journal: [] as number[],
    read: [] as number[],
    plainRead: [] as number[],
  }
  for (let round = 0; round < rounds; round += 1) {
    rates.plain.push(await rateOf(bytes, () => writePlain(bytes, block)))
    rates.plainRead.push(await rateOf(bytes, () => readPlain(bytes)))
    await withReplica({ compress: false }, async (replica) => {
      rates.journal.push(await rateOf(bytes, () => writeSeed(replica, bytes, block)))
      rates.read.push(await rateOf(bytes, () => readNewest(replica, bytes)))
    })
  }
  note('journal-append', median(rates.journal), 'MiB/s')
  bar('journal-append-to-plain-write', median(rates.journal) / median(rates.plain), 'x', { atLeast: 0.6 })
  note('journal-read', median(rates.read), 'MiB/s')
  bar('journal-read-to-plain-read', median(rates.read) / median(rates.plainRead), 'x', { atLeast: 0.25 })
  const text = Buffer.alloc(MiB, await readFile(process.execPath).then((all) => all.subarray(MiB, 2 * MiB)))
  await withReplica({ compress: true }, async (replica) => {
    note('journal-append-compressed', await rateOf(bytes, () => writeSeed(replica, bytes, text)), 'MiB/s')
    note('journal-compressed-to', (await replica.usage()).storedBytes / bytes, 'x')
  })
}

/** 300 random writes of 4 KiB, with every sync that a real cycle has. */
async function benchSeal(): Promise<void> {
  const times: number[] = []
  const idle: number[] = []
  let storedBytes = 0
  await withReplica({ compress: false }, async (replica) => {
    for (let round = 0; round < rounds * 5; round += 1) {
      times.push(await timeOf(() => writeScattered(replica, 300)))
      storedBytes = present(replica.points().at(-1), 'the point just sealed').storedBytes
      idle.push(await timeOf(() => writeScattered(replica, 0)))
    }
  })
  bar('journal-delta-of-300-stored', storedBytes / (300 * 4 * KiB), 'x', { atMost: 1.2 })
  bar('journal-delta-of-300', median(times), 'ms', { atMost: 150 })
  bar('journal-idle-point', median(idle), 'ms', { atMost: 50 })
}

/** Built without syncs, which change nothing of what is measured afterwards. */
async function benchPoints(points: number): Promise<void> {
  const perPoint = 30
  const store = newStore({ fs: withoutSyncs(diskFileSystem()), limits: { maintainBehind: false } })
  const build = performance.now()
  await withReplica(
    { compress: false, store },
    async (replica) => {
      for (let count = 0; count < points; count += 1) await writeScattered(replica, perPoint)
    },
    async () => {
      note(`journal-seal-${points}-points`, (performance.now() - build) / points, 'ms/point')
      const opening: number[] = []
      const reading = { middle: [] as number[], newest: [] as number[] }
      for (let round = 0; round < rounds; round += 1) {
        const fresh = newStore({})
        const start = performance.now()
        const replica = await fresh.openReplica(id, null)
        opening.push(performance.now() - start)
        const all = replica.points()
        for (const [name, index] of [['middle', points >> 1] as const, ['newest', points - 1] as const])
          reading[name].push(
            await timeOf(() => readOne(replica, present(all[index], 'the point is there').id)),
          )
        await replica.close()
      }
      const isLarge = points >= 3_000
      const [openAtMost, readAtMost] = isLarge ? [1000, 1000] : [250, 500]
      bar(`journal-open-${points}-points`, median(opening), 'ms', { atMost: openAtMost })
      note(`journal-open-per-1000-of-${points}-points`, (median(opening) / points) * 1000, 'ms')
      bar(`journal-middle-of-${points}-points`, median(reading.middle), 'ms', { atMost: readAtMost })
      bar(`journal-newest-of-${points}-points`, median(reading.newest), 'ms', { atMost: readAtMost })
      if (isLarge) await benchThinning(points)
    },
  )
}

/** What a day's tiers do at once to the history of a replica that nobody has expired for long. */
async function benchThinning(points: number): Promise<void> {
  const store = newStore({ limits: { maintainBehind: false, maintenanceBytesPerSecond: 0 } })
  const replica = await store.openReplica(id, 2)
  const before = (await replica.usage()).storedBytes
  const now = present(replica.points().at(-1), 'a point').instant
  const tiers = [
    { everySeconds: 0, forSeconds: 3600 },
    { everySeconds: 300, forSeconds: 86_400 },
  ]
  let removed = 0
  const milliseconds = await timeOf(async () => {
    removed = (await replica.expire(tiers, now)).removed
  })
  note('journal-thinning-removed', removed, 'points')
  bar('journal-thinning', milliseconds / removed, 'ms/point', { atMost: 25 })
  note('journal-thinning-keeps', (await replica.usage()).storedBytes / before, 'x')
  bar(
    `journal-middle-after-thinning-${points}`,
    await timeOf(() =>
      readOne(replica, present(replica.points()[replica.points().length >> 1], 'a point').id),
    ),
    'ms',
    { atMost: 500 },
  )
  await replica.close()
}

/** The oldest point goes: five of every eight pieces of it are written over, so the rest of every segment is copied. */
async function benchFold(): Promise<void> {
  const bytes = 256 * MiB
  const liveBytes = (bytes / 8) * 3
  const block = randomBytes(MiB)
  const rates: number[] = []
  const kept: number[] = []
  for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
    const store = newStore({
      limits: { maintainBehind: false, maintenanceBytesPerSecond: 0, segmentBytes: 32 * MiB },
    })
    await withReplica({ compress: false, store }, async (replica) => {
      await writeSeed(replica, bytes, block)
      await writeOver(replica, bytes, block)
      rates.push(
        await rateOf(liveBytes, () => replica.expire([{ everySeconds: 0, forSeconds: 1 }], 10 ** 15)),
      )
      kept.push((await replica.usage()).storedBytes / bytes)
    })
  }
  bar('journal-fold', median(rates), 'MiB/s', { atLeast: 40 })
  bar('journal-fold-keeps', median(kept), 'x', { atMost: 1.1 })
}

// --- the work

function newStore(options: { fs?: FileSystem; limits?: Partial<JournalLimits> }): ReplicaStore {
  return openJournalStore({ folder: join(folder, 'replicas'), clock: { now: () => Date.now() }, ...options })
}

async function withReplica(
  { compress, store = newStore({}) }: { compress: boolean; store?: ReplicaStore },
  work: (replica: Replica) => Promise<void>,
  afterClose: () => Promise<void> = async () => {},
): Promise<void> {
  await store.createReplica({ id, machineName: 'bench', compress, encrypt: false })
  const replica = await store.openReplica(id, 1)
  await work(replica)
  await replica.close()
  await afterClose()
  await newStore({}).deleteReplica(id)
}

const factsNow = (replica: Replica): PointFacts => ({
  instant: replica.points().length * 5000,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: 'understudy-bench-1234567890',
  cycle: 'delta',
})

async function writeSeed(replica: Replica, bytes: number, block: Buffer): Promise<void> {
  const point = await replica.beginPoint(replica.points().at(-1)?.id ?? null, [disk])
  for (let offset = 0; offset < bytes; offset += 4 * block.length)
    await Promise.all([0, 1, 2, 3].map((part) => point.write(disk.key, offset + part * block.length, block)))
  await point.seal(factsNow(replica))
}

async function writeOver(replica: Replica, bytes: number, block: Buffer): Promise<void> {
  const point = await replica.beginPoint(present(replica.points().at(-1), 'a point').id, [disk])
  for (let offset = 0; offset < bytes; offset += MiB / 2)
    await point.write(disk.key, offset, block.subarray(0, 5 * 64 * KiB))
  await point.seal(factsNow(replica))
}

const scatter = randomBytes(4 * KiB)
let draw = 1
const nextDraw = (limit: number): number => {
  draw = (Math.imul(draw, 1664525) + 1013904223) >>> 0
  return Math.floor((draw / 2 ** 32) * limit)
}

async function writeScattered(replica: Replica, writes: number): Promise<void> {
  const point = await replica.beginPoint(replica.points().at(-1)?.id ?? null, [disk])
  const writing: Promise<void>[] = []
  for (let count = 0; count < writes; count += 1)
    writing.push(point.write(disk.key, nextDraw(disk.bytes / (4 * KiB)) * 4 * KiB, scatter))
  await Promise.all(writing)
  await point.seal(factsNow(replica))
}

async function readNewest(replica: Replica, bytes: number): Promise<void> {
  const opened = await replica.openPoint(present(replica.points().at(-1), 'a point').id)
  const reader = present(opened.disks[0], 'a disk').reader
  for (let offset = 0; offset < bytes; offset += MiB) await reader.read(offset, MiB)
  await opened.close()
}

async function readOne(replica: Replica, point: Parameters<Replica['openPoint']>[0]): Promise<void> {
  const opened = await replica.openPoint(point)
  await present(opened.disks[0], 'a disk').reader.read(0, 64 * KiB)
  await opened.close()
}

async function writePlain(bytes: number, block: Buffer): Promise<void> {
  const file = await open(join(folder, 'plain'), 'w')
  for (let offset = 0; offset < bytes; offset += block.length)
    await file.write(block, 0, block.length, offset)
  await file.sync()
  await file.close()
}

async function readPlain(bytes: number): Promise<void> {
  const file = await open(join(folder, 'plain'), 'r')
  for (let offset = 0; offset < bytes; offset += MiB)
    await file.read(Buffer.allocUnsafeSlow(MiB), 0, MiB, offset)
  await file.close()
  await rm(join(folder, 'plain'))
}

function withoutSyncs(fs: FileSystem): FileSystem {
  const withoutSync = (handle: FileHandle): FileHandle => ({ ...handle, sync: async () => {} })
  return {
    ...fs,
    syncFolder: async () => {},
    open: async (path, mode) => withoutSync(await fs.open(path, mode)),
  }
}

// --- figures

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

const rateOf = async (bytes: number, work: () => Promise<unknown>): Promise<number> =>
  bytes / MiB / ((await timeOf(work)) / 1000)

const median = (values: readonly number[]): number =>
  present([...values].sort((a, b) => a - b)[values.length >> 1], 'a median of something')

function note(name: string, value: number, unit: string): void {
  console.log(`     ${name} ${rounded(value)} ${unit}`)
  bars.push({ name, value, unit, wanted: '', isMet: true })
}

function bar(
  name: string,
  value: number,
  unit: string,
  bound: { atLeast: number } | { atMost: number },
): void {
  const isMet = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost
  const wanted = 'atLeast' in bound ? `>= ${bound.atLeast}` : `<= ${bound.atMost}`
  console.log(`bar ${name} ${rounded(value)} ${unit} (wanted ${wanted}) ${isMet ? 'ok' : 'short'}`)
  bars.push({ name, value, unit, wanted, isMet })
}

const rounded = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2))

async function keepResults(): Promise<void> {
  const results = join(process.cwd(), '.bench')
  await mkdir(results, { recursive: true })
  const path = join(results, 'results.json')
  const before: unknown = await readFile(path, 'utf8').then(JSON.parse, () => ({}))
  const all = { ...(before as object), journal: { at: new Date().toISOString(), isQuick, bars } }
  await writeFile(path, `${JSON.stringify(all, null, 2)}\n`)
}

try {
  await benchAppend()
  await benchSeal()
  for (const points of isQuick ? [500, 3_000] : [2_000, 20_000]) await benchPoints(points)
  await benchFold()
} finally {
  await rm(folder, { recursive: true, force: true })
}
await keepResults()
process.exitCode = bars.every(({ isMet }) => isMet) ? 0 : 1
