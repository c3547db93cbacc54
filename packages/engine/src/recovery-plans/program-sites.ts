// The sites that the steps of a plan run programs at, or sign in with.
import { Outage, Refusal } from '@understudy/base/errors'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { type SiteFacts, sitesOf } from '@understudy/domain/recovery-plans/validate-sites'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { CloudServices } from '../ports/cloud-services.ts'
import type { HostPrograms } from '../ports/host-programs.ts'
import { openedInTime } from '../sites/bounded-call.ts'
import { platformOf } from '../sites/platform-of.ts'

/** What the site of a step can do for it; null: it names none, or its platform cannot. */
export async function servicesOf(
  parts: EngineParts,
  siteId: SiteId | null,
): Promise<{ readonly host: HostPrograms | null; readonly cloud: CloudServices | null }> {
  const platform = siteId === null ? null : await platformOf(parts, siteId)
  return { host: platform?.hostPrograms ?? null, cloud: platform?.cloudServices ?? null }
}

/** Of the sites that the plan needs for its steps, as far as they are there. A site that hangs holds no failover up. */
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
          const has = (capability: 'hostPrograms' | 'cloudServices') =>
            platform === null ? 'unclear' : platform[capability] ? 'yes' : 'no'
          const facts = { runsPrograms: has('hostPrograms'), hasCloud: has('cloudServices') } as const
          return [site.id, { name: site.name, ...facts }]
        }),
    ),
  )
}

/** A folder that is not mounted, or hangs, settings that are not right any more: told at the site. */
function unlessKnown(error: unknown): null {
  if (error instanceof Outage || error instanceof Refusal) return null
  throw error
}
