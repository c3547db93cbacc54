import { expect, test, vi } from 'vitest'
import { virshPool } from './virsh-pool.ts'
import type { VirshSession } from './virsh-session.ts'

function openings() {
  const opened: (VirshSession & { readonly isClosed: () => boolean })[] = []
  const pool = virshPool(async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let closed = false
    const session = {
      ask: async (line: string) => `answer to ${line}`,
      closed: promise,
      isClosed: () => closed,
      close: () => {
        closed = true
        resolve()
      },
    }
    opened.push(session)
    return session
  })
  return { opened, pool }
}

test('one session answers one question after the other, and two at once have one each', async () => {
  const { opened, pool } = openings()
  for (const line of ['a', 'b'])
    expect(await pool.use((session) => session.ask(line))).toBe(`answer to ${line}`)
  expect(opened).toHaveLength(1)
  await Promise.all([pool.use((session) => session.ask('c')), pool.use((session) => session.ask('d'))])
  expect(opened).toHaveLength(2)
  pool.close()
  expect(opened.map(({ isClosed }) => isClosed())).toEqual([true, true])
})

test('a session in which something failed, or that was aborted, is not used again', async () => {
  const { opened, pool } = openings()
  const failing = pool.use(async () => {
    throw new Error('no such domain')
  })
  await expect(failing).rejects.toThrow('no such domain')
  const stop = new AbortController()
  await pool.use(async () => stop.abort(), stop.signal)
  await pool.use(async () => undefined)
  expect(opened.map(({ isClosed }) => isClosed())).toEqual([true, true, false])
  pool.close()
})

test('a session that ends by itself, or that nobody needs for two seconds, is forgotten', async () => {
  vi.useFakeTimers()
  try {
    const { opened, pool } = openings()
    await pool.use(async () => undefined)
    opened[0]?.close()
    await vi.advanceTimersByTimeAsync(0)
    await pool.use(async () => undefined)
    expect(opened).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(2001)
    expect(opened[1]?.isClosed()).toBe(true)
    await pool.use(async () => undefined)
    expect(opened).toHaveLength(3)
  } finally {
    vi.useRealTimers()
  }
})
