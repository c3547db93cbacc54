// Work that takes longer than an answer may. It is begun once, goes on whoever asks, and each ask for it waits a while for its end.
import { setTimeout as sleep } from 'node:timers/promises'

/** Well below what an answer may take. */
const WAIT_MILLISECONDS = 30_000
/** Somebody who was cut off asks for the end again. */
const KEPT_MILLISECONDS = 10 * 60_000

type Answer<Result> = { readonly kind: 'working' } | { readonly kind: 'done'; readonly result: Result }

export type LongWork = {
  <Result>(id: string, work: () => Promise<Result>): Promise<Answer<Result>>
  /** Some of it has not ended. */
  isBusy(): boolean
}

/** `wait`: resolves when an ask has waited long enough. */
export function createLongWork(wait: () => Promise<void> = shortly): LongWork {
  const known = new Map<string, Promise<unknown>>()
  let working = 0
  const ask = async <Result>(id: string, work: () => Promise<Result>) => {
    let begun = known.get(id) as Promise<Result> | undefined
    if (begun === undefined) {
      working += 1
      begun = work().finally(() => {
        working -= 1
      })
      known.set(id, begun)
      const forget = (): void => void setTimeout(() => known.delete(id), KEPT_MILLISECONDS).unref()
      begun.then(forget, forget)
    }
    const late = wait().then((): Answer<Result> => ({ kind: 'working' }))
    return await Promise.race([begun.then((result): Answer<Result> => ({ kind: 'done', result })), late])
  }
  return Object.assign(ask, { isBusy: () => working > 0 })
}

const shortly = async (): Promise<void> => {
  await sleep(WAIT_MILLISECONDS, undefined, { ref: false })
}
