// Calls to a site that may be dead: they end in time, whatever happens there.
import { Outage } from '@understudy/base/errors'
import type { EngineParts } from '../engine-parts.ts'

/** The code of the Outage when the time is over. */
export const NO_ANSWER = 'site/no-answer'

/**
 * What `work` gives, or Outage `site/no-answer` after so many seconds. Work that ignores its signal is left behind; what
 * comes of it later is not looked at.
 */
export async function withinSeconds<Result>(
  parts: Pick<EngineParts, 'sleep'>,
  bound: { readonly seconds: number; readonly signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const over = new AbortController()
  const signal = AbortSignal.any([bound.signal, over.signal])
  const timeout = parts.sleep(bound.seconds * 1000, signal).then((): never => {
    throw new Outage({
      code: NO_ANSWER,
      message: `The site did not answer within ${bound.seconds} s`,
      remedy: 'Check the site and its network.',
    })
  })
  const answer = work(signal)
  answer.catch(() => {})
  timeout.catch(() => {})
  try {
    return await Promise.race([answer, timeout])
  } finally {
    over.abort(new DOMException('No longer wanted', 'AbortError'))
  }
}
