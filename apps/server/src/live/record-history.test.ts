import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { HistoryStore, LagSample } from '@understudy/engine/ports/history-store'
import type { Measurement } from '@understudy/engine/ports/live'
import { memoryLive } from '@understudy/simulator/memory-live'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { withHistory } from './record-history.ts'

const id = 'p1' as ProtectionId
let samples: LagSample[]
let live: ReturnType<typeof withHistory>

beforeEach(() => {
  vi.useFakeTimers()
  samples = []
  const history: HistoryStore = {
    append: async (rows) => void samples.push(...rows),
    range: async () => [],
    trim: async () => 0,
  }
  live = withHistory(memoryLive(), history, { now: () => Date.now() }, pino({ level: 'silent' }))
})
afterEach(() => {
  live.stop()
  vi.useRealTimers()
})

const halfMinute = () => vi.advanceTimersByTimeAsync(30_000)
const cycle = (doneBytes: number, lagSeconds: number): Measurement => ({
  protectionId: id,
  at: Date.now(),
  phase: 'copying',
  doneBytes,
  totalBytes: 0,
  bytesPerSecond: 0,
  lagSeconds,
})

test('a sample has the greatest lag of its time, not the one after a new point', async () => {
  for (const lag of [4, 299, 1]) live.lagSeen(id, lag)
  live.measured(cycle(10, 0.5))
  await halfMinute()
  expect(samples).toMatchObject([{ lagSeconds: 299, bytes: 10 }])
})

test('while cycles fail the lag goes on growing in the history', async () => {
  live.measured(cycle(10, 1))
  await halfMinute()
  live.lagSeen(id, 31)
  await halfMinute()
  live.lagSeen(id, 61)
  await halfMinute()
  expect(samples.map(({ lagSeconds }) => lagSeconds)).toEqual([1, 31, 61])
})

test('what is paused or failed over leaves no samples, after what it still had copied', async () => {
  live.measured(cycle(10, 1))
  live.lagSeen(id, null)
  await halfMinute()
  live.lagSeen(id, null)
  await halfMinute()
  expect(samples).toMatchObject([{ bytes: 10 }])
})

test('bytes of one cycle are counted once, however often it reports', async () => {
  for (const done of [10, 30, 5]) live.measured(cycle(done, 1))
  await halfMinute()
  expect(samples).toMatchObject([{ bytes: 35 }])
})
