// A sign-in that ends by itself stops the copies of a whole site in one moment, on a day that nobody remembers.
import { toIso } from '@understudy/base/instant'
import { wallTextOf } from '@understudy/domain/calendar/wall-time'
import type { Site } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'

const SIGN_IN_ENDS = 'site/sign-in-ends'

const DAY_MS = 86_400_000
/** Long enough for whoever has to ask somebody else for a new one. */
const TOLD_BEFORE_MS = 7 * DAY_MS

/** Raises and resolves the alert. Asks nothing of the site. */
export async function watchSignIn(parts: EngineParts, site: Site): Promise<void> {
  const { signInEndsAt } = await parts.platforms.of(site)
  const left = signInEndsAt === undefined ? Number.POSITIVE_INFINITY : signInEndsAt - parts.clock.now()
  // Once it has ended the site says so itself.
  if (signInEndsAt === undefined || left > TOLD_BEFORE_MS || left <= 0)
    return resolveAlert(parts, SIGN_IN_ENDS, site)
  await raiseAlert(parts, {
    severity: left > DAY_MS ? 'warning' : 'critical',
    code: SIGN_IN_ENDS,
    message: `The sign-in to ${site.name} ends on ${wallTextOf(signInEndsAt, 'UTC')} UTC: from then on nothing is copied there, and nothing can be failed over from there`,
    remedy: 'Make a new shared access signature with a later end and save it in the settings of the site.',
    subject: site,
    facts: { endsAt: toIso(signInEndsAt) },
  })
}
