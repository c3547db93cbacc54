// Whoever writes files in this process waits while it holds the server still: such a write hangs until the thaw, and with it the threads by
// which the disks are read.
import { notHeldStill } from './failures.ts'

export type HoldGate = {
  /** Begun at once when nothing is held, else at the end of that. What it does must not wait for a hold. */
  write<Result>(task: () => Promise<Result>): Promise<Result>
  /**
   * Resolves when no write is under way. From its call on none begins, until what it returns is called, and in any case for no longer than
   * `seconds` once it has resolved. Throws `linux/not-held-still` when a write does not end in that time.
   */
  hold(seconds: number): Promise<() => void>
}

export function openHoldGate(): HoldGate {
  const holds = new Set<object>()
  const waiting: (() => void)[] = []
  const idle: (() => void)[] = []
  let writing = 0
  const release = (hold: object): void => {
    if (holds.delete(hold) && holds.size === 0) for (const begin of waiting.splice(0)) begin()
  }
  return {
    async write(task) {
      while (holds.size > 0) await new Promise<void>((resolve) => waiting.push(resolve))
      writing += 1
      try {
        return await task()
      } finally {
        writing -= 1
        if (writing === 0) for (const resolve of idle.splice(0)) resolve()
      }
    },
    async hold(seconds) {
      const hold = {}
      holds.add(hold)
      if (writing > 0 && !(await endsWithin(new Promise<void>((resolve) => idle.push(resolve)), seconds))) {
        release(hold)
        throw notHeldStill(`the agent itself was still writing its own files after ${seconds} s`)
      }
      const late = setTimeout(() => release(hold), seconds * 1000)
      return () => {
        clearTimeout(late)
        release(hold)
      }
    },
  }
}

const endsWithin = (work: Promise<void>, seconds: number): Promise<boolean> =>
  new Promise((resolve) => {
    const late = setTimeout(() => resolve(false), seconds * 1000)
    void work.then(() => {
      clearTimeout(late)
      resolve(true)
    })
  })
