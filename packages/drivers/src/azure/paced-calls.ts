// The same requests, no more of them at a time and no faster than the operator allows this site: the account serves others too. Bytes
// are limited by the line between two sites, which the engine keeps to. Around the repetitions, so that a wait here never counts as an answer that does not come.
import { rateLimit } from '@understudy/block/with-rate-limit'
import type { Patient } from './patient-calls.ts'

/** Of all replicas of a site together. Null: as many as there are. */
export type Pace = {
  readonly connections: number
  readonly requestsPerSecond: number | null
}

export function pacedCalls(calls: Patient, pace: Pace): Patient {
  const requests = rateLimit(pace.requestsPerSecond)
  const places = placesFor(pace.connections)

  const go = async <Result>(
    signal: AbortSignal | undefined,
    request: () => Promise<Result>,
  ): Promise<Result> => {
    await requests.take(1, signal)
    await places.take(signal)
    try {
      return await request()
    } finally {
      places.give()
    }
  }
  async function* listed<Item>(
    signal: AbortSignal | undefined,
    request: () => AsyncIterable<Item>,
  ): AsyncIterable<Item> {
    // Whole before it is handed on: what is done with the items may need a place of its own.
    const items = await go(signal, async () => {
      const found: Item[] = []
      for await (const item of request()) found.push(item)
      return found
    })
    yield* items
  }

  return {
    strain: calls.strain,
    put: (name, blob, expected, signal) => go(signal, () => calls.put(name, blob, expected, signal)),
    get: (name, signal) => go(signal, () => calls.get(name, signal)),
    putMetadata: (name, metadata, etag, signal) =>
      go(signal, () => calls.putMetadata(name, metadata, etag, signal)),
    remove: (name, which, signal) => go(signal, () => calls.remove(name, which, signal)),
    list: (prefix, include, signal) => listed(signal, () => calls.list(prefix, include, signal)),
    createPages: (name, blob, signal) => go(signal, () => calls.createPages(name, blob, signal)),
    pageFacts: (name, signal) => go(signal, () => calls.pageFacts(name, signal)),
    raiseFence: (name, to, signal) => go(signal, () => calls.raiseFence(name, to, signal)),
    resizePages: (name, bytes, etag, signal) =>
      go(signal, () => calls.resizePages(name, bytes, etag, signal)),
    putPages: (name, at, signal) => go(signal, () => calls.putPages(name, at, signal)),
    clearPages: (name, at, signal) => go(signal, () => calls.clearPages(name, at, signal)),
    takeSnapshot: (name, signal) => go(signal, () => calls.takeSnapshot(name, signal)),
    readPages: (from, range, signal) => go(signal, () => calls.readPages(from, range, signal)),
    pageRanges: (from, range, signal) => listed(signal, () => calls.pageRanges(from, range, signal)),
    changedPages: (from, earlier, range, signal) =>
      listed(signal, () => calls.changedPages(from, earlier, range, signal)),
  }
}

/** First come, first served. Whoever's signal aborts while it waits takes no place. */
function placesFor(count: number): { take(signal?: AbortSignal): Promise<void>; give(): void } {
  let free = count
  const waiting = new Set<() => void>()
  return {
    async take(signal) {
      signal?.throwIfAborted()
      if (free > 0) {
        free -= 1
        return
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const abort = (): void => {
        if (waiting.delete(resolve)) reject(signal?.reason)
      }
      waiting.add(resolve)
      signal?.addEventListener('abort', abort, { once: true })
      await promise.finally(() => signal?.removeEventListener('abort', abort))
    },
    give() {
      const [next] = waiting
      if (next === undefined) free += 1
      else {
        waiting.delete(next)
        next()
      }
    },
  }
}
