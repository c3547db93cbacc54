// What a cloud says beforehand about the steps that change something in it. It warns and forbids nothing: what to do about a step that
// fails is the plan's to say, and no failover waits for a name server.
import { isAbort, Outage, Refusal } from '@understudy/base/errors'
import type { Finding } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import type { PlanStep, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { atItem, type PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { machinesOf, stepsOf } from '@understudy/domain/recovery-plans/plan-items'
import { isAzureName } from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { CloudThing } from '../ports/cloud-services.ts'
import { openedInTime, withinSeconds } from '../sites/bounded-call.ts'

/** A start waits no longer for it. */
const ANSWER_SECONDS = 5

type Parts = Pick<EngineParts, 'stores' | 'platforms' | 'sleep'>
type Question = { readonly step: PlanStep; readonly site: SiteId; readonly thing: CloudThing }

/** `members`: the protections of its machines. Touches nothing. */
export async function cloudFindings(
  parts: Parts,
  plan: RecoveryPlan,
  members: readonly Protection[],
): Promise<readonly PlanFinding[]> {
  const questions = stepsOf(plan).flatMap((step) => questionsOf(step, plan, members))
  const findings = await Promise.all(
    questions.map(async ({ step, site, thing }) =>
      (await ask(parts, site, thing)).map(({ code, message, remedy }) => ({
        at: atItem(step.id),
        level: 'warning' as const,
        code,
        message: `"${step.name}": ${message}`,
        remedy,
      })),
    ),
  )
  return findings.flat()
}

function questionsOf(
  step: PlanStep,
  plan: RecoveryPlan,
  members: readonly Protection[],
): readonly Question[] {
  const { action } = step
  if (action.kind === 'azure-run-command')
    return sitesOfMachine(action.machine, plan, members).map((site) => ({
      step,
      site,
      thing: { kind: 'script', resourceGroup: '' },
    }))
  const thing = thingOf(action)
  return thing === null || thing.site === null ? [] : [{ step, site: thing.site, thing: thing.thing }]
}

/** Null: none that a cloud could be asked about, or a name that only a run fills in. */
function thingOf(
  action: PlanStep['action'],
): { readonly site: SiteId | null; readonly thing: CloudThing } | null {
  const of = (
    site: SiteId | null,
    thing: CloudThing,
    names: readonly string[],
  ): { readonly site: SiteId | null; readonly thing: CloudThing } | null =>
    names.every((name) => isAzureName(name)) &&
    (thing.resourceGroup === '' || isAzureName(thing.resourceGroup))
      ? { site, thing }
      : null
  switch (action.kind) {
    case 'traffic-manager': {
      const profile = action.profile.trim()
      const endpoint = action.endpoint.trim()
      const place = { resourceGroup: action.resourceGroup.trim() }
      return of(action.site, { kind: 'traffic', ...place, profile, endpoint }, [profile, endpoint])
    }
    case 'azure-load-balancer': {
      const loadBalancer = action.loadBalancer.trim()
      const pool = action.pool.trim()
      const place = { resourceGroup: action.resourceGroup.trim() }
      const ofAdapters = action.member.kind === 'adapter'
      return of(action.site, { kind: 'pool', ...place, loadBalancer, pool, ofAdapters }, [loadBalancer, pool])
    }
    case 'azure-dns': {
      const zone = action.zone.trim()
      const place = { resourceGroup: action.resourceGroup.trim() }
      const { zoneKind, recordType: type } = action
      return of(action.site, { kind: 'records', ...place, zone, zoneKind, type }, [zone])
    }
    default:
      return null
  }
}

/** A script runs where the machine is then: only at a site with a cloud it can be asked about. */
function sitesOfMachine(
  machine: ItemId | null,
  plan: RecoveryPlan,
  members: readonly Protection[],
): readonly SiteId[] {
  const item = machinesOf(plan).find(({ id }) => id === machine)
  const protection = members.find(({ id }) => id === item?.protectionId)
  return protection === undefined ? [] : [protection.sourceSiteId, protection.targetSiteId]
}

/** Nothing where nobody answers in time: how the site is, its own page and `validateSites` say. */
async function ask(
  { stores, ...parts }: Parts,
  siteId: SiteId,
  thing: CloudThing,
): Promise<readonly Finding[]> {
  const bound = { seconds: ANSWER_SECONDS, signal: new AbortController().signal }
  try {
    const site = await stores.sites.find(siteId)
    if (site === null) return []
    const { cloudServices } = await openedInTime(parts, site)
    return cloudServices === undefined
      ? []
      : await withinSeconds(parts, bound, () => cloudServices.check(thing))
  } catch (error) {
    // A warning that cannot be had keeps no plan from its start.
    if (error instanceof Outage || error instanceof Refusal || isAbort(error)) return []
    throw error
  }
}
