// How much of a point may be on its way to Azure at a time.
import { invariant } from '@understudy/base/invariant'

export type RequestSlots = {
  /** Starts `work` when a connection is free. `bytes` count as unsent until it has ended. The first failure is kept. */
  start(bytes: number, work: () => Promise<void>): void
  /** Resolves when at most `unsent` bytes are on their way. Throws the first failure. */
  waitBelow(unsent: number): Promise<void>
  /** Resolves when nothing is on its way. Throws nothing. */
  settled(): Promise<void>
}

export function requestSlots(connections: number): RequestSlots {
  invariant(connections > 0, 'something must be able to go')
  const waiting: { readonly bytes: number; readonly work: () => Promise<void> }[] = []
  let running = 0
  let unsent = 0
  let failure: { readonly error: unknown } | null = null
  let wake: (() => void)[] = []

  const run = async (bytes: number, work: () => Promise<void>): Promise<void> => {
    running += 1
    try {
      // After a failure the point is lost: what has not begun need not be sent.
      if (failure === null) await work()
    } catch (error) {
      failure ??= { error }
    } finally {
      running -= 1
      unsent -= bytes
      const next = waiting.shift()
      if (next !== undefined) void run(next.bytes, next.work)
      const woken = wake
      wake = []
      for (const resolve of woken) resolve()
    }
  }
  const nextEnd = (): Promise<void> => new Promise((resolve) => wake.push(resolve))

  return {
    start(bytes, work) {
      unsent += bytes
      if (running < connections) void run(bytes, work)
      else waiting.push({ bytes, work })
    },
    async waitBelow(limit) {
      while (failure === null && unsent > limit) await nextEnd()
      if (limit === 0) while (failure === null && running > 0) await nextEnd()
      if (failure !== null) throw failure.error
    },
    async settled() {
      while (running > 0 || waiting.length > 0) await nextEnd()
    },
  }
}
