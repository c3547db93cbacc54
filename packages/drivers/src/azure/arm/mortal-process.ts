// A process that dies after one of its requests, to Resource Manager or to the storage: for proofs of what that leaves.
import type { HttpClient } from '@azure/core-rest-pipeline'
import type { StorageCalls } from '../storage-calls.ts'
import type { ArmDouble } from './double/arm-double.ts'
import { lineTo } from './double/double-line.ts'
import { connectDouble } from './double/emulated-azure.ts'
import type { TargetParts } from './target-parts.ts'

export class Died extends Error {
  override readonly name = 'Died'
}

export type Mortal = {
  readonly parts: Pick<TargetParts, 'arm' | 'storage'>
  /** For what is asked beside Resource Manager; counts as well. */
  readonly line: HttpClient
  /** Requests made so far. */
  readonly requests: number
}

/** `after` 3: the third request takes effect, nothing after it does, and nobody reads its answer. 0: it dies before the first. */
export function mortalProcess(double: ArmDouble, storage: StorageCalls, after = Infinity): Mortal {
  let requests = 0
  const before = async (): Promise<void> => {
    if (requests >= after) throw new Died()
    requests += 1
  }
  const dead = async (): Promise<void> => {
    if (requests >= after) throw new Died()
  }
  const line = lineTo(double, { before, after: dead })
  return {
    line,
    parts: {
      arm: connectDouble(double, { httpClient: line }),
      storage: gated(storage, before, dead),
    },
    get requests() {
      return requests
    },
  }
}

type Gate = () => Promise<void>

function gated(calls: StorageCalls, before: Gate, after: Gate): StorageCalls {
  const one = async <Result>(request: () => Promise<Result>): Promise<Result> => {
    await before()
    const result = await request()
    await after()
    return result
  }
  async function* many<Item>(request: () => AsyncIterable<Item>): AsyncIterable<Item> {
    yield* await one(async () => {
      const items: Item[] = []
      for await (const item of request()) items.push(item)
      return items
    })
  }
  return {
    put: (...args) => one(() => calls.put(...args)),
    get: (...args) => one(() => calls.get(...args)),
    putMetadata: (...args) => one(() => calls.putMetadata(...args)),
    remove: (...args) => one(() => calls.remove(...args)),
    list: (...args) => many(() => calls.list(...args)),
    createPages: (...args) => one(() => calls.createPages(...args)),
    pageFacts: (...args) => one(() => calls.pageFacts(...args)),
    raiseFence: (...args) => one(() => calls.raiseFence(...args)),
    resizePages: (...args) => one(() => calls.resizePages(...args)),
    putPages: (...args) => one(() => calls.putPages(...args)),
    clearPages: (...args) => one(() => calls.clearPages(...args)),
    takeSnapshot: (...args) => one(() => calls.takeSnapshot(...args)),
    readPages: (...args) => one(() => calls.readPages(...args)),
    pageRanges: (...args) => many(() => calls.pageRanges(...args)),
    changedPages: (...args) => many(() => calls.changedPages(...args)),
  }
}
