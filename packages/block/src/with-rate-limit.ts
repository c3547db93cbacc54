// A disk that keeps to a rate, so that replication leaves room on the line. One limit may be shared by many disks.
import { setTimeout as sleep } from 'node:timers/promises'
import type { BlockDevice, BlockReader } from './device.ts'

export type RateLimit = {
  /** Null means unlimited. */
  readonly bytesPerSecond: number | null
  /** Takes effect at once, also for those who wait. */
  change(bytesPerSecond: number | null): void
  /** Resolves when `bytes` may go. First come, first served. Rejects when the signal aborts, and then takes nothing. */
  take(bytes: number, signal?: AbortSignal): Promise<void>
}

/** Replaced in tests. */
export type RateClock = {
  nowMs(): number
  /** Rejects when the signal aborts. */
  pause(milliseconds: number, signal: AbortSignal): Promise<void>
}

const systemClock: RateClock = {
  nowMs: () => performance.now(),
  pause: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
}

/** A fast start of this much is allowed: it keeps small requests from waiting one by one. */
const BURST_SECONDS = 0.1
/** Waiting is checked at least this often, which is how soon a changed limit is felt. */
const LONGEST_PAUSE_MS = 250

/**
 * A token bucket. A request larger than the bucket may still go: it takes the level below zero, and the next ones wait until
 * that is paid back, so the rate holds on average for requests of any size.
 */
export function rateLimit(bytesPerSecond: number | null, clock: RateClock = systemClock): RateLimit {
  let rate = bytesPerSecond
  let level = 0
  let filledAt = clock.nowMs()
  let turn: Promise<void> = Promise.resolve()

  const fill = (): void => {
    const now = clock.nowMs()
    // A clock that is set back takes nothing away.
    const seconds = Math.max(0, now - filledAt) / 1000
    filledAt = now
    if (rate !== null) level = Math.min(level + seconds * rate, rate * BURST_SECONDS)
  }
  const waitForLevel = async (bytes: number, signal: AbortSignal): Promise<void> => {
    for (;;) {
      signal.throwIfAborted()
      fill()
      if (rate === null) return
      if (level >= 0) {
        level -= bytes
        return
      }
      const owedMs = rate <= 0 ? LONGEST_PAUSE_MS : (-level / rate) * 1000
      await clock.pause(Math.min(Math.max(owedMs, 1), LONGEST_PAUSE_MS), signal)
    }
  }

  return {
    get bytesPerSecond() {
      return rate
    },
    change(next) {
      fill()
      // A debt made at one rate is paid at the next: it stays the same time, not the same bytes.
      if (rate !== null && rate > 0 && next !== null && level < 0) level *= next / rate
      if (next === null || rate === null) level = 0
      rate = next
    },
    take(bytes, signal = new AbortController().signal) {
      const mine = turn.then(() => waitForLevel(bytes, signal))
      turn = mine.catch(() => undefined)
      // Whoever gives up goes at once, and takes nothing when the turn comes.
      return unlessAborted(mine, signal)
    },
  }
}

async function unlessAborted(waiting: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const giveUp = (): void => reject(signal.reason)
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await Promise.race([waiting, promise])
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

/** The same disk; every byte read or written passes through the limit first. Zeroing moves no bytes. */
export function withRateLimit(disk: BlockDevice, limit: RateLimit): BlockDevice
export function withRateLimit(disk: BlockReader, limit: RateLimit): BlockReader
export function withRateLimit(disk: BlockReader | BlockDevice, limit: RateLimit): BlockReader {
  const readInto = disk.readInto?.bind(disk)
  const reader: BlockReader = {
    bytes: disk.bytes,
    async read(offset, bytes, signal) {
      await limit.take(bytes, signal)
      return disk.read(offset, bytes, signal)
    },
    ...(readInto === undefined
      ? {}
      : {
          async readInto(offset: number, target: Buffer, signal?: AbortSignal): Promise<void> {
            await limit.take(target.length, signal)
            await readInto(offset, target, signal)
          },
        }),
    ...(disk.map === undefined ? {} : { map: disk.map.bind(disk) }),
    close: () => disk.close(),
  }
  if (!('write' in disk)) return reader
  const device: BlockDevice = {
    ...reader,
    async write(offset, data, signal) {
      await limit.take(data.length, signal)
      await disk.write(offset, data, signal)
    },
    zero: (offset, bytes, signal) => disk.zero(offset, bytes, signal),
    flush: (signal) => disk.flush(signal),
  }
  return device
}
