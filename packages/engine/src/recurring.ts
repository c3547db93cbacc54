// Something that a process does again and again, one time after the other, until it stops.
import { isAbort } from '@understudy/base/errors'
import type { EngineParts } from './engine-parts.ts'

export type Recurring = {
  start(): void
  /** Something may have moved: the next turn comes soon instead of in its time. */
  wake(): void
  stop(): Promise<void>
}

type What = {
  readonly name: string
  readonly everyMilliseconds: number
  /** Between two turns, also when woken: many things move at once, and one turn serves them all. Default: 0. */
  readonly atLeastMilliseconds?: number
}

/** What fails in one turn is logged and tried again in the next. */
export function createRecurring(
  parts: Pick<EngineParts, 'sleep' | 'log'>,
  what: What,
  turn: (signal: AbortSignal) => Promise<void>,
): Recurring {
  const stopping = new AbortController()
  let woken = new AbortController()
  let going: Promise<void> | null = null
  const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    parts.sleep(milliseconds, signal).catch((error: unknown) => {
      if (!isAbort(error)) throw error
    })
  const go = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      woken = new AbortController()
      await turn(stopping.signal).catch((error: unknown) => {
        if (!isAbort(error)) parts.log('warn', `${what.name} failed and is tried again`, { error })
      })
      if (what.atLeastMilliseconds) await pause(what.atLeastMilliseconds, stopping.signal)
      await pause(what.everyMilliseconds, AbortSignal.any([stopping.signal, woken.signal]))
    }
  }
  return {
    start() {
      going ??= go()
    },
    wake: () => woken.abort(new DOMException('There is something to do', 'AbortError')),
    async stop() {
      stopping.abort(new DOMException(`${what.name} stops`, 'AbortError'))
      await going
    },
  }
}
