// A disk that asks again when the world misbehaves.
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import type { BlockDevice, BlockReader } from './device.ts'

export type RetryPolicy = {
  /** How often a request is tried in all. */
  readonly attempts: number
  /** The first pause; each further one is twice as long, up to the maximum. */
  readonly firstPauseMs: number
  readonly maximumPauseMs: number
  readonly onRetry?: (error: Outage, attempt: number) => void
  /** Replaced in tests. Rejects when the signal aborts. */
  readonly pause?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>
}

/**
 * Runs `work` again after an Outage, within the policy; any other error goes through at once. `work` must be safe to repeat.
 */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  const pause =
    policy.pause ??
    ((milliseconds, stop) => sleep(milliseconds, undefined, stop === undefined ? {} : { signal: stop }))
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt)
    } catch (error) {
      if (!(error instanceof Outage) || attempt >= policy.attempts) throw error
      signal?.throwIfAborted()
      policy.onRetry?.(error, attempt)
      await pause(Math.min(policy.firstPauseMs * 2 ** (attempt - 1), policy.maximumPauseMs), signal)
    }
  }
}

/**
 * The same disk, with reads, writes, zeroing and flushes repeated after an Outage. All of them mean the same when done twice.
 * A map is not repeated: its beginning may have been used already.
 */
export function withRetry(disk: BlockDevice, policy: RetryPolicy): BlockDevice
export function withRetry(disk: BlockReader, policy: RetryPolicy): BlockReader
export function withRetry(disk: BlockReader | BlockDevice, policy: RetryPolicy): BlockReader {
  const reader: BlockReader = {
    bytes: disk.bytes,
    read: (offset, bytes, signal) => retrying(policy, signal, () => disk.read(offset, bytes, signal)),
    ...(disk.map === undefined ? {} : { map: disk.map.bind(disk) }),
    close: () => disk.close(),
  }
  if (!('write' in disk)) return reader
  const device: BlockDevice = {
    ...reader,
    write: (offset, data, signal) => retrying(policy, signal, () => disk.write(offset, data, signal)),
    zero: (offset, bytes, signal) => retrying(policy, signal, () => disk.zero(offset, bytes, signal)),
    flush: (signal) => retrying(policy, signal, () => disk.flush(signal)),
  }
  return device
}
