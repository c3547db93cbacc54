// The process dies after every single request of a point, of its end, and of the last changes of a machine that is off; answers are lost at
// every request. Whatever the moment: the next point has the right bytes, from a difference or from everything, and nothing of ours is left.
import { MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform, SourcePoint } from '@understudy/engine/ports/source-platform'
import {
  anywhere,
  applyChanges,
  diskKeys,
  expectEqual,
  request,
  testBoot,
  testRun,
} from '@understudy/simulator/contracts/platform-harness'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { expect, test, vi } from 'vitest'
import type { Fault } from '../double/double-parts.ts'
import { Died, mortalProcess } from '../mortal-process.ts'
import { type TestSite, testSite } from '../test-site.ts'
import { azureSource } from './azure-source.ts'
import { snapshotCalls } from './snapshot-calls.ts'

vi.setConfig({ testTimeout: 240_000 })

const SNAPSHOT = 'Microsoft.Compute/snapshots'
const random = seededRandom(11)

/** What is at the other side: a replica with its newest checkpoint, kept as the engine keeps them. */
type Replica = { since: string | null; content: ReadonlyMap<DiskKey, Buffer> }

async function runningMachine(
  workRequests = 1,
): Promise<{ site: TestSite; ref: MachineRef; keys: readonly DiskKey[] }> {
  const site = await testSite({}, workRequests)
  await site.addMachine('other', [MiB])
  const ref = await site.addMachine('web', [MiB, MiB])
  return { site, ref, keys: await diskKeys(site.source, ref) }
}

/** A process of ours that dies after so many requests, whether to Resource Manager or to the pages of snapshots. */
function mortal(site: TestSite, after = Infinity): { source: SourcePlatform; readonly requests: number } {
  const process = mortalProcess(site.double, site.parts.storage, after)
  const { arm } = process.parts
  const pages = snapshotCalls({ client: process.line, pause: async () => {} })
  const source = azureSource({ ...site.sourceParts, arm, pages })
  return {
    source,
    get requests() {
      return process.requests
    },
  }
}

async function guestWrites(site: TestSite, ref: MachineRef, keys: readonly DiskKey[]): Promise<void> {
  for (const key of keys) {
    const offset = random.below(MiB / 4096 - 1) * 4096
    await site.writeToDisk(ref, key, offset, random.chance(0.3) ? Buffer.alloc(4096) : random.bytes(4096))
  }
}

/** One cycle as the engine runs it: changes over the older content, a seal, then the release. */
async function cycle(source: SourcePlatform, ref: MachineRef, replica: Replica): Promise<'delta' | 'whole'> {
  const open = async (since: string | null) =>
    await source.openPoint({ machines: [request(ref, since)], consistency: 'crash' })
  const first = await open(replica.since)
  const isDelta = first.kind === 'opened' && replica.since !== null
  const opened = first.kind === 'opened' ? first : await open(null)
  if (opened.kind !== 'opened') throw new Error('tracking was lost while it was set up')
  const point: SourcePoint = opened.point
  const machine = present(point.machines[0], 'the machine')
  let sealed = false
  try {
    const content = new Map<DiskKey, Buffer>()
    for (const disk of machine.disks) {
      const base = isDelta
        ? (replica.content.get(disk.key) ?? Buffer.alloc(0))
        : Buffer.alloc(disk.bytes, 0xee)
      content.set(disk.key, (await applyChanges(base, disk)).content)
    }
    replica.content = content
    replica.since = machine.checkpoint
    sealed = true
  } finally {
    await point.release(sealed)
  }
  return isDelta ? 'delta' : 'whole'
}

async function expectReplica(site: TestSite, ref: MachineRef, replica: Replica, when: string): Promise<void> {
  for (const [key, content] of replica.content) {
    const disk = site.diskOf(ref, key)
    expectEqual(content, await disk.read(0, disk.bytes), `disk ${key}, ${when}`)
  }
}

/** One snapshot of each disk, which nobody can read. */
function expectTidy(site: TestSite, disks: number, when: string): void {
  const snapshots = site.double.ofType(SNAPSHOT)
  expect(snapshots.length, `snapshots, ${when}`).toBe(disks)
  expect(
    snapshots.filter(({ signature }) => signature !== undefined).map(({ name }) => name),
    when,
  ).toEqual([])
}

test('a cycle that dies after any of its requests is followed by one with the right bytes, and nothing is left', async () => {
  const { site, ref, keys } = await runningMachine()
  const replica: Replica = { since: null, content: new Map() }
  await cycle(site.source, ref, replica)
  await guestWrites(site, ref, keys)
  const whole = mortal(site)
  expect(await cycle(whole.source, ref, replica)).toBe('delta')
  expectTidy(site, 2, 'undisturbed')
  expect(whole.requests).toBeGreaterThan(20)
  let deltas = 0
  for (let after = 0; after < whole.requests; after += 1) {
    await guestWrites(site, ref, keys)
    await cycle(mortal(site, after).source, ref, replica).catch(() => {})
    await guestWrites(site, ref, keys)
    if ((await cycle(site.source, ref, replica)) === 'delta') deltas += 1
    await expectReplica(site, ref, replica, `after request ${after}`)
    expectTidy(site, 2, `after request ${after}`)
  }
  expect(deltas, 'a death costs no full copy').toBe(whole.requests)
  expect(site.double.violations).toEqual([])
})

test('an answer that is lost at any request of a cycle costs nothing', async () => {
  const { site, ref, keys } = await runningMachine()
  const replica: Replica = { since: null, content: new Map() }
  await cycle(site.source, ref, replica)
  const whole = mortal(site)
  await cycle(whole.source, ref, replica)
  for (let lost = 0; lost < whole.requests; lost += 1) {
    await guestWrites(site, ref, keys)
    let count = -1
    site.double.fault = () => {
      count += 1
      return count === lost ? { kind: 'lost-answer' } : null
    }
    expect(await cycle(site.source, ref, replica), `without the answer to request ${lost}`).toBe('delta')
    await expectReplica(site, ref, replica, `without the answer to request ${lost}`)
    expectTidy(site, 2, `without the answer to request ${lost}`)
  }
})

test('the last changes of a machine that is off are right, whatever died before', async () => {
  const { site, ref, keys } = await runningMachine()
  const replica: Replica = { since: null, content: new Map() }
  await cycle(site.source, ref, replica)
  await guestWrites(site, ref, keys)
  await site.source.shutDown(ref, { timeoutSeconds: 60 })
  const options = { excludedDisks: [], trackingId: 'owner-1', since: replica.since }
  const read = async (source: SourcePlatform): Promise<void> => {
    const stopped = await source.openStoppedDisks(ref, options)
    expect(stopped.sinceKnown).toBe(true)
    for (const disk of stopped.disks) {
      const { content } = await applyChanges(present(replica.content.get(disk.key), 'read before'), disk)
      expectEqual(content, await site.diskOf(ref, disk.key).read(0, disk.bytes), `disk ${disk.key}`)
    }
    await stopped.close()
  }
  const whole = mortal(site)
  await read(whole.source)
  expectTidy(site, 2, 'undisturbed')
  for (let after = 0; after < whole.requests; after += 1) {
    await read(mortal(site, after).source).catch(() => {})
    await read(site.source)
    expectTidy(site, 2, `after request ${after}`)
  }
})

test('what a run keeps for its way back goes with the run, whatever died before', async () => {
  const site = await testSite()
  const before = site.things()
  const runId = testRun('way-back')
  const point = Buffer.alloc(MiB)
  random.bytes(8192).copy(point, 4096)
  const spec = () =>
    testBoot([point], { runId, network: site.openSubnet, mode: 'failover', trackingId: 'owner-1' }).spec
  const first = await site.target.boot(spec())
  const replica: Replica = { since: first.checkpoint, content: new Map([['disk0' as DiskKey, point]]) }
  const whole = mortal(site)
  expect(await cycle(whole.source, first.ref, replica)).toBe('delta')
  await site.target.destroy(runId, anywhere)
  for (let after = 0; after < whole.requests; after += 1) {
    const { ref, checkpoint } = await site.target.boot(spec())
    const again: Replica = { since: checkpoint, content: new Map([['disk0' as DiskKey, point]]) }
    await site.writeToDisk(ref, 'disk0' as DiskKey, 65536, random.bytes(4096))
    await cycle(mortal(site, after).source, ref, again).catch(() => {})
    await site.target.destroy(runId, anywhere)
    expect(site.things(), `nothing is left after request ${after}`).toEqual(before)
  }
})

const seeds =
  process.env.UNDERSTUDY_SEED === undefined ? [1, 2, 3, 4, 5, 6] : [Number(process.env.UNDERSTUDY_SEED)]

const troubles: readonly Fault[] = [
  { kind: 'lost-answer' },
  { kind: 'no-line' },
  { kind: 'answer', status: 429, code: 'TooManyRequests', message: 'Too many', retryAfterSeconds: 0 },
  { kind: 'answer', status: 409, code: 'AnotherOperationInProgress', message: 'Another operation' },
  { kind: 'answer', status: 500, code: 'InternalServerError', message: 'Trouble' },
  { kind: 'work-fails', code: 'InternalExecutionError', message: 'It failed' },
]

test.each(seeds)('bad days in a row end in a replica that equals the machine (seed %i)', async (seed) => {
  const chance = seededRandom(seed)
  const { site, ref, keys } = await runningMachine(1 + chance.below(4))
  const replica: Replica = { since: null, content: new Map() }
  for (let life = 0; life < 12; life += 1) {
    site.double.fault = () =>
      chance.below(15) === 0 ? (troubles[chance.below(troubles.length)] ?? null) : null
    const { source } = mortal(site, 5 + chance.below(120))
    for (let count = 0; count < 2; count += 1) {
      await guestWrites(site, ref, keys)
      await cycle(source, ref, replica).catch((error: unknown) => {
        // Whatever happens, it is told as what it is.
        if (!(error instanceof Outage || error instanceof Refusal || error instanceof Died)) throw error
      })
    }
  }
  site.double.fault = () => null
  await guestWrites(site, ref, keys)
  await cycle(site.source, ref, replica)
  await expectReplica(site, ref, replica, `seed ${seed}`)
  await cycle(site.source, ref, replica)
  expectTidy(site, 2, `seed ${seed}`)
  expect(site.double.violations).toEqual([])
})
