import { Outage, Refusal } from '@understudy/base/errors'
import { rateLimit } from '@understudy/block/with-rate-limit'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { type FakeSite, fakeWorld } from '@understudy/simulator/fake-platform'
import { readAll } from '@understudy/simulator/memory-disk'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { describe, expect, test } from 'vitest'
import type { PointWriter, Replica } from '../ports/replica-store.ts'
import { rateClockOf } from './line-limits.ts'
import { type CycleOutcome, type CycleRequest, runCycle } from './run-cycle.ts'

const config = { requestBytes: 65_536, requestsInFlight: 4, firstCopyKeepBytes: 2 ** 18 }

async function newPair(diskBytes = 2 ** 20) {
  const clock = virtualClock()
  const world = fakeWorld(clock)
  const site = world.addSite('a')
  // Silent: every byte that differs was put there by the test.
  const machine = await site.addMachine({
    name: 'web',
    disks: [diskBytes, diskBytes],
    writeEveryMilliseconds: 0,
  })
  const id = 'r' as ReplicaId
  await site.replicas.createReplica({ id, machineName: 'web', compress: false, encrypt: false })
  const replica = await site.replicas.openReplica(id, 1)
  const cycle = (change: Partial<CycleRequest> = {}): Promise<CycleOutcome> =>
    runCycle({
      source: site.source,
      replica,
      ref: machine.ref,
      trackingId: 'us-1',
      excludedDisks: [],
      resyncReason: null,
      consistency: 'crash',
      limits: [],
      config,
      time: clock,
      signal: new AbortController().signal,
      onPlan: async () => {},
      onProgress: () => {},
      ...change,
    })
  const write = (offset: number, byte: number, bytes = 4096) =>
    machine.write(firstDisk(machine), offset, Buffer.alloc(bytes, byte))
  /** The oracle: every disk of the newest point, whole, against the machine now. */
  const expectEqual = async () => {
    const newest = replica.points().at(-1)
    if (!newest) throw new Error('there is a point')
    const copies = await Promise.all(
      (await replica.openPoint(newest.id)).disks.map(({ reader }) => readAll(reader)),
    )
    const disks = await Promise.all(machine.readDisks().map(readAll))
    expect(Buffer.concat(copies).equals(Buffer.concat(disks))).toBe(true)
  }
  return { clock, site, machine, replica, cycle, write, expectEqual }
}

const firstDisk = (machine: Awaited<ReturnType<FakeSite['addMachine']>>) => {
  const [key] = machine.disks.keys()
  if (!key) throw new Error('the machine has a disk')
  return key
}

/** The replica, whose writers are changed on their way out. */
const withWriters = (replica: Replica, change: (writer: PointWriter) => PointWriter): Replica => ({
  ...replica,
  beginPoint: async (base, disks) => change(await replica.beginPoint(base, disks)),
})

const fullDisk = new Outage({ code: 'replica/full', message: 'No space left', remedy: 'Free some.' })

describe('runCycle', () => {
  test('seeds, then moves exactly what changed, zeros included', async () => {
    const { cycle, write, expectEqual, machine } = await newPair()
    await write(0, 1, 20_000)
    const seed = await cycle()
    expect(seed.summary.kind).toBe('seed')
    await expectEqual()
    await write(40_960, 2)
    await machine.disks.get(firstDisk(machine))?.zero(4096, 4096)
    const delta = await cycle()
    expect(delta.summary).toMatchObject({ kind: 'delta', changedBytes: 8192, readBytes: 4096 })
    await expectEqual()
  })

  test('when nothing changed, it reads nothing and seals an empty point', async () => {
    const { cycle, replica } = await newPair()
    await cycle()
    expect((await cycle()).summary).toMatchObject({ kind: 'idle', readBytes: 0, changedBytes: 0 })
    expect(replica.points()).toHaveLength(2)
  })

  test.each(['write', 'seal'] as const)(
    'a failing %s leaves no point, and the older checkpoint still covers everything',
    async (call) => {
      const { cycle, write, replica, expectEqual } = await newPair()
      await write(0, 1)
      await cycle()
      await write(8192, 2)
      const broken = withWriters(replica, (writer) => ({
        ...writer,
        [call]: async () => {
          throw fullDisk
        },
      }))
      await expect(cycle({ replica: broken })).rejects.toBe(fullDisk)
      expect(replica.points()).toHaveLength(1)
      await write(16_384, 3)
      const { summary } = await cycle()
      expect(summary).toMatchObject({ kind: 'delta', changedBytes: 8192 })
      await expectEqual()
    },
  )

  test('aborted in the middle, it seals nothing and the next cycle is a delta', async () => {
    const { cycle, write, replica, expectEqual } = await newPair()
    await cycle()
    await write(0, 1, 500_000)
    const stop = new AbortController()
    const onProgress = () => stop.abort(new DOMException('Paused', 'AbortError'))
    await expect(cycle({ signal: stop.signal, onProgress })).rejects.toMatchObject({ name: 'AbortError' })
    expect(replica.points()).toHaveLength(1)
    expect((await cycle()).summary.kind).toBe('delta')
    await expectEqual()
  })

  test('a point whose source cannot be told is sealed all the same, and the next cycle works', async () => {
    const { cycle, write, site, expectEqual } = await newPair()
    await cycle()
    await write(0, 1)
    const source: typeof site.source = {
      ...site.source,
      openPoint: async (request, signal) => {
        const opened = await site.source.openPoint(request, signal)
        if (opened.kind !== 'opened') return opened
        const release = async () => {
          throw new Outage({ code: 'x/y', message: 'gone', remedy: 'wait' })
        }
        const machines = opened.point.machines.map((machine) => ({ ...machine, release }))
        return { ...opened, point: { ...opened.point, machines } }
      },
    }
    expect((await cycle({ source })).releaseFailure).toMatchObject({ code: 'x/y' })
    await write(4096, 2)
    expect((await cycle()).summary.kind).toBe('delta')
    await expectEqual()
  })

  test('a resync finds what nobody tracked, and copies no more than that', async () => {
    const { cycle, write, machine, expectEqual } = await newPair()
    await write(0, 1, 300_000)
    await cycle()
    machine.dropCheckpoints(() => true)
    await write(100_000, 9, 100)
    await machine.disks.get(firstDisk(machine))?.zero(200_704, 4096)
    const { summary } = await cycle()
    expect(summary).toMatchObject({ kind: 'resync', changedBytes: 8192 })
    expect(summary.reason).toContain('stopped hard')
    await expectEqual()
  })

  test('a resync takes damaged parts of the replica for different and so mends them', async () => {
    const { cycle, write, replica, expectEqual } = await newPair()
    await write(0, 1, 300_000)
    await cycle()
    const damaged = new Refusal({ code: 'replica/damaged', message: 'Wrong checksum', remedy: 'Resync.' })
    const spoilt: Replica = {
      ...replica,
      openPoint: async (id) => {
        const opened = await replica.openPoint(id)
        const disks = opened.disks.map((disk) => ({
          ...disk,
          reader: {
            bytes: disk.bytes,
            close: () => disk.reader.close(),
            read: async (offset: number, bytes: number) => {
              if (offset === 65_536) throw damaged
              return await disk.reader.read(offset, bytes)
            },
          },
        }))
        return { ...opened, disks }
      },
    }
    const resyncReason = { code: 'scrub/damage', message: 'A record is damaged' }
    const { summary } = await cycle({ replica: spoilt, resyncReason })
    expect(summary.kind).toBe('resync')
    expect(summary.changedBytes).toBeGreaterThanOrEqual(65_536)
    await expectEqual()
  })

  test('every limit is kept, and the lowest decides', async () => {
    const { cycle, write, clock } = await newPair()
    await write(0, 1, 1_000_000)
    const startedAt = clock.now()
    const limits = [1_000_000, 100_000].map((rate) =>
      rateLimit(rate, rateClockOf({ clock, sleep: clock.sleep })),
    )
    await clock.until(cycle({ limits }))
    const seconds = (clock.now() - startedAt) / 1000
    expect(seconds).toBeGreaterThan(8)
    expect(seconds).toBeLessThan(25)
  })
})
