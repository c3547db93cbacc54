// Something that a process does again and again, one time after the other, until it stops.
import { isAbort } from '@understudy/base/errors'
import type { EngineParts } from './engine-parts.ts'

export type Recurring = { start(): void; stop(): Promise<void> }

/** What fails in one turn is logged and tried again in the next. */
export function createRecurring(
  parts: Pick<EngineParts, 'sleep' | 'log'>,
  what: { readonly name: string; readonly everyMilliseconds: number },
  turn: (signal: AbortSignal) => Promise<void>,
): Recurring {
  const stopping = new AbortController()
  let going: Promise<void> | null = null
  const go = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await turn(stopping.signal).catch((error: unknown) => {
        if (!isAbort(error)) parts.log('warn', `${what.name} failed and is tried again`, { error })
      })
      await parts.sleep(what.everyMilliseconds, stopping.signal).catch((error: unknown) => {
        if (!isAbort(error)) throw error
      })
    }
  }
  return {
    start() {
      going ??= go()
    },
    async stop() {
      stopping.abort(new DOMException(`${what.name} stops`, 'AbortError'))
      await going
    },
  }
}
