// A wait with an end: somebody's abort, or a limit of time.
import { setTimeout as sleep } from 'node:timers/promises'

/** What timers take; longer ones would fire at once. */
const LONGEST_MILLISECONDS = 2 ** 31 - 1

export type Limit = {
  /** Aborted by whoever asked, or when the time is up. */
  readonly signal: AbortSignal
  /** Whether it was the time. */
  isUp(): boolean
  /** Ends the timer. */
  end(): void
}

export function limitTo(milliseconds: number, signal: AbortSignal): Limit {
  const own = new AbortController()
  let up = false
  const timer = setTimeout(
    () => {
      up = true
      own.abort(new DOMException('The time is up', 'TimeoutError'))
    },
    Math.min(Math.max(0, milliseconds), LONGEST_MILLISECONDS),
  )
  return {
    signal: AbortSignal.any([signal, own.signal]),
    isUp: () => up && !signal.aborted,
    end: () => clearTimeout(timer),
  }
}

/** Resolves when the time has passed or the signal says so; never throws. */
export async function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  try {
    await sleep(Math.min(Math.max(0, milliseconds), LONGEST_MILLISECONDS), undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
