// Calls to a site that may be dead: they end in time, whatever happens there.
import { Outage } from '@understudy/base/errors'
import type { Site } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { SitePlatform } from '../ports/platforms.ts'

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

/** A page or the start of a failover waits no longer than this for a site to be opened. */
const OPEN_SECONDS = 2

/** What can be done at a site, or Outage `site/no-answer`: opening it may hang, as on a folder that is mounted from a dead server. */
export const openedInTime = (
  parts: Pick<EngineParts, 'platforms' | 'sleep'>,
  site: Site,
): Promise<SitePlatform> =>
  withinSeconds(parts, { seconds: OPEN_SECONDS, signal: new AbortController().signal }, () =>
    parts.platforms.of(site),
  )
