// The sites that the steps of a plan run programs at.
import { Outage, Refusal } from '@understudy/base/errors'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { type SiteFacts, sitesOf } from '@understudy/domain/recovery-plans/validate-sites'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { HostPrograms } from '../ports/host-programs.ts'
import { openedInTime } from '../sites/bounded-call.ts'
import { platformOf } from '../sites/platform-of.ts'

/** Null: no program is to be run at a site, or its platform cannot. */
export const hostProgramsOf = async (
  parts: EngineParts,
  siteId: SiteId | null,
): Promise<HostPrograms | null> =>
  siteId === null ? null : ((await platformOf(parts, siteId)).hostPrograms ?? null)

/** Of the sites that the plan runs programs at, as far as they are there. A site that hangs holds no failover up. */
export async function siteFacts(
  parts: Pick<EngineParts, 'stores' | 'platforms' | 'sleep'>,
  plan: Pick<RecoveryPlan, 'groups'>,
): Promise<ReadonlyMap<SiteId, SiteFacts>> {
  const sites = await Promise.all(sitesOf(plan).map((id) => parts.stores.sites.find(id)))
  return new Map(
    await Promise.all(
      sites
        .filter((site) => site !== null)
        .map(async (site): Promise<[SiteId, SiteFacts]> => {
          const platform = await openedInTime(parts, site).catch(unlessKnown)
          const runsPrograms = platform === null ? 'unclear' : platform.hostPrograms ? 'yes' : 'no'
          return [site.id, { name: site.name, runsPrograms }]
        }),
    ),
  )
}

/** A folder that is not mounted, or hangs, settings that are not right any more: told at the site. */
function unlessKnown(error: unknown): null {
  if (error instanceof Outage || error instanceof Refusal) return null
  throw error
}
