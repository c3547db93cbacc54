// What goes to Azure for what is written: requests of neighbours, no zeros, within bounds, and never an older content of a grain.
import { KiB, MiB, TiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointFacts } from '@understudy/domain/recovery-points/recovery-point'
import type { Replica } from '@understudy/engine/ports/replica-store'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { expect, test } from 'vitest'
import { replicaStoreOver } from './azure-store.ts'
import { memoryAccount, memoryCalls, zeroGrains } from './emulator/memory-calls.ts'
import type { AzureLimits } from './limits.ts'
import type { StorageCalls } from './storage-calls.ts'

const id = 'replica' as ReplicaId
const a = 'a' as DiskKey
const facts: PointFacts = {
  instant: 0,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: null,
  cycle: 'seed',
}

type Sent = { readonly kind: 'put' | 'clear'; readonly name: string; readonly bytes: number }

async function open(limits: Partial<AzureLimits> = {}) {
  const account = memoryAccount()
  const calls = memoryCalls(account)
  const sent: Sent[] = []
  const { putPages, clearPages } = calls
  calls.putPages = (name, at, signal) => {
    sent.push({ kind: 'put', name, bytes: at.data.length })
    return putPages(name, at, signal)
  }
  calls.clearPages = (name, at, signal) => {
    sent.push({ kind: 'clear', name, bytes: at.bytes })
    return clearPages(name, at, signal)
  }
  const store = replicaStoreOver(async () => calls, { clock: { now: () => 0 }, limits })
  await store.createReplica({ id, machineName: 'web-1', compress: false, encrypt: false })
  const replica = await store.openReplica(id, 1)
  return { account, calls: calls as StorageCalls, sent, replica }
}

const begin = (replica: Replica, bytes: number) =>
  replica.beginPoint(replica.points().at(-1)?.id ?? null, [{ key: a, bytes }])
const content = (sent: readonly Sent[]): Sent[] => sent.filter(({ name }) => name.endsWith('.vhd'))

test('neighbours go as one request of four MiB, whatever pieces they come in', async () => {
  const { sent, replica } = await open()
  const writer = await begin(replica, 16 * MiB)
  sent.length = 0
  const random = seededRandom(1)
  for (let at = 0; at < 8 * MiB; at += 256 * KiB) await writer.write(a, at, random.bytes(256 * KiB))
  await writer.seal(facts)
  expect(content(sent).map(({ bytes }) => bytes)).toEqual([4 * MiB, 4 * MiB])
  // Eight bytes for each 4 KiB, in one piece.
  expect(sent.filter(({ name }) => name.endsWith('.sums')).map(({ bytes }) => bytes)).toEqual([16 * KiB])
})

test('scattered small writes cost their own pages and an eighth for the sums', async () => {
  const { sent, replica } = await open()
  const first = await begin(replica, 1024 * MiB)
  await first.seal(facts)
  const writer = await begin(replica, 1024 * MiB)
  sent.length = 0
  const random = seededRandom(2)
  const grains = new Set(Array.from({ length: 300 }, () => random.below(1024 * 256)))
  for (const grain of grains) await writer.write(a, grain * 4096, random.bytes(4096))
  await writer.seal(facts)
  const bytes = sent.reduce((sum, one) => sum + one.bytes, 0)
  expect(bytes / (grains.size * 4096)).toBeLessThan(1.2)
})

test('a disk of a tebibyte with little in it never sends a zero, and nothing is cleared where nothing was', async () => {
  const { account, sent, replica } = await open()
  const writer = await begin(replica, TiB)
  const data = seededRandom(3).bytes(64 * KiB)
  data.fill(0, 8 * KiB, 24 * KiB)
  await writer.zero(a, 0, TiB)
  await writer.write(a, 512 * 1024 * MiB, data)
  await writer.write(a, 0, Buffer.alloc(MiB))
  await writer.seal(facts)
  expect(zeroGrains(account)).toBe(0)
  expect(content(sent).filter(({ kind }) => kind === 'clear')).toEqual([])
  expect(content(sent).reduce((sum, { bytes }) => sum + bytes, 0)).toBe(48 * KiB + 512)
})

test('a writer waits while more is on its way than fits, and several requests go at a time', async () => {
  const { calls, replica } = await open({ bufferBytes: 8 * MiB, connections: 3 })
  const writer = await begin(replica, 64 * MiB)
  const { putPages } = calls
  const release: (() => void)[] = []
  calls.putPages = async (...args) => {
    await new Promise<void>((resolve) => release.push(resolve))
    return await putPages(...args)
  }
  const random = seededRandom(4)
  let written = 0
  const all = (async () => {
    for (let at = 0; at < 32 * MiB; at += 4 * MiB) {
      await writer.write(a, at, random.bytes(4 * MiB))
      written += 1
    }
  })()
  await expect.poll(() => release.length).toBe(3)
  // Two fit; the third is taken, and its writer waits.
  expect(written).toBe(2)
  const seal = all.then(() => writer.seal(facts))
  let isSealed = false
  void seal.then(() => {
    isSealed = true
  })
  await expect
    .poll(() => {
      for (const resolve of release.splice(0)) resolve()
      return isSealed
    })
    .toBe(true)
  expect(written).toBe(8)
})

test('a part of a grain is put into the content that was written before, even if that still waits for a connection', async () => {
  const { calls, replica } = await open({ connections: 1, gatherBytes: 4096 })
  const writer = await begin(replica, MiB)
  const { putPages } = calls
  calls.putPages = async (...args) => {
    await new Promise(setImmediate)
    return await putPages(...args)
  }
  const expected = Buffer.alloc(MiB)
  const random = seededRandom(5)
  for (let grain = 0; grain < 64; grain += 2) {
    const data = random.bytes(4096)
    data.copy(expected, grain * 4096)
    await writer.write(a, grain * 4096, data)
  }
  await writer.write(a, 62 * 4096 + 512, Buffer.alloc(512, 1))
  expected.fill(1, 62 * 4096 + 512, 62 * 4096 + 1024)
  const { id: point } = await writer.seal(facts)
  const opened = await replica.openPoint(point)
  const found = await present(opened.disks[0], 'disk a').reader.read(0, MiB)
  expect(found.equals(expected)).toBe(true)
})

test('what a request is sending does not change before it is answered, however much is written meanwhile', async () => {
  const { calls, replica } = await open({ bufferBytes: 64 * MiB, connections: 2 })
  const writer = await begin(replica, 64 * MiB)
  const { putPages } = calls
  let compared = 0
  calls.putPages = async (name, at, signal) => {
    const asked = Buffer.from(at.data)
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(at.data.equals(asked)).toBe(true)
    compared += 1
    return await putPages(name, at, signal)
  }
  const random = seededRandom(6)
  for (let at = 0; at < 40 * MiB; at += 2 * MiB) await writer.write(a, at, random.bytes(2 * MiB))
  await writer.seal(facts)
  expect(compared).toBeGreaterThanOrEqual(10)
})
