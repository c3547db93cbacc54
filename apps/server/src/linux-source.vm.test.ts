// A server that copies itself while programs write to it, through the real cycle into a real journal. The oracle: the whole devices as
// they were while the server was held still, copied by another program.
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { openFileReader } from '@understudy/block/file-device'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { Consistency, PointId } from '@understudy/domain/recovery-points/recovery-point'
import { defaultLinuxSettings, type LinuxSettings } from '@understudy/drivers/linux/settings'
import { type LinuxSource, openLinuxSource } from '@understudy/drivers/linux/source'
import {
  copyDisk,
  makeTestDisk,
  must,
  requireLinuxSource,
  type TestDisk,
} from '@understudy/drivers/linux/test-disk'
import type { Replica } from '@understudy/engine/ports/replica-store'
import { type CycleOutcome, runCycle } from '@understudy/engine/replication/run-cycle'
import { openJournalStore } from '@understudy/journal/journal-store'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'

const clock = { now: () => Date.now() }
const replicaId = 'r' as ReplicaId
const atEnd: (() => Promise<void>)[] = []

beforeAll(requireLinuxSource)
afterEach(async () => {
  for (const end of atEnd.splice(0).reverse()) await end()
})

async function newServer(types: readonly ('ext4' | 'xfs')[], change: Partial<LinuxSettings> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-server-'))
  atEnd.push(() => rm(folder, { recursive: true, force: true }))
  const disks: TestDisk[] = []
  for (const type of types) {
    const disk = await makeTestDisk(type, (type === 'xfs' ? 320 : 96) * MiB)
    atEnd.push(() => disk.remove())
    disks.push(disk)
  }
  const settings: LinuxSettings = {
    ...defaultLinuxSettings,
    devices: disks.map(({ path }) => path),
    // A busy computer takes its time.
    limits: { ...defaultLinuxSettings.limits, holdSeconds: 60 },
    scripts: { folder: join(folder, 'scripts'), seconds: 20 },
    ...change,
  }
  const oracles: string[][] = []
  const whileHeld = async (): Promise<void> => {
    const files = disks.map((_, index) => join(folder, `oracle-${oracles.length}-${index}`))
    for (const [index, { path }] of disks.entries())
      await copyDisk(path, present(files[index], 'one for each'))
    oracles.push(files)
  }
  const start = async (): Promise<LinuxSource> => {
    const source = await openLinuxSource({ settings, now: clock.now, whileHeld })
    atEnd.push(() => source.close())
    return source
  }
  const store = openJournalStore({ folder: join(folder, 'journal'), clock })
  await store.createReplica({ id: replicaId, machineName: 'server', compress: true, encrypt: false })
  const replica = await store.openReplica(replicaId, 1)
  atEnd.push(() => replica.close())
  const source = await start()
  const ref = present((await source.inventory())[0], 'it finds itself').ref
  const cycle = (by: LinuxSource, consistency: Consistency = 'crash'): Promise<CycleOutcome> =>
    takePoint({ source: by, replica, ref, consistency })
  return { folder, disks, source, start, replica, ref, cycle, oracles }
}

type Take = {
  readonly source: LinuxSource
  readonly replica: Replica
  readonly ref: MachineRef
  readonly consistency: Consistency
}

const takePoint = ({ source, replica, ref, consistency }: Take): Promise<CycleOutcome> =>
  runCycle({
    source,
    replica,
    ref,
    trackingId: 'us-test',
    excludedDisks: [],
    resyncReason: null,
    consistency,
    limits: [],
    config: { requestBytes: 256 * 1024, requestsInFlight: 8, firstCopyKeepBytes: 2 ** 30 },
    time: { ...clock, sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }) },
    signal: new AbortController().signal,
    onPlan: async () => {},
    onProgress: () => {},
  })

/** Whole disks, byte for byte. */
async function expectEqual(replica: Replica, id: PointId, oracle: readonly string[]): Promise<void> {
  const point = await replica.openPoint(id)
  try {
    expect(point.disks).toHaveLength(oracle.length)
    for (const [index, { key, reader }] of point.disks.entries()) {
      const frozen = await openFileReader(present(oracle[index], 'each disk was copied'))
      expect(frozen.bytes).toBe(reader.bytes)
      for (let offset = 0; offset < reader.bytes; offset += MiB) {
        const bytes = Math.min(MiB, reader.bytes - offset)
        const isEqual = (await reader.read(offset, bytes)).equals(await frozen.read(offset, bytes))
        expect(isEqual, `disk ${key} at ${offset}`).toBe(true)
      }
      await frozen.close()
    }
  } finally {
    await point.close()
  }
}

/** A busy computer takes its time. */
const MINUTES_10 = 600_000

describe('a server that copies itself', () => {
  test(
    'has points equal to what it was while it was held still, all its disks at one instant, under ext4 and XFS',
    async () => {
      const { disks, source, replica, cycle, oracles } = await newServer(['ext4', 'xfs'])
      for (const disk of disks) disk.startWriter()
      for (const kind of ['seed', 'delta', 'delta'] as const) {
        const { summary, point } = await cycle(source)
        expect(summary.kind).toBe(kind)
        expect(summary.pauseMilliseconds).toBeGreaterThan(0)
        const frozen = present(oracles.at(-1), 'it was held still')
        await expectEqual(replica, point.id, frozen)
        await must('e2fsck', '-fn', present(frozen[0], 'the disk with ext4'))
      }
      // Something was written to every disk between any two points: they are not one and the same.
      for (let index = 1; index < oracles.length; index += 1)
        for (const disk of disks.keys()) {
          const [before, after] = [oracles[index - 1]?.[disk], oracles[index]?.[disk]]
          await expect(must('cmp', '-s', present(before, 'one'), present(after, 'next'))).rejects.toThrow(
            'ended with 1',
          )
        }
    },
    MINUTES_10,
  )

  test(
    'compares everything after writes that nobody could note, and after its process began anew, and says why',
    async () => {
      const { disks, source, start, replica, cycle, oracles } = await newServer(['ext4'], { buffersKiB: 4 })
      const [disk] = disks
      await cycle(source)
      // The process cannot look meanwhile, and its buffer is one page.
      spawnSync('sh', ['-c', BURST, 'burst', present(disk, 'it has one').mountPoint])
      const lost = await cycle(source)
      expect(lost.summary).toMatchObject({
        kind: 'resync',
        reason: expect.stringContaining('could be noted'),
      })
      await expectEqual(replica, lost.point.id, present(oracles.at(-1), 'held'))
      expect((await cycle(source)).summary.kind).toBe('delta')

      await source.close()
      await must('sh', '-c', BURST, 'burst', present(disk, 'it has one').mountPoint)
      const next = await start()
      const anew = await cycle(next)
      expect(anew.summary).toMatchObject({ kind: 'resync', reason: expect.stringContaining('begun anew') })
      await expectEqual(replica, anew.point.id, present(oracles.at(-1), 'held'))
    },
    MINUTES_10,
  )

  test(
    'leaves out what its file systems hold nothing in, if it is told to, and only that',
    async () => {
      const { disks, source, replica, cycle, oracles } = await newServer(['ext4'], { wholeCopy: 'used' })
      const { mountPoint } = present(disks[0], 'it has one')
      await must(
        'dd',
        'if=/dev/urandom',
        `of=${mountPoint}/gone`,
        'bs=1M',
        'count=40',
        'conv=fsync',
        'status=none',
      )
      await must('rm', `${mountPoint}/gone`)
      // In use since a moment, and free in the map on the medium still.
      await must(
        'dd',
        'if=/dev/urandom',
        `of=${mountPoint}/young`,
        'bs=1M',
        'count=8',
        'oflag=direct',
        'status=none',
      )
      const { summary, point } = await cycle(source)
      expect(summary.readBytes).toBeLessThan(40 * MiB)
      const frozen = present(oracles.at(-1)?.[0], 'it was held still')
      const free = freeBlocksOf(await must('dumpe2fs', frozen))
      const different = await blocksThatDiffer(replica, point.id, frozen)
      expect(different.length).toBeGreaterThan(0)
      expect(different.filter((block) => !free.has(block))).toEqual([])
      await must('e2fsck', '-fn', frozen)
    },
    MINUTES_10,
  )
})

const BLOCK_BYTES = 4096

/** By another program's reading: lines as in `Free blocks: 3-17, 40`. */
function freeBlocksOf(dump: string): ReadonlySet<number> {
  expect(dump).toMatch(/Block size: +4096/)
  const free = new Set<number>()
  for (const [, list = ''] of dump.matchAll(/^ +Free blocks: (.*)$/gm))
    for (const range of list.split(', ').filter((part) => part !== '')) {
      const [first = 0, last = first] = range.split('-').map(Number)
      for (let block = first; block <= last; block += 1) free.add(block)
    }
  return free
}

async function blocksThatDiffer(replica: Replica, id: PointId, oracle: string): Promise<readonly number[]> {
  const point = await replica.openPoint(id)
  const frozen = await openFileReader(oracle)
  const found: number[] = []
  const { reader } = present(point.disks[0], 'it has one')
  for (let offset = 0; offset < reader.bytes; offset += BLOCK_BYTES) {
    const isEqual = (await reader.read(offset, BLOCK_BYTES)).equals(await frozen.read(offset, BLOCK_BYTES))
    if (!isEqual) found.push(offset / BLOCK_BYTES)
  }
  await frozen.close()
  await point.close()
  return found
}

const BURST = `
cd "$1" || exit 1
for i in 1 2 3 4 5 6; do dd if=/dev/urandom of="burst-$i" bs=4k count=60 oflag=dsync status=none; done
`
