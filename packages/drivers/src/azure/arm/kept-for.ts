import type { Clock } from '@understudy/base/instant'

/** The answer of a little while ago, or a new one; who asks meanwhile, and has no signal of his own, waits for the same. A failure is not kept. */
export function keptFor<Answer>(
  milliseconds: number,
  clock: Clock,
  ask: (signal?: AbortSignal) => Promise<Answer>,
): (signal?: AbortSignal) => Promise<Answer> {
  let kept: { readonly at: number; readonly answer: Answer } | null = null
  let underWay: Promise<Answer> | null = null
  const askAnew = async (signal?: AbortSignal): Promise<Answer> => {
    const at = clock.now()
    const answer = await ask(signal)
    kept = { at, answer }
    return answer
  }
  return async (signal) => {
    if (kept !== null && clock.now() - kept.at < milliseconds) return kept.answer
    if (signal !== undefined) return await askAnew(signal)
    underWay ??= askAnew().finally(() => {
      underWay = null
    })
    return await underWay
  }
}
