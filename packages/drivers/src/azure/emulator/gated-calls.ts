// A process that stands still at one request: before it is sent. So does a laptop that is closed, or a machine that is paused.
import type { StorageCalls } from '../storage-calls.ts'

export type Gate = {
  /** The number of the request that waits; the first is 1. */
  at: number
  requests: number
  /** Resolves when the process stands still. */
  reached?: Promise<void>
  /** Lets it go on. */
  open?: () => void
}

/** The same requests, counted, one of which waits until the gate is opened. */
export function gatedCalls(calls: StorageCalls, gate: Gate): StorageCalls {
  const arrived = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  gate.reached = arrived.promise
  gate.open = opened.resolve
  const pass = async (): Promise<void> => {
    gate.requests += 1
    if (gate.requests < gate.at) return
    arrived.resolve()
    await opened.promise
  }
  async function* passThen<Item>(items: () => AsyncIterable<Item>): AsyncIterable<Item> {
    await pass()
    yield* items()
  }
  return {
    put: (...args) => pass().then(() => calls.put(...args)),
    get: (...args) => pass().then(() => calls.get(...args)),
    putMetadata: (...args) => pass().then(() => calls.putMetadata(...args)),
    remove: (...args) => pass().then(() => calls.remove(...args)),
    list: (...args) => passThen(() => calls.list(...args)),
    createPages: (...args) => pass().then(() => calls.createPages(...args)),
    pageFacts: (...args) => pass().then(() => calls.pageFacts(...args)),
    raiseFence: (...args) => pass().then(() => calls.raiseFence(...args)),
    resizePages: (...args) => pass().then(() => calls.resizePages(...args)),
    putPages: (...args) => pass().then(() => calls.putPages(...args)),
    clearPages: (...args) => pass().then(() => calls.clearPages(...args)),
    takeSnapshot: (...args) => pass().then(() => calls.takeSnapshot(...args)),
    readPages: (...args) => pass().then(() => calls.readPages(...args)),
    pageRanges: (...args) => passThen(() => calls.pageRanges(...args)),
    changedPages: (...args) => passThen(() => calls.changedPages(...args)),
  }
}
