// Requests that go wrong on command: the process dies at one of them, answers are lost, repetitions arrive late.
import { Outage, Refusal } from '@understudy/base/errors'
import { AzureOutage } from '../failures.ts'
import { FenceBroken, type StorageCalls } from '../storage-calls.ts'

export class Crashed extends Error {
  override readonly name = 'Crashed'
}

export type Trouble = {
  /** The process dies at this request (the first is 1), before it has an effect or after. */
  readonly crash?: { readonly at: number; readonly when: 'before' | 'after' }
  /** Whether the answer to this request is lost. */
  readonly loses?: (call: string) => boolean
  /** Whether a write whose answer was lost takes effect once more, at some later moment. */
  readonly comesLate?: () => boolean
}

export type FaultyCalls = StorageCalls & { readonly requests: number; readonly trace: readonly string[] }

/** Everything that was late arrives when the next request is made, at the latest after `LATEST` of them. */
const LATEST = 6

export function faultyCalls(calls: StorageCalls, trouble: Trouble): FaultyCalls {
  const state = { requests: 0, trace: [] as string[] }
  let late: { readonly due: number; readonly write: () => Promise<unknown> }[] = []

  const begin = async (call: string): Promise<'die after' | null> => {
    state.requests += 1
    state.trace.push(call)
    await deliverLate()
    const { crash } = trouble
    if (crash === undefined || state.requests < crash.at) return null
    if (state.requests > crash.at || crash.when === 'before') throw new Crashed(call)
    return 'die after'
  }
  const deliverLate = async (): Promise<void> => {
    const due = late.filter((one) => one.due <= state.requests)
    late = late.filter((one) => one.due > state.requests)
    for (const { write } of due)
      await write().catch((error: unknown) => {
        // A refusal of what came late is told to nobody.
        const isAnswer = error instanceof FenceBroken || error instanceof Outage || error instanceof Refusal
        if (!isAnswer) throw error
      })
  }
  const run = async <Result>(call: string, request: () => Promise<Result>): Promise<Result> => {
    const fate = await begin(call)
    const result = await request()
    if (fate !== null) throw new Crashed(call)
    if (trouble.loses?.(call) !== true) return result
    if (/Pages$/.test(call) && trouble.comesLate?.() === true)
      late.push({ due: state.requests + 1 + (state.requests % LATEST), write: request })
    throw lost(call)
  }
  async function* gather<Item>(call: string, request: () => AsyncIterable<Item>): AsyncIterable<Item> {
    yield* await run(call, async () => {
      const items: Item[] = []
      for await (const item of request()) items.push(item)
      return items
    })
  }

  return {
    get requests() {
      return state.requests
    },
    get trace() {
      return state.trace
    },
    put: (...args) => run(`put ${args[0]}`, () => calls.put(...args)),
    get: (...args) => run(`get ${args[0]}`, () => calls.get(...args)),
    putMetadata: (...args) => run(`putMetadata ${args[0]}`, () => calls.putMetadata(...args)),
    remove: (...args) => run(`remove ${args[0]}`, () => calls.remove(...args)),
    list: (...args) => gather('list', () => calls.list(...args)),
    createPages: (...args) => run('create', () => calls.createPages(...args)),
    pageFacts: (...args) => run('pageFacts', () => calls.pageFacts(...args)),
    raiseFence: (...args) => run('raiseFence', () => calls.raiseFence(...args)),
    resizePages: (...args) => run('resize', () => calls.resizePages(...args)),
    putPages: (...args) => run('putPages', () => calls.putPages(...args)),
    clearPages: (...args) => run('clearPages', () => calls.clearPages(...args)),
    takeSnapshot: (...args) => run('takeSnapshot', () => calls.takeSnapshot(...args)),
    readPages: (...args) => run('read', () => calls.readPages(...args)),
    pageRanges: (...args) => gather('pageRanges', () => calls.pageRanges(...args)),
    changedPages: (...args) => gather('changedPages', () => calls.changedPages(...args)),
  }
}

const lost = (call: string): AzureOutage =>
  new AzureOutage(
    {
      code: 'azure/unreachable',
      message: `The answer to ${call} was lost`,
      remedy: 'Check the line.',
      cause: null,
    },
    { retryAfterSeconds: null, isUnsure: true },
  )
