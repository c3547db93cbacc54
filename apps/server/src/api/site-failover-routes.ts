// "This site is down": what it takes with it, and its plans failed over together.
import { Refusal } from '@understudy/base/errors'
import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { SiteFailover as ShownFailover, SiteOutlook } from '@understudy/contract/recovery-plan'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import {
  type PlanAtSite,
  type SiteFailover,
  type SiteFailoverId,
  type SiteScope,
  sharedWithEarlier,
} from '@understudy/domain/recovery-plans/site-failover'
import type { Site } from '@understudy/domain/sites/site'
import { protectionNames } from '@understudy/engine/recovery-plans/save-plan'
import { callerOf } from './asker.ts'
import { type ApiDeps, os, type RequestContext } from './context.ts'
import { findSite } from './find.ts'
import { countUnprotected } from './machines-that-count.ts'
import { toPlanChoice } from './plan-choice.ts'
import { showDocument } from './show-document.ts'
import { type JudgedPlan, judgePlans } from './show-plan.ts'
import { summarizePlanRun } from './show-plan-run.ts'

/** What a dialog lists of a plan's faults; the rest stands at the plan. */
const SHOWN_BLOCKERS = 5

/** Beside the other routes of a site. */
export function siteDownRoutes(deps: ApiDeps) {
  const { plans } = deps.engine
  return {
    failoverOutlook: os.sites.failoverOutlook.handler(async ({ input }) => {
      const site = await findSite(deps, input.id)
      return showOutlook(deps, site, await plans.siteScope(site.id))
    }),
    failOver: os.sites.failOver.handler(async ({ input, context }) => {
      const { id, siteName, planIds, moveAlong, parameters, point, acceptUnfenced, atOnce } = input
      context.audit(id, { name: siteName, planIds, moveAlong, point, acceptUnfenced, atOnce })
      const { name, user } = callerOf(context)
      const failover = await plans.failOverSite({
        by: name,
        byId: user.id,
        ...(context.jobId === null ? {} : { id: context.jobId as SiteFailoverId }),
        siteId: (await findSite(deps, id)).id,
        siteName,
        planIds: planIds as PlanId[],
        moveAlong: moveAlong as PlanId[],
        parameters,
        point: toPlanChoice(point),
        acceptUnfenced,
        atOnce,
      })
      return showSiteFailover(deps, failover)
    }),
  }
}

export function siteFailoverRoutes(deps: ApiDeps) {
  const { plans } = deps.engine
  const { siteFailovers } = deps.stores
  const find = async (id: string): Promise<SiteFailover> => {
    const failover = await siteFailovers.find(id as SiteFailoverId)
    if (failover) return failover
    throw new Refusal({
      code: 'site-failover/not-found',
      message: `There is no failover of a site with the id ${id}`,
      remedy: 'Read the list again.',
    })
  }
  const change = async (
    id: string,
    context: RequestContext,
    act: (id: SiteFailoverId) => Promise<SiteFailover>,
  ): Promise<ShownFailover> => {
    const { siteName } = await find(id)
    context.audit(id, { name: siteName })
    return showSiteFailover(deps, await act(id as SiteFailoverId))
  }
  return {
    list: os.siteFailovers.list.handler(async ({ input: { limit, cursor } }) => {
      const page = await siteFailovers.list({ limit, cursor: cursor ?? null })
      const items = await Promise.all(page.rows.map((failover) => showSiteFailover(deps, failover)))
      return { items, next: page.next, total: null }
    }),
    get: os.siteFailovers.get.handler(async ({ input }) => showSiteFailover(deps, await find(input.id))),
    stop: os.siteFailovers.stop.handler(({ input, context }) =>
      change(input.id, context, (id) => plans.stopSiteFailover(id, { by: callerOf(context).name })),
    ),
    change: os.siteFailovers.change.handler(({ input, context }) => {
      context.audit(input.id, { atOnce: input.atOnce })
      return change(input.id, context, (id) => plans.changeAtOnce(id, input.atOnce))
    }),
  }
}

/** As with a database that came back without its key: that is this plan's trouble, and closes the dialog to no other. */
function whenUnreadable(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  throw error
}

async function showOutlook(deps: ApiDeps, site: Site, { plans, uncovered }: SiteScope): Promise<SiteOutlook> {
  const ids = new Set(plans.map(({ plan }) => plan.id))
  const kept = (await deps.stores.plans.list()).filter(({ plan }) => ids.has(plan.id))
  const [names, machines, protections, active, judged] = await Promise.all([
    protectionNames(deps),
    deps.stores.machines.list(),
    deps.stores.protections.list(),
    deps.stores.siteFailovers.active(),
    judgePlans(deps, kept),
  ])
  const judgedById = new Map(judged.map((each) => [each.summary.id, each]))
  const shared = sharedWithEarlier(plans.map(({ plan }) => plan))
  const nameOf = (id: ProtectionId): string => names.get(id) ?? id
  const show = async ({ plan, here, elsewhere }: PlanAtSite, { summary, findings }: JudgedPlan) => {
    const blockers = findings.filter(({ level }) => level === 'blocker')
    const secrets = await deps.stores.plans.secrets(plan.id).catch(whenUnreadable)
    return {
      planId: plan.id,
      name: plan.name,
      priority: plan.priority,
      machinesHere: here.length,
      machinesElsewhere: elsewhere.map(nameOf),
      blockers: [...blockers, ...(secrets instanceof Refusal ? [secrets] : [])]
        .slice(0, SHOWN_BLOCKERS)
        .map(({ message, remedy }) => `${message}. ${remedy}`),
      asked: showDocument(plan).parameters.filter(({ asked }) => asked),
      keptSecrets: secrets instanceof Refusal ? [] : Object.keys(secrets).toSorted(),
      sharedWith: (shared.get(plan.id) ?? []).map(({ planId, planName, machines }) => ({
        planId,
        name: planName,
        machines: machines.map(nameOf),
      })),
      predictedSeconds: summary.predictedSeconds,
      worstLagSeconds: summary.worstLagSeconds,
      activeRun: summary.activeRun,
    }
  }
  return {
    siteId: site.id,
    name: site.name,
    answers: site.health === 'healthy' || site.health === 'degraded',
    plans: await Promise.all(
      plans.flatMap(({ plan, here, elsewhere }) => {
        const judged = judgedById.get(plan.id)
        // Removed since the first look: there is nothing to choose any more.
        return judged ? [show({ plan, here, elsewhere }, judged)] : []
      }),
    ),
    uncovered: uncovered.map(({ id, name }) => ({ protectionId: id, name })),
    unprotected: countUnprotected(site.id, machines, protections),
    running: active.find(({ siteId }) => siteId === site.id)?.id ?? null,
  }
}

export async function showSiteFailover(deps: ApiDeps, failover: SiteFailover): Promise<ShownFailover> {
  const { uncovered } = await deps.engine.plans.siteScope(failover.siteId)
  return {
    id: failover.id,
    siteId: failover.siteId,
    siteName: failover.siteName,
    state: failover.state,
    plans: await Promise.all(
      failover.plans.map(async ({ planId, planName, priority, planRunId, state, why }) => {
        const run = state === 'begun' ? await deps.stores.planRuns.find(planRunId) : null
        // What stood in the way of a run that is there has passed.
        const still = run === null ? why : null
        return {
          planId,
          planName,
          priority,
          state,
          why: still,
          run: run && (await summarizePlanRun(deps, run)),
        }
      }),
    ),
    atOnce: failover.atOnce,
    acceptUnfenced: failover.acceptUnfenced,
    startedBy: failover.startedBy,
    startedAt: toIso(failover.startedAt),
    endedAt: toIsoOrNull(failover.endedAt),
    stoppedBy: failover.stoppedBy,
    uncovered: uncovered.map(({ id, name }) => ({ protectionId: id, name })),
  }
}
