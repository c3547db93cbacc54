import { expect, test } from 'vitest'
import { virtualClock } from './virtual-clock.ts'

test('sleepers wake in the order of their time, each settled before the next', async () => {
  const clock = virtualClock({ startAt: 0 })
  const seen: string[] = []
  const sleeper = async (name: string, milliseconds: number): Promise<void> => {
    await clock.sleep(milliseconds)
    seen.push(`${name} at ${clock.now()}`)
    await clock.sleep(milliseconds)
    seen.push(`${name} at ${clock.now()}`)
  }
  const both = Promise.all([sleeper('slow', 30), sleeper('quick', 20)])
  await clock.advance(100)
  await both
  expect(seen).toEqual(['quick at 20', 'slow at 30', 'quick at 40', 'slow at 60'])
  expect(clock.now()).toBe(100)
})

test('an aborted sleep rejects with the reason and is forgotten', async () => {
  const clock = virtualClock()
  const stop = new AbortController()
  const sleep = clock.sleep(1_000, stop.signal)
  stop.abort(new Error('enough'))
  await expect(sleep).rejects.toThrow('enough')
  expect(clock.sleeperCount).toBe(0)
})

test('until moves time as far as the promise needs and no further', async () => {
  const clock = virtualClock({ startAt: 0 })
  void clock.sleep(10_000)
  expect(await clock.until(clock.sleep(70).then(() => 'done'))).toBe('done')
  expect(clock.now()).toBe(70)
})

test('until gives up on what takes longer than its limit', async () => {
  const clock = virtualClock()
  await expect(clock.until(clock.sleep(5_000), 1_000)).rejects.toThrow('did not settle in 1000 ms')
})

test('listeners see every move before a sleeper does', async () => {
  const clock = virtualClock({ startAt: 0 })
  const seen: string[] = []
  clock.onMove((now) => seen.push(`moved to ${now}`))
  void clock.sleep(5).then(() => seen.push('woke'))
  await clock.advance(7)
  expect(seen).toEqual(['moved to 5', 'woke', 'moved to 7'])
})
