// Keeps background work from taking the disk away from cycles and boots.
import { setTimeout as sleep } from 'node:timers/promises'

export type Throttle = { take(bytes: number, signal?: AbortSignal): Promise<void> }

/** Waits are at most this long, so that a change of mind is noticed. */
const LONGEST_WAIT_MILLISECONDS = 1000

/** 0 is unlimited; it still lets others run in between. */
export function throttle(bytesPerSecond: number): Throttle {
  let due = performance.now()
  return {
    async take(bytes, signal) {
      signal?.throwIfAborted()
      if (bytesPerSecond <= 0) return
      due = Math.max(due, performance.now() - 100) + (bytes / bytesPerSecond) * 1000
      for (let ahead = due - performance.now(); ahead > 20; ahead = due - performance.now())
        await sleep(Math.min(ahead, LONGEST_WAIT_MILLISECONDS), undefined, signal ? { signal } : {})
    },
  }
}
