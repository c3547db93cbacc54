// A machine that writes on while it is copied. The oracle: its disks at the instant that it said was the point's.
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { CutId } from '@understudy/domain/recovery-points/recovery-point'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { readAll } from '@understudy/simulator/memory-disk'
import { type SimulatedProcess, simulatedProcess } from '@understudy/simulator/simulated-process'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { describe, expect, test } from 'vitest'
import { groupSeats } from './group-opening.ts'
import { type CycleOutcome, type CycleRequest, runCycle } from './run-cycle.ts'

const GRAIN = 4096
const replicaId = 'r' as ReplicaId

async function newPair() {
  const clock = virtualClock()
  const world = fakeWorld(clock)
  const site = world.addSite('a')
  const machine = await site.addMachine({ name: 'web', disks: [2 ** 20, 2 ** 18], writeEveryMilliseconds: 0 })
  const key = present([...machine.disks.keys()][0], 'it has a disk')
  machine.settles = true
  await site.replicas.createReplica({ id: replicaId, machineName: 'web', compress: false, encrypt: false })
  const content = async () => Buffer.concat(await Promise.all(machine.readDisks().map(readAll)))
  /** By instant: what the disks were. */
  const seen = new Map<number, Buffer>()
  machine.onSettled = () => {
    const now = clock.now()
    void content().then((bytes) => seen.set(now, bytes))
  }
  let epoch = 0
  /** As a process that starts now would do it; every call outside goes through `process`. */
  const cycle = async (
    change: Partial<CycleRequest> = {},
    process?: SimulatedProcess,
  ): Promise<CycleOutcome> => {
    epoch += 1
    const replica = await site.replicas.openReplica(replicaId, epoch)
    const through = <Outside extends object>(outside: Outside): Outside => process?.wrap(outside) ?? outside
    await clock.advance(1000)
    return await runCycle({
      source: through(site.source),
      replica: through(replica),
      ref: machine.ref,
      trackingId: 'us-1',
      excludedDisks: [],
      resyncReason: null,
      consistency: 'crash',
      limits: [],
      config: { requestBytes: 65_536, requestsInFlight: 4, firstCopyKeepBytes: 2 ** 17 },
      time: clock,
      signal: new AbortController().signal,
      onPlan: async () => {},
      onProgress: () => {},
      ...change,
    })
  }
  const write = (grain: number, byte: number) => machine.write(key, grain * GRAIN, Buffer.alloc(GRAIN, byte))
  const points = async () => (await site.replicas.openReplica(replicaId, null)).points()
  const expectPointsEqual = async () => {
    const replica = await site.replicas.openReplica(replicaId, null)
    for (const { id, instant } of replica.points()) {
      const { disks } = await replica.openPoint(id)
      const copy = Buffer.concat(await Promise.all(disks.map(({ reader }) => readAll(reader))))
      expect(copy.equals(present(seen.get(instant), 'a sealed point had its instant')), `point ${id}`).toBe(
        true,
      )
    }
  }
  return { clock, site, machine, cycle, write, points, expectPointsEqual }
}

/** Writes something else at every call: between the rounds, and after the instant. */
function restless(write: (grain: number, byte: number) => Promise<void>): () => Promise<void> {
  let calls = 0
  return async () => {
    calls += 1
    await write(calls % 5, calls % 251)
    await write(40 + (calls % 7), calls % 251)
  }
}

describe('a machine that settles', () => {
  test('has points that equal its disks at the instant it named, however it writes meanwhile', async () => {
    const { machine, cycle, write, expectPointsEqual } = await newPair()
    machine.whileSettling = restless(write)
    for (let grain = 0; grain < 60; grain += 1) await write(grain, 200)
    for (const kind of ['seed', 'delta', 'delta'] as const) {
      const { point, summary } = await cycle()
      expect(summary).toMatchObject({ kind, pauseMilliseconds: 40 })
      expect(point.checkpoint).not.toBeNull()
      await write(17, point.instant % 251)
    }
    await expectPointsEqual()
  })

  test('in a resync, a block that was changed and is back to what it was is right in the point', async () => {
    const { machine, cycle, write, points, expectPointsEqual } = await newPair()
    await write(3, 1)
    await cycle()
    machine.dropCheckpoints(() => true)
    // The first pass finds the change and writes it; then it is undone, and a comparison with the base would see nothing to do.
    await write(3, 2)
    machine.whileSettling = async () => write(3, 1)
    expect((await cycle()).summary.kind).toBe('resync')
    expect(await points()).toHaveLength(2)
    await expectPointsEqual()
  })

  test('that cannot be held still has no point, and the older checkpoint covers all that was written', async () => {
    const { machine, site, cycle, write, points, expectPointsEqual } = await newPair()
    await write(0, 1)
    await cycle()
    await write(1, 2)
    const tooFast = new Outage({
      code: 'x/too-fast',
      message: 'It writes faster than it is read',
      remedy: 'Wait.',
    })
    const source: typeof site.source = {
      ...site.source,
      openPoint: async (request, signal) => {
        const opened = await site.source.openPoint(request, signal)
        if (opened.kind !== 'opened') return opened
        const machines = opened.point.machines.map((one) => ({
          ...one,
          settle: async (...[copy, stop]: Parameters<NonNullable<typeof one.settle>>) => {
            await one.settle?.(copy, stop)
            throw tooFast
          },
        }))
        return { ...opened, point: { ...opened.point, machines } }
      },
    }
    machine.whileSettling = async () => write(2, 3)
    await expect(cycle({ source })).rejects.toBe(tooFast)
    expect(await points()).toHaveLength(1)
    machine.whileSettling = null
    const { summary } = await cycle()
    expect(summary).toMatchObject({ kind: 'delta', changedBytes: 2 * GRAIN })
    await expectPointsEqual()
  })

  test('a process that dies anywhere in it leaves the old newest point or the new one, each of them right', async () => {
    const crashes: string[] = []
    for (const moment of ['before', 'after'] as const)
      for (let call = 1; ; call += 1) {
        const { machine, cycle, write, points, expectPointsEqual } = await newPair()
        machine.whileSettling = restless(write)
        for (let grain = 0; grain < 30; grain += 1) await write(grain, 200)
        await cycle()
        await write(9, call % 251)
        const process = simulatedProcess({ call, moment })
        const over = await Promise.race([cycle({}, process).then(() => true), process.died.then(() => false)])
        if (over) break
        crashes.push(process.lastCall)
        const sealed = (await points()).length
        await write(11, 77)
        await cycle()
        expect((await points()).length, `killed ${moment} ${process.lastCall}`).toBe(sealed + 1)
        await expectPointsEqual()
      }
    // It has died before, in and after it.
    expect(crashes.some((call) => call.endsWith('.settle'))).toBe(true)
    expect(crashes.filter((call) => call.endsWith('.write')).length).toBeGreaterThan(4)
    expect(crashes.some((call) => call.endsWith('.seal'))).toBe(true)
  })

  test('has no instant together with others: all of the group are opened alone, and it is said why', async () => {
    const { site, machine, clock } = await newPair()
    const other = await site.addMachine({ name: 'db', disks: [2 ** 17], writeEveryMilliseconds: 0 })
    const failures: unknown[] = []
    const seats = groupSeats({
      id: 'g' as never,
      members: ['web', 'db'] as never,
      newCut: () => 'cut' as CutId,
      patience: () => new Promise(() => {}),
      lanes: 1,
      onOpened: (failure) => failures.push(failure),
    })
    // As the engine does it: what is copied in full is opened alone anyway.
    const marks = [machine, other].map((each) => each.addCheckpoint('t', []).id)
    const opened = [...seats.values()].map((seat, index) =>
      seat.open({
        source: site.source,
        machine: {
          ref: [machine, other][index]?.ref ?? machine.ref,
          trackingId: 't',
          since: present(marks[index], 'it has a mark'),
          excludedDisks: [],
        },
        consistency: 'crash',
        signal: new AbortController().signal,
      }),
    )
    expect(await Promise.all(opened)).toEqual([null, null])
    expect(failures).toMatchObject([{ code: 'group/no-common-instant', name: 'Refusal' }])
    // Nothing of the attempt is left at the source.
    expect([machine, other].map(({ checkpoints }) => [...checkpoints.keys()])).toEqual(
      marks.map((mark) => [mark]),
    )
    expect(clock.now()).toBeGreaterThanOrEqual(0)
  })
})
