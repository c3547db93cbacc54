// The same requests, asked again when the world misbehaves: after a pause that grows, or that Azure names. All requests of a
// store wait together when the account is busy: asking more while it throttles makes it throttle longer.
import { setTimeout as sleep } from 'node:timers/promises'
import { isAbort } from '@understudy/base/errors'
import { AzureOutage, whileInUse } from './failures.ts'
import type { StorageCalls } from './storage-calls.ts'

export type Patience = {
  /** How often a request is made in all. */
  readonly attempts: number
  /** The first pause; each further one is twice as long, up to the maximum. */
  readonly firstPauseMs: number
  readonly maximumPauseMs: number
  /** A request without an answer for this long counts as lost. */
  readonly answerMs: number
  /** A sign-in that is refused, a firewall and the like are an Outage: not asked again here, but later by whoever called. */
  readonly isInUse?: boolean
  /** Azure has asked for fewer requests. */
  readonly onThrottled?: () => void
  /** Replaced in tests. */
  readonly pause?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>
}

export const defaultPatience: Patience = {
  attempts: 7,
  firstPauseMs: 250,
  maximumPauseMs: 8000,
  answerMs: 60_000,
}

/** Tells what repeating has cost, so that a slow account is seen. */
export type Patient = StorageCalls & { readonly strain: Strain }
export type Strain = {
  /** Requests that had to be made again since the store was opened. */
  readonly repeated: number
  /** Of these, because Azure asked for fewer. */
  readonly throttled: number
}

export function patientCalls(calls: StorageCalls, patience: Patience = defaultPatience): Patient {
  const strain = { repeated: 0, throttled: 0 }
  let quietUntil = 0
  const pause =
    patience.pause ??
    ((milliseconds: number, signal: AbortSignal | undefined) =>
      sleep(milliseconds, undefined, signal === undefined ? {} : { signal }))

  const waitForQuiet = async (signal: AbortSignal | undefined): Promise<void> => {
    const ahead = quietUntil - performance.now()
    if (ahead > 0) await pause(ahead, signal)
  }
  const noteTrouble = (error: AzureOutage, attempt: number): void => {
    strain.repeated += 1
    const grown = Math.min(patience.firstPauseMs * 2 ** (attempt - 1), patience.maximumPauseMs)
    const wanted = error.retryAfterSeconds === null ? grown : error.retryAfterSeconds * 1000
    const wait = Math.min(Math.max(grown, wanted), patience.maximumPauseMs * 4)
    if (error.code === 'azure/throttled') {
      strain.throttled += 1
      patience.onThrottled?.()
    }
    quietUntil = Math.max(quietUntil, performance.now() + wait)
  }

  async function again<Result>(
    signal: AbortSignal | undefined,
    request: (signal: AbortSignal) => Promise<Result>,
    onUnsure?: () => void,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted()
      await waitForQuiet(signal)
      const limit = AbortSignal.timeout(patience.answerMs)
      try {
        return await request(signal === undefined ? limit : AbortSignal.any([signal, limit]))
      } catch (error) {
        const failure = isAbort(error) && limit.aborted && signal?.aborted !== true ? tooSlow(error) : error
        if (!(failure instanceof AzureOutage)) throw patience.isInUse ? whileInUse(failure) : failure
        if (failure.isUnsure) onUnsure?.()
        if (attempt >= patience.attempts) throw failure
        noteTrouble(failure, attempt)
      }
    }
  }

  return {
    strain,
    put: (name, blob, expected, signal) => again(signal, (limit) => calls.put(name, blob, expected, limit)),
    get: (name, signal) => again(signal, (limit) => calls.get(name, limit)),
    putMetadata: (name, metadata, etag, signal) =>
      again(signal, (limit) => calls.putMetadata(name, metadata, etag, limit)),
    remove: (name, which, signal) => again(signal, (limit) => calls.remove(name, which, limit)),
    list: (prefix, include, signal) => gathered(signal, (limit) => calls.list(prefix, include, limit)),
    createPages: (name, blob, signal) => again(signal, (limit) => calls.createPages(name, blob, limit)),
    pageFacts: (name, signal) => again(signal, (limit) => calls.pageFacts(name, limit)),
    raiseFence: (name, to, signal) => again(signal, (limit) => calls.raiseFence(name, to, limit)),
    resizePages: (name, bytes, etag, signal) =>
      again(signal, (limit) => calls.resizePages(name, bytes, etag, limit)),
    putPages: (name, at, signal) => again(signal, (limit) => calls.putPages(name, at, limit), at.onUnsure),
    clearPages: (name, at, signal) =>
      again(signal, (limit) => calls.clearPages(name, at, limit), at.onUnsure),
    takeSnapshot: (name, signal) => again(signal, (limit) => calls.takeSnapshot(name, limit)),
    readPages: (from, range, signal) => again(signal, (limit) => calls.readPages(from, range, limit)),
    pageRanges: (from, range, signal) => gathered(signal, (limit) => calls.pageRanges(from, range, limit)),
    changedPages: (from, earlier, range, signal) =>
      gathered(signal, (limit) => calls.changedPages(from, earlier, range, limit)),
  }

  /** A list that broke is asked for again as a whole: its parts belong to one moment. */
  async function* gathered<Item>(
    signal: AbortSignal | undefined,
    request: (signal: AbortSignal) => AsyncIterable<Item>,
  ): AsyncIterable<Item> {
    yield* await again(signal, async (limit) => {
      const items: Item[] = []
      for await (const item of request(limit)) items.push(item)
      return items
    })
  }
}

const tooSlow = (cause: unknown): AzureOutage =>
  new AzureOutage(
    {
      code: 'azure/unreachable',
      message: 'Azure Storage did not answer in time',
      remedy: 'Check the line and the proxy.',
      cause,
    },
    { retryAfterSeconds: null, isUnsure: true },
  )
