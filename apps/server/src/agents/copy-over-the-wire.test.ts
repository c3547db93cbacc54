// Cycles of a server with an agent, with all that goes between the two as texts and frames, and a control plane that is killed at every step. The
// oracle: the disks at the instant of the point.
import { KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { type RateLimit, rateLimit } from '@understudy/block/with-rate-limit'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { wireLab } from '@understudy/drivers/physical/wire-lab'
import { type CycleRequest, runCycle } from '@understudy/engine/replication/run-cycle'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { readAll } from '@understudy/simulator/memory-disk'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { type SimulatedProcess, simulatedProcess } from '@understudy/simulator/simulated-process'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { afterEach, expect, test } from 'vitest'

const replicaId = 'r' as ReplicaId
const GRAIN = 4 * KiB
const labs: ReturnType<typeof wireLab>[] = []
afterEach(async () => {
  for (const lab of labs.splice(0)) await lab.close()
})

async function newPair(settles: boolean, disks: readonly number[] = [512 * KiB, 256 * KiB]) {
  const random = seededRandom(3)
  const clock = virtualClock()
  const site = fakeWorld(clock).addSite('a')
  const machine = await site.addMachine({ name: 'db', disks: [...disks], writeEveryMilliseconds: 0 })
  machine.settles = settles
  const lab = wireLab(site.source, () => clock.now())
  labs.push(lab)
  const keys = [...machine.disks.keys()]
  const write = (disk: number, grain: number) =>
    machine.write(present(keys[disk], 'a disk'), grain * GRAIN, random.bytes(GRAIN))
  const writeAnywhere = () => write(0, random.below(present(disks[0], 'a disk') / GRAIN))
  for (const [disk, bytes] of disks.entries())
    for (let grain = 0; grain < bytes / GRAIN; grain += 1) await write(disk, grain)
  await site.replicas.createReplica({ id: replicaId, machineName: 'db', compress: false, encrypt: false })
  const content = async () => Buffer.concat(await Promise.all(machine.readDisks().map(readAll)))
  let atInstant = content()
  const { addCheckpoint } = machine
  machine.addCheckpoint = (...args) => {
    if (!settles) atInstant = content()
    return addCheckpoint(...args)
  }
  machine.onSettled = () => {
    atInstant = content()
  }
  machine.whileSettling = writeAnywhere
  let epoch = 0
  const cycle = async (change: Partial<CycleRequest> = {}, process?: SimulatedProcess) => {
    epoch += 1
    const replica = await site.replicas.openReplica(replicaId, epoch)
    const through = <Outside extends object>(outside: Outside): Outside => process?.wrap(outside) ?? outside
    await clock.advance(1000)
    return await runCycle({
      source: through(lab.source),
      replica: through(replica),
      ref: machine.ref,
      trackingId: 'us-1',
      excludedDisks: [],
      resyncReason: null,
      consistency: 'crash',
      limits: [],
      config: { requestBytes: 64 * KiB, requestsInFlight: 4, firstCopyKeepBytes: 128 * KiB },
      time: clock,
      signal: new AbortController().signal,
      onPlan: async () => {},
      onProgress: () => void writeAnywhere(),
      ...change,
    })
  }
  const read = () => site.replicas.openReplica(replicaId, null)
  const expectEqual = async (where: string) => {
    const replica = await read()
    const { disks: opened } = await replica.openPoint(present(replica.points().at(-1), 'a point').id)
    const copy = Buffer.concat(await Promise.all(opened.map(({ reader }) => readAll(reader))))
    expect(copy.equals(await atInstant), where).toBe(true)
  }
  return { ...lab, machine, cycle, read, write, writeAnywhere, expectEqual }
}

test.each([
  [false, false],
  [true, false],
  [true, true],
])(
  'a first copy whose control plane is killed anywhere goes on where it was, also when the agent was started anew (settles: %s, agent anew: %s)',
  async (settles, agentToo) => {
    let goneOn = 0
    let sealed = 0
    for (const moment of ['before', 'after'] as const)
      for (let call = 1; ; call += 2) {
        const { cycle, read, machine, restartAgents, writeAnywhere, expectEqual } = await newPair(settles)
        const process = simulatedProcess({ call, moment })
        const over = await Promise.race([cycle({}, process).then(() => true), process.died.then(() => false)])
        if (over) break
        const where = `killed ${moment} call ${call} (${process.lastCall})`
        const replica = await read()
        const isWhole = replica.points().length > 0
        const goesOn = !isWhole && replica.unfinished() !== null
        if (agentToo) {
          // Nothing of what it tracked is left.
          restartAgents()
          machine.dropCheckpoints(() => true)
        }
        await writeAnywhere()
        const { summary } = await cycle()
        if (!agentToo) expect(summary.kind, where).toBe(isWhole ? 'delta' : 'seed')
        if (goesOn) expect(summary.reason, where).toContain(agentToo ? 'compared' : 'behind')
        await expectEqual(where)
        goneOn += goesOn ? 1 : 0
        sealed += isWhole ? 1 : 0
      }
    expect(goneOn).toBeGreaterThan(5)
    // Killed between seal and release: all of it stays a delta.
    expect(sealed).toBeGreaterThan(0)
  },
)

test.each([false, true])(
  'a comparison of everything carries what differs, and not the disk (a server that settles: %s)',
  async (settles) => {
    const { cycle, machine, world, write, expectEqual } = await newPair(settles, [32 * MiB, MiB])
    machine.whileSettling = null
    const quiet = { onProgress: () => {} }
    await cycle(quiet)
    const whole = world.carriedBytes
    expect(whole).toBeGreaterThan(32 * MiB)
    machine.dropCheckpoints(() => true)
    for (const grain of [3, 700, 5000]) await write(0, grain)
    let besideDisks = false
    const { summary } = await cycle({
      ...quiet,
      onPlan: async (_plan, work) => {
        besideDisks = work.besideDisks
      },
    })
    expect(summary.kind).toBe('resync')
    expect(besideDisks).toBe(true)
    await expectEqual('after the comparison')
    expect(world.carriedBytes - whole, 'bytes carried').toBeLessThan(3 * 64 * KiB + 10_000)
    expect(world.asked.filter((kind) => kind === 'digest-disk').length).toBeLessThan(10)
  },
)

test.each([false, true])(
  'what is read of a server passes the limits of its line, and digests as what they are on it (a server that settles: %s)',
  async (settles) => {
    const { cycle, machine, write } = await newPair(settles, [4 * MiB])
    machine.whileSettling = null
    let taken = 0
    const limit: RateLimit = {
      ...rateLimit(null, { nowMs: () => 0, pause: async () => {} }),
      async take(bytes) {
        taken += bytes
      },
    }
    const limited = { limits: [limit], onProgress: () => {} }
    const { summary } = await cycle(limited)
    expect(taken).toBe(summary.readBytes)
    expect(taken).toBeGreaterThanOrEqual(4 * MiB)
    machine.dropCheckpoints(() => true)
    await write(0, 3)
    taken = 0
    expect((await cycle(limited)).summary.kind).toBe('resync')
    // What differs, and 32 bytes for each MiB of the disk and for each leaf of the one that differs.
    expect(taken).toBe(64 * KiB + (4 + 16) * 32)
    await write(0, 7)
    taken = 0
    await cycle(limited)
    expect(taken).toBe(GRAIN)
  },
)
