// A first copy that is interrupted, in whatever way, goes on. The oracle: the disks at the instant at which the source was opened, or settled.
import { KiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { readAll } from '@understudy/simulator/memory-disk'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { type SimulatedProcess, simulatedProcess } from '@understudy/simulator/simulated-process'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { describe, expect, test } from 'vitest'
import type { Replica } from '../ports/replica-store.ts'
import type { SourcePlatform } from '../ports/source-platform.ts'
import { type CycleOutcome, type CycleRequest, runCycle } from './run-cycle.ts'

const replicaId = 'r' as ReplicaId
const DISKS = [512 * KiB, 256 * KiB]
const KEEP = 64 * KiB

async function newPair(seed = 1, settles = false) {
  const random = seededRandom(seed)
  const clock = virtualClock()
  const world = fakeWorld(clock)
  const site = world.addSite('a')
  const machine = await site.addMachine({ name: 'web', disks: DISKS, writeEveryMilliseconds: 0 })
  machine.settles = settles
  const keys = [...machine.disks.keys()]
  const write = (disk: number, offset: number, data: Buffer) =>
    machine.write(present(keys[disk], 'it has this disk'), offset, data)
  // Data with holes: zeros are copied as zeros.
  for (const [index, bytes] of DISKS.entries())
    for (let at = 0; at < bytes; at += 32 * KiB)
      if (random.below(4) > 0) await write(index, at, random.bytes(32 * KiB))
  await site.replicas.createReplica({ id: replicaId, machineName: 'web', compress: false, encrypt: false })
  const content = async () => Buffer.concat(await Promise.all(machine.readDisks().map(readAll)))
  let atInstant = Promise.resolve(Buffer.alloc(0))
  machine.onSettled = () => {
    atInstant = content()
  }
  const source: SourcePlatform = {
    ...site.source,
    async openPoint(request, signal) {
      const opened = await site.source.openPoint(request, signal)
      atInstant = content()
      await atInstant
      return opened
    },
  }
  /** The machine goes on while it is copied. */
  const writeAnywhere = async () => {
    const disk = random.below(2)
    await write(disk, random.below(present(DISKS[disk], 'a disk') / 4096) * 4096, random.bytes(4096))
  }
  if (settles) machine.whileSettling = writeAnywhere
  let writtenBytes = 0
  const counted = (replica: Replica): Replica => ({
    ...replica,
    async beginPoint(base, disks) {
      const writer = await replica.beginPoint(base, disks)
      return {
        ...writer,
        async write(disk, offset, data, signal) {
          writtenBytes += data.length
          await writer.write(disk, offset, data, signal)
        },
      }
    },
  })
  let epoch = 0
  const cycle = async (
    change: Partial<CycleRequest> = {},
    process?: SimulatedProcess,
  ): Promise<CycleOutcome> => {
    epoch += 1
    const replica = await site.replicas.openReplica(replicaId, epoch)
    const through = <Outside extends object>(outside: Outside): Outside => process?.wrap(outside) ?? outside
    await clock.advance(1000)
    return await runCycle({
      source: through(source),
      replica: through(counted(replica)),
      ref: machine.ref,
      trackingId: 'us-1',
      excludedDisks: [],
      resyncReason: null,
      consistency: 'crash',
      limits: [],
      config: { requestBytes: 16 * KiB, requestsInFlight: 2, firstCopyKeepBytes: KEEP },
      time: clock,
      signal: new AbortController().signal,
      onPlan: async () => {},
      onProgress: () => void writeAnywhere(),
      ...change,
    })
  }
  const read = () => site.replicas.openReplica(replicaId, null)
  const expectEqual = async (where = '') => {
    const replica = await read()
    const newest = present(replica.points().at(-1), 'there is a point')
    const { disks } = await replica.openPoint(newest.id)
    const copy = Buffer.concat(await Promise.all(disks.map(({ reader }) => readAll(reader))))
    expect(copy.equals(await atInstant), where).toBe(true)
  }
  /** Aborts when so many bytes were copied. */
  const abortAt = (bytes: number, machine: 'busy' | 'quiet' = 'busy'): Partial<CycleRequest> => {
    const stop = new AbortController()
    return {
      signal: stop.signal,
      onProgress: ({ doneBytes }) => {
        if (machine === 'busy') void writeAnywhere()
        if (doneBytes >= bytes) stop.abort(new Error('it was interrupted'))
      },
    }
  }
  return {
    machine,
    writtenBytes: () => writtenBytes,
    cycle,
    read,
    write,
    writeAnywhere,
    expectEqual,
    abortAt,
  }
}

describe('a first copy', () => {
  test.each([false, true])(
    'that is interrupted again and again reads what changed and the rest, and is no point before it is whole (a machine that settles: %s)',
    async (settles) => {
      const { cycle, read, expectEqual, abortAt } = await newPair(1, settles)
      await expect(cycle(abortAt(300 * KiB))).rejects.toThrow('interrupted')
      expect((await read()).points()).toEqual([])
      expect((await read()).unfinished()).not.toBeNull()
      await expect(cycle(abortAt(600 * KiB))).rejects.toThrow('interrupted')
      let [planned, amount, before] = ['', 0, 0]
      const { point, summary } = await cycle({
        onPlan: async ({ kind, ...plan }, { diskBytes }) => {
          planned = `${kind} ${'reason' in plan ? plan.reason.code : ''}`
          amount = diskBytes
        },
        onProgress: ({ phase, beforeBytes = 0 }) => {
          if (phase === 'copying') before = Math.max(before, beforeBytes)
        },
      })
      // The speed is of what this attempt copies, and the time that it takes too.
      expect(before).toBeGreaterThan(400 * KiB)
      expect(amount + before).toBe(768 * KiB)
      expect(planned).toBe('seed cycle/first-goes-on')
      expect(summary.kind).toBe('seed')
      // All of it would be twice as much.
      expect(summary.readBytes).toBeLessThan(400 * KiB)
      expect(point).not.toHaveProperty('unfinished')
      await expectEqual()
      expect((await cycle()).summary.kind).toBe('delta')
      await expectEqual()
    },
  )

  test('of a machine that has written nothing meanwhile is gone on with, too', async () => {
    const { cycle, expectEqual, abortAt } = await newPair()
    await expect(cycle(abortAt(400 * KiB, 'quiet'))).rejects.toThrow('interrupted')
    await expect(cycle({ onProgress: () => {} })).resolves.toMatchObject({ summary: { kind: 'seed' } })
    await expectEqual()
  })

  test.each([false, true])(
    'is compared, as far as it is there, where nobody knows what has changed since, and says so (a machine that settles: %s)',
    async (settles) => {
      const { cycle, machine, writtenBytes, writeAnywhere, expectEqual, abortAt } = await newPair(1, settles)
      await expect(cycle(abortAt(600 * KiB))).rejects.toThrow('interrupted')
      machine.dropCheckpoints(() => true)
      for (let writes = 0; writes < 4; writes += 1) await writeAnywhere()
      let since: string | null = ''
      const before = writtenBytes()
      const { summary } = await cycle({
        onPlan: async (plan) => {
          if (plan.kind === 'seed') since = plan.since
        },
        onProgress: () => {},
      })
      expect(since).toBeNull()
      expect(summary.reason).toContain('compared')
      expect(writtenBytes() - before).toBeLessThan(400 * KiB)
      await expectEqual()
    },
  )

  test('of a machine that has lost a disk meanwhile and got another is whole', async () => {
    const { cycle, machine, expectEqual, abortAt, read } = await newPair()
    await expect(cycle(abortAt(700 * KiB))).rejects.toThrow('interrupted')
    expect((await read()).unfinished()?.disks).toHaveLength(2)
    await cycle({ excludedDisks: [present([...machine.disks.keys()][0], 'a disk')] })
    expect((await read()).points().at(-1)?.disks).toHaveLength(1)
    await cycle()
    await expectEqual()
  })

  test.each([
    [1, false],
    [2, false],
    [3, false],
    [1, true],
    [2, true],
  ])(
    'whose process dies anywhere goes on and is right (seed %i, a machine that settles: %s)',
    async (seed, settles) => {
      let resumed = 0
      let deaths = 0
      for (const moment of ['before', 'after'] as const)
        for (let call = 1; ; call += 3) {
          const { cycle, read, writeAnywhere, expectEqual } = await newPair(seed, settles)
          const process = simulatedProcess({ call, moment })
          const over = await Promise.race([
            cycle({}, process).then(() => true),
            process.died.then(() => false),
          ])
          if (over) break
          deaths += 1
          const replica = await read()
          const isWhole = replica.points().length > 0
          const goesOn = !isWhole && replica.unfinished() !== null
          if (goesOn) resumed += 1
          await writeAnywhere()
          const { summary } = await cycle()
          const where = `killed ${moment} call ${call} (${process.lastCall})`
          expect(summary.kind, where).toBe(isWhole ? 'delta' : 'seed')
          expect(summary.reason ?? '', where).toContain(goesOn ? 'behind' : '')
          await expectEqual(where)
        }
      expect(resumed).toBeGreaterThan(deaths / 3)
    },
  )
})
