import { Outage, Refusal } from '@understudy/base/errors'
import { expect, test } from 'vitest'
import type { BlockDevice } from './device.ts'
import { memoryDevice } from './memory-device.ts'
import { type RetryPolicy, withRetry } from './with-retry.ts'

const outage = new Outage({ code: 'test/outage', message: 'away', remedy: 'Wait.' })
const refusal = new Refusal({ code: 'test/refusal', message: 'no', remedy: 'Change it.' })

function failing(times: number, error: Error): { disk: BlockDevice; tries: () => number } {
  let tries = 0
  const disk = memoryDevice(4096)
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    tries += 1
    if (tries <= times) throw error
    return work()
  }
  const read: BlockDevice['read'] = (offset, bytes) => attempt(() => disk.read(offset, bytes))
  const write: BlockDevice['write'] = (offset, data) => attempt(() => disk.write(offset, data))
  return { disk: { ...disk, read, write }, tries: () => tries }
}
const pauses: number[] = []
const policy: RetryPolicy = {
  attempts: 5,
  firstPauseMs: 100,
  maximumPauseMs: 300,
  pause: async (milliseconds) => {
    pauses.push(milliseconds)
  },
}

test('an outage is tried again, with growing pauses up to a maximum, and then thrown', async () => {
  pauses.length = 0
  const short = failing(4, outage)
  expect(await withRetry(short.disk, policy).read(0, 512)).toHaveLength(512)
  expect(pauses).toEqual([100, 200, 300, 300])
  const long = failing(5, outage)
  await expect(withRetry(long.disk, policy).write(0, Buffer.alloc(512))).rejects.toBe(outage)
  expect(long.tries()).toBe(5)
})

test('a refusal is thrown at once: asking again changes nothing', async () => {
  const { disk, tries } = failing(1, refusal)
  await expect(withRetry(disk, policy).read(0, 512)).rejects.toBe(refusal)
  expect(tries()).toBe(1)
})

test('aborting ends the retries', async () => {
  const stop = new AbortController()
  const { disk, tries } = failing(9, outage)
  const impatient = { ...policy, onRetry: () => stop.abort(new Error('enough')) }
  const waiting = withRetry(disk, {
    ...impatient,
    firstPauseMs: 60_000,
    maximumPauseMs: 60_000,
    pause: realPause,
  })
  await expect(waiting.read(0, 512, stop.signal)).rejects.toThrow(/abort|enough/)
  expect(tries()).toBe(1)
})

const realPause = (_: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((_resolve, reject) => {
    if (signal?.aborted) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason))
  })
