import { KiB, MiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import { memoryDevice } from './memory-device.ts'
import { type RateClock, rateLimit, withRateLimit } from './with-rate-limit.ts'

/** Time passes only while somebody waits, and `at` runs things when their moment has come. */
function fakeClock(): RateClock & { at(milliseconds: number, act: () => void): void } {
  let now = 0
  const planned: { readonly time: number; readonly act: () => void }[] = []
  return {
    nowMs: () => now,
    pause: async (milliseconds, signal) => {
      signal.throwIfAborted()
      now += milliseconds
      for (const plan of planned.filter(({ time }) => time <= now)) {
        planned.splice(planned.indexOf(plan), 1)
        plan.act()
      }
      signal.throwIfAborted()
    },
    at: (time, act) => planned.push({ time, act }),
  }
}
const takeAll = async (limit: ReturnType<typeof rateLimit>, count: number, bytes: number): Promise<void> => {
  await Promise.all(Array.from({ length: count }, () => limit.take(bytes)))
}

test.each([4 * KiB, 256 * KiB, 8 * MiB])('holds 10 MiB/s for requests of %d bytes', async (bytes) => {
  const clock = fakeClock()
  const limit = rateLimit(10 * MiB, clock)
  await takeAll(limit, (80 * MiB) / bytes, bytes)
  const seconds = clock.nowMs() / 1000
  // The last request is not waited for, and the first tenth of a second may be ahead.
  expect(seconds).toBeGreaterThan(8 - bytes / (10 * MiB) - 0.2)
  expect(seconds).toBeLessThan(8.3)
})

test('an idle hour saves up no more than a tenth of a second', async () => {
  const clock = fakeClock()
  const limit = rateLimit(10 * MiB, clock)
  await clock.pause(3_600_000, new AbortController().signal)
  const start = clock.nowMs()
  await takeAll(limit, 160, 256 * KiB)
  expect(clock.nowMs() - start).toBeGreaterThan(3800)
})

test('a change is felt at once, by those who already wait', async () => {
  const clock = fakeClock()
  const limit = rateLimit(1 * MiB, clock)
  clock.at(2000, () => limit.change(100 * MiB))
  await takeAll(limit, 100, MiB)
  expect(clock.nowMs()).toBeLessThan(4000)
  clock.at(clock.nowMs() + 1, () => limit.change(null))
  await takeAll(limit, 10_000, MiB)
  expect(clock.nowMs()).toBeLessThan(5000)
})

test('zero stops everything until the limit is raised, and an abort ends the wait and takes nothing', async () => {
  const clock = fakeClock()
  const limit = rateLimit(0, clock)
  await limit.take(1)
  const stop = new AbortController()
  clock.at(10_000, () => stop.abort(new Error('enough')))
  await expect(limit.take(1, stop.signal)).rejects.toThrow('enough')
  expect(clock.nowMs()).toBeGreaterThanOrEqual(10_000)
})

test('reads and writes of a disk share one limit; zeroing is free', async () => {
  const clock = fakeClock()
  const disk = withRateLimit(memoryDevice(8 * MiB), rateLimit(MiB, clock))
  await disk.zero(0, 8 * MiB)
  expect(clock.nowMs()).toBe(0)
  for (let offset = 0; offset < 4 * MiB; offset += MiB) {
    await disk.read(offset, MiB)
    await disk.write(offset, Buffer.alloc(MiB))
  }
  expect(clock.nowMs()).toBeGreaterThan(6900)
  expect(clock.nowMs()).toBeLessThan(8000)
})

test('whoever gives up in the middle of the queue goes at once, not when its turn comes', async () => {
  const { promise: slow, resolve: letGo } = Promise.withResolvers<void>()
  const limit = rateLimit(1000, { nowMs: () => 0, pause: () => slow })
  await limit.take(5000)
  const first = limit.take(1)
  const stop = new AbortController()
  const second = limit.take(1, stop.signal)
  stop.abort(new Error('enough'))
  await expect(second).rejects.toThrow('enough')
  limit.change(null)
  letGo()
  await first
})
