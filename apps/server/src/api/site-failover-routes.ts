// "This site is down": what it takes with it, and its plans failed over together.
import { Refusal } from '@understudy/base/errors'
import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { SiteFailover as ShownFailover, SiteOutlook } from '@understudy/contract/recovery-plan'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { SiteFailover, SiteFailoverId, SiteScope } from '@understudy/domain/recovery-plans/site-failover'
import type { Site } from '@understudy/domain/sites/site'
import { protectionNames } from '@understudy/engine/recovery-plans/save-plan'
import { callerOf } from './asker.ts'
import { type ApiDeps, os, type RequestContext } from './context.ts'
import { findPlan, findSite } from './find.ts'
import { countUnprotected } from './machines-that-count.ts'
import { toPlanChoice } from './plan-choice.ts'
import { showPlan } from './show-plan.ts'
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
      const { id, siteName, planIds, moveAlong, point, acceptUnfenced, atOnce } = input
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

async function showOutlook(deps: ApiDeps, site: Site, { plans, uncovered }: SiteScope): Promise<SiteOutlook> {
  const [names, machines, protections, active] = await Promise.all([
    protectionNames(deps),
    deps.stores.machines.list(),
    deps.stores.protections.list(),
    deps.stores.siteFailovers.active(),
  ])
  const nameOf = (id: ProtectionId): string => names.get(id) ?? id
  return {
    siteId: site.id,
    name: site.name,
    answers: site.health === 'healthy' || site.health === 'degraded',
    plans: await Promise.all(
      plans.map(async ({ plan, here, elsewhere }) => {
        const shown = await showPlan(deps, await findPlan(deps, plan.id))
        const blockers = shown.findings.filter(({ level }) => level === 'blocker')
        return {
          planId: plan.id,
          name: plan.name,
          priority: plan.priority,
          machinesHere: here.length,
          machinesElsewhere: elsewhere.map(nameOf),
          blockers: blockers.slice(0, SHOWN_BLOCKERS).map(({ message }) => message),
          predictedSeconds: shown.predictedSeconds,
          worstLagSeconds: shown.worstLagSeconds,
          activeRun: shown.activeRun,
        }
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
