// Time that only moves when a test says so. Sleepers wake in order, one at a time.
import type { Clock, Instant } from '@understudy/base/instant'
import { invariant } from '@understudy/base/invariant'

export type VirtualClock = Clock & {
  now(): Instant
  /** Resolves when the clock has moved this far. Rejects with the signal's reason when aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
  /**
   * Moves time forward, waking sleepers in the order of their time. What one sleeper starts settles before the next one
   * wakes, so a run is the same every time.
   */
  advance(milliseconds: number): Promise<void>
  /**
   * Moves from sleeper to sleeper until the promise settles, and returns what it settles with. Throws when that takes
   * more than `limitMilliseconds` of virtual time, or when nobody sleeps and nothing happens.
   */
  until<Result>(promise: Promise<Result>, limitMilliseconds?: number): Promise<Result>
  /** Called synchronously after every move of the clock, before any sleeper wakes. Returns how to stop that. */
  onMove(listener: (now: Instant) => void): () => void
  /** How many sleep now. */
  readonly sleeperCount: number
}

type Sleeper = { readonly at: Instant; readonly order: number; readonly wake: () => void }

const IDLE_TURNS_LIMIT = 20_000
const hour = 3_600_000

/**
 * `settleTurns`: turns of the event loop given to the awakened before time moves on. Promises alone need one;
 * tests with real files need more.
 */
export function virtualClock(
  options: { readonly startAt?: Instant; readonly settleTurns?: number } = {},
): VirtualClock {
  const { startAt = Date.parse('2026-01-01T00:00:00Z'), settleTurns = 4 } = options
  let now = startAt
  let order = 0
  const sleepers = new Set<Sleeper>()
  const listeners = new Set<(now: Instant) => void>()

  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < settleTurns; turn += 1) await eventLoopTurn()
  }
  const moveTo = (instant: Instant): void => {
    if (instant > now) now = instant
    for (const listener of listeners) listener(now)
  }
  const earliest = (): Sleeper | null => {
    let first: Sleeper | null = null
    for (const sleeper of sleepers)
      if (!first || sleeper.at < first.at || (sleeper.at === first.at && sleeper.order < first.order))
        first = sleeper
    return first
  }
  const wake = async (sleeper: Sleeper): Promise<void> => {
    moveTo(sleeper.at)
    sleepers.delete(sleeper)
    sleeper.wake()
    await settle()
  }

  return {
    now: () => now,
    get sleeperCount() {
      return sleepers.size
    },
    sleep(milliseconds, signal) {
      return new Promise<void>((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const onAbort = (): void => {
          sleepers.delete(sleeper)
          reject(signal?.reason)
        }
        order += 1
        const sleeper: Sleeper = {
          at: now + Math.max(0, milliseconds),
          order,
          wake: () => {
            signal?.removeEventListener('abort', onAbort)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      })
    },
    async advance(milliseconds) {
      const end = now + milliseconds
      await settle()
      for (let next = earliest(); next !== null && next.at <= end; next = earliest()) await wake(next)
      moveTo(end)
      await settle()
    },
    async until(promise, limitMilliseconds = hour) {
      const end = now + limitMilliseconds
      let settled = false
      const mark = (): void => {
        settled = true
      }
      promise.then(mark, mark)
      for (let idle = 0; !settled; ) {
        await settle()
        if (settled) break
        const next = earliest()
        if (next === null) {
          idle += 1
          invariant(idle < IDLE_TURNS_LIMIT, 'nobody sleeps and the promise does not settle')
          continue
        }
        idle = 0
        invariant(next.at <= end, `the promise did not settle in ${limitMilliseconds} ms of virtual time`)
        await wake(next)
      }
      return await promise
    },
    onMove(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
