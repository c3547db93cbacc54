// Whatever is written, zeroed and forgotten in whatever order: what is taken out is the newest content of every grain, once.
import { KiB, MiB } from '@understudy/base/bytes'
import { isZero } from '@understudy/block/zero-detection'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { expect, test } from 'vitest'
import { type Batch, PendingWindows, Rooms } from './pending-windows.ts'

const GRAIN = 4 * KiB
const WINDOW = 4 * MiB

function contentOf(batch: Batch | undefined): Buffer {
  if (batch === undefined || batch.data === 'zero') throw new Error('there is no content')
  return batch.data
}

test.each([1, 2, 3, 4, 5, 6])('what is taken out is what was put in, seed %i', (seed) => {
  const random = seededRandom(seed)
  const pending = new PendingWindows(new Rooms())
  const grains = (6 * WINDOW) / GRAIN
  const disk = Buffer.alloc(6 * WINDOW)
  const arrived = Buffer.alloc(6 * WINDOW)
  const isPending = new Set<number>()
  const underWay: Batch[] = []
  const send = (batches: readonly Batch[]): void => {
    for (const batch of batches) {
      for (let at = batch.offset; at < batch.offset + batch.bytes; at += GRAIN)
        expect(isPending.delete(at / GRAIN)).toBe(true)
      underWay.push(batch)
    }
  }
  const arrive = (): void => {
    for (const { data, offset, bytes, arrived: done } of underWay.splice(0)) {
      if (data === 'zero') arrived.fill(0, offset, offset + bytes)
      else data.copy(arrived, offset)
      if (data !== 'zero')
        for (let at = 0; at < bytes; at += GRAIN) expect(isZero(data.subarray(at, at + GRAIN))).toBe(false)
      done()
    }
  }
  for (let round = 0; round < 400; round += 1) {
    const first = random.below(grains)
    const count = Math.min(
      grains - first,
      random.below(10) === 0 ? random.below(1500) + 1 : random.below(40) + 1,
    )
    const [offset, bytes] = [first * GRAIN, count * GRAIN]
    const choice = random.below(12)
    if (choice < 8) {
      const data = random.bytes(bytes)
      if (random.below(2) === 0) data.fill(0, random.below(count) * GRAIN, random.below(count + 1) * GRAIN)
      pending.write(offset, data)
      data.copy(disk, offset)
      data.fill(0xee)
    } else if (choice < 10) {
      pending.zero({ offset, bytes })
      disk.fill(0, offset, offset + bytes)
    } else {
      send(choice === 10 ? pending.takeFull() : pending.takeAll())
      // What is under way may arrive late, but before anything newer of the same place is sent: see LivePages.
      arrive()
      continue
    }
    for (let grain = first; grain < first + count; grain += 1) isPending.add(grain)
    const some = first + random.below(count)
    expect(pending.read(some)?.equals(disk.subarray(some * GRAIN, (some + 1) * GRAIN))).toBe(true)
  }
  send(pending.takeAll())
  arrive()
  expect(isPending.size).toBe(0)
  expect(pending.bytes).toBe(0)
  expect(arrived.equals(disk)).toBe(true)
})

test('what is forgotten does not come back, and its neighbours stay', () => {
  const pending = new PendingWindows(new Rooms())
  pending.write(0, Buffer.alloc(3 * WINDOW, 1))
  pending.drop({ offset: WINDOW, bytes: WINDOW })
  expect(pending.read(WINDOW / GRAIN)).toBeUndefined()
  expect(pending.takeAll().map(({ offset, bytes }) => [offset, bytes])).toEqual([
    [0, WINDOW],
    [2 * WINDOW, WINDOW],
  ])
  expect(pending.bytes).toBe(0)
})

test('scattered grains cost themselves and little more, a long write a room', () => {
  const pending = new PendingWindows(new Rooms())
  for (let window = 0; window < 100; window += 1) pending.write(window * WINDOW, Buffer.alloc(GRAIN, 1))
  expect(pending.bytes).toBeLessThan(100 * 6 * KiB)
  pending.write(100 * WINDOW, Buffer.alloc(512 * KiB, 1))
  expect(pending.bytes).toBeGreaterThan(WINDOW)
  // What is sent does not keep the empty part of its room.
  expect(contentOf(pending.takeAll().at(-1)).buffer.byteLength).toBeLessThan(WINDOW)
})

test('a room is used again only when everything of it has arrived', () => {
  const pending = new PendingWindows(new Rooms())
  const content = Buffer.alloc(WINDOW, 1)
  // A hole in the middle: two requests of one room.
  content.fill(0, 2 * MiB, 2 * MiB + GRAIN)
  pending.write(0, content)
  const [first, second] = pending.takeAll().filter(({ data }) => data !== 'zero')
  first?.arrived()
  pending.write(WINDOW, Buffer.alloc(WINDOW, 2))
  expect(contentOf(second).every((byte) => byte === 1)).toBe(true)
})
