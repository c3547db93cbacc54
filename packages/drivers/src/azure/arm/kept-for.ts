import type { Clock } from '@understudy/base/instant'

/** The answer of a little while ago, or a new one. A failure is not kept. */
export function keptFor<Answer>(
  milliseconds: number,
  clock: Clock,
  ask: (signal?: AbortSignal) => Promise<Answer>,
): (signal?: AbortSignal) => Promise<Answer> {
  let kept: { readonly at: number; readonly answer: Answer } | null = null
  return async (signal) => {
    if (kept === null || clock.now() - kept.at >= milliseconds)
      kept = { at: clock.now(), answer: await ask(signal) }
    return kept.answer
  }
}
