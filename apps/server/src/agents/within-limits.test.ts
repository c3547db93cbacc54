import { PassThrough } from 'node:stream'
import { streamLimits } from '@understudy/agent-protocol/stream-limits'
import { expect, test } from 'vitest'
import { withinLimits } from './within-limits.ts'

const limits = { ...streamLimits, idleMilliseconds: 1000, totalMilliseconds: 5000, bytesPerSecond: 100 }

/** A peer that sends a part at each of these moments, and then nothing more. */
function taking(
  sends: readonly (readonly [atMilliseconds: number, bytes: number])[],
  change: Partial<typeof limits> = {},
) {
  const stream = new PassThrough()
  let at = 0
  let heard = 0
  const todo = [...sends]
  const pass = setInterval(() => {
    at += 100
    while (todo[0] && todo[0][0] <= at && !stream.writableEnded)
      stream.write(Buffer.alloc(todo.shift()?.[1] ?? 0))
  }, 2)
  const run = async (): Promise<number> => {
    try {
      const watched = { limits: { ...limits, ...change }, now: () => at, lookMilliseconds: 1 }
      for await (const _ of withinLimits(stream, { ...watched, heard: (bytes) => (heard += bytes) }));
      return at
    } finally {
      clearInterval(pass)
    }
  }
  return { stream, run, heard: () => heard, at: () => at }
}

test('a peer that says nothing any more is not waited for', async () => {
  const { run, heard, at, stream } = taking([
    [0, 10],
    [900, 10],
  ])
  await expect(run()).rejects.toMatchObject({ name: 'Outage', code: 'agent/stream-too-slow' })
  expect(heard()).toBe(20)
  expect(at()).toBeGreaterThanOrEqual(1900)
  expect(stream.destroyed).toBe(true)
})

test('a peer that trickles is ended, however seldom it pauses', async () => {
  const drops = Array.from({ length: 1000 }, (_, index) => [index * 500, 1] as const)
  const { run, at } = taking(drops)
  await expect(run()).rejects.toMatchObject({ code: 'agent/stream-too-slow' })
  expect(at()).toBeGreaterThanOrEqual(5000)
  expect(at()).toBeLessThan(100_000)
})

test('a line that is slow, and goes on, has the time that its bytes need', async () => {
  const { run, at, stream } = taking(Array.from({ length: 10_000 }, (_, index) => [index * 100, 50] as const))
  const ended = run()
  await expect.poll(at).toBeGreaterThan(10_000)
  stream.end()
  expect(await ended).toBeGreaterThan(5000)
})

test('what is longer than any stream of an agent is not taken to its end', async () => {
  const { run } = taking([[0, 3 * 1024 * 1024]], { bytes: 1024 })
  await expect(run()).rejects.toMatchObject({ code: 'agent/bad-frame' })
})
