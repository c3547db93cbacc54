import { expect, test } from 'vitest'
import { memoryAccount, memoryCalls } from './emulator/memory-calls.ts'
import { pacedCalls } from './paced-calls.ts'
import { patientCalls } from './patient-calls.ts'
import { slowedDown } from './slowed-down.ts'
import type { StorageCalls } from './storage-calls.ts'

const fast = { connections: 32, requestsPerSecond: null }

/** Every `get` waits until it is let go. */
function gatedCalls() {
  const waiting: (() => void)[] = []
  let most = 0
  const calls: StorageCalls = {
    ...memoryCalls(memoryAccount()),
    async get() {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      most = Math.max(most, waiting.length)
      await promise
      return null
    },
  }
  return { calls, waiting, most: () => most }
}
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

test('no more requests than allowed are under way at a time, and everyone gets a turn', async () => {
  const { calls, waiting, most } = gatedCalls()
  const paced = pacedCalls(patientCalls(calls), { ...fast, connections: 2 })
  const all = Array.from({ length: 6 }, () => paced.get('x'))
  for (let done = 0; done < 6; done += 1) {
    await settled()
    waiting.shift()?.()
  }
  await Promise.all(all)
  expect(most()).toBe(2)
})

test('who gives up while waiting for a turn takes none, and the next one goes', async () => {
  const { calls, waiting } = gatedCalls()
  const paced = pacedCalls(patientCalls(calls), { ...fast, connections: 1 })
  const first = paced.get('a')
  await settled()
  const stop = new AbortController()
  const second = paced.get('b', stop.signal)
  const third = paced.get('c')
  await settled()
  stop.abort(new DOMException('Enough', 'AbortError'))
  await expect(second).rejects.toMatchObject({ name: 'AbortError' })
  waiting.shift()?.()
  await first
  await settled()
  expect(waiting).toHaveLength(1)
  waiting.shift()?.()
  await third
})

test('requests keep to their rate', async () => {
  const paced = pacedCalls(patientCalls(memoryCalls(memoryAccount())), { ...fast, requestsPerSecond: 20 })
  const start = performance.now()
  for (let index = 0; index < 8; index += 1) await paced.get('x')
  expect(performance.now() - start).toBeGreaterThan(150)
})

test('what the account slowed down is counted for an hour and then forgotten', () => {
  let now = 10 * 3_600_000
  const slowed = slowedDown({ now: () => now })
  expect(slowed.strain()).toMatchObject({ times: 0, timesLastHour: 0, lastAt: null })
  slowed.note()
  now += 30 * 60_000
  slowed.note()
  const lastAt = now
  expect(slowed.strain()).toMatchObject({ times: 2, timesLastHour: 2, lastAt })
  now += 45 * 60_000
  expect(slowed.strain()).toMatchObject({ times: 2, timesLastHour: 1, lastAt })
  now += 3_600_000
  expect(slowed.strain()).toMatchObject({ times: 2, timesLastHour: 0, lastAt })
})
