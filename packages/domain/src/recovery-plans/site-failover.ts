// A site is taken for dead, and the plans of its machines are failed over one after the other. Kept as a row.
import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'
import { activeSiteOf } from '../protection/active-site.ts'
import type { Protection, ProtectionId } from '../protection/protection.ts'
import type { Site, SiteId } from '../sites/site.ts'
import type { RecoveryPlan } from './plan.ts'
import type { PlanId } from './plan-ids.ts'
import { machinesOf } from './plan-items.ts'
import { activePlanRunStates, type PlanPointChoice, type PlanRunId, type PlanRunState } from './plan-run.ts'

export type SiteFailoverId = Brand<'SiteFailoverId'>

/**
 * `begun`: its run is started under the id that stands here, and found again under it after a crash. `refused`: it could not be begun.
 * `left-out`: somebody stopped the rest.
 */
export type SitePlanState = 'waiting' | 'begun' | 'refused' | 'left-out'

/** One of its plans. */
export type SitePlan = {
  readonly planId: PlanId
  /** Outlives the plan. */
  readonly planName: string
  readonly priority: number
  /** Given before anything begins: whoever repeats the start finds the same run. */
  readonly planRunId: PlanRunId
  readonly state: SitePlanState
  /** Of a refusal, or of a run that is still to be begun: what stands in the way, and what to do about it. */
  readonly why: { readonly message: string; readonly remedy: string } | null
  /** How it stood when somebody chose it; null: kept before this was written down. */
  readonly atStart: SitePlanAtStart | null
}

export type SitePlanAtStart = {
  /** Its machines that ran at other sites already. */
  readonly elsewhere: readonly ProtectionId[]
  /** The site was seen healthy: whoever took it for dead knew better. */
  readonly siteHealthy: boolean
}

export type SiteFailover = {
  readonly id: SiteFailoverId
  readonly siteId: SiteId
  readonly siteName: string
  readonly state: 'running' | 'done'
  /** Rises with every change: see SiteFailoverStore. */
  readonly revision: number
  /** In the order in which they begin. */
  readonly plans: readonly SitePlan[]
  readonly point: PlanPointChoice
  /** Answers beforehand what would be asked when a source cannot be proven off. */
  readonly acceptUnfenced: boolean
  /** So many runs go on at a time. */
  readonly atOnce: number
  readonly startedBy: string
  /** See PlanRun. */
  readonly starterId: string | null
  readonly startedAt: Instant
  readonly endedAt: Instant | null
  /** Who has stopped the plans that had not begun; null: nobody. */
  readonly stoppedBy: string | null
}

/** The higher goes first; of one priority by name. Pure. */
export const inPriority = <Plan extends Pick<RecoveryPlan, 'priority' | 'name'>>(
  plans: readonly Plan[],
): readonly Plan[] =>
  plans.toSorted((left, right) => right.priority - left.priority || left.name.localeCompare(right.name, 'en'))

type Placed = Pick<Protection, 'id' | 'name' | 'state' | 'sourceSiteId' | 'targetSiteId'>

export type PlanAtSite = {
  readonly plan: RecoveryPlan
  /** Of its machines those that run at the site, and those that run elsewhere and would be moved along. */
  readonly here: readonly ProtectionId[]
  readonly elsewhere: readonly ProtectionId[]
}

export type SiteScope = {
  /** In the order in which they would be failed over. */
  readonly plans: readonly PlanAtSite[]
  /** Protected machines that run at the site and stand in no plan. */
  readonly uncovered: readonly Placed[]
}

/** What a site takes down with it, and what of that plans bring back. Pure. */
export function scopeOfSite(
  siteId: SiteId,
  plans: readonly RecoveryPlan[],
  protections: readonly Placed[],
): SiteScope {
  const alive = protections.filter(({ state }) => state !== 'ending' && state !== 'gone')
  const atSite = new Map(alive.map((protection) => [protection.id, activeSiteOf(protection) === siteId]))
  const placed = inPriority(plans).map((plan) => {
    const ids = machinesOf(plan)
      .map(({ protectionId }) => protectionId)
      .filter((id) => atSite.has(id))
    return {
      plan,
      here: ids.filter((id) => atSite.get(id) === true),
      elsewhere: ids.filter((id) => atSite.get(id) === false),
    }
  })
  const covered = new Set(placed.flatMap(({ here }) => here))
  return {
    plans: placed.filter(({ here }) => here.length > 0),
    uncovered: alive.filter(({ id }) => atSite.get(id) === true && !covered.has(id)),
  }
}

export type SharedMachines = {
  readonly planId: PlanId
  readonly planName: string
  readonly machines: readonly ProtectionId[]
}

/**
 * For each plan those that begin before it and have machines of it: those are brought up with the first. Where no plan shares any, it is not in
 * the map. Pure.
 */
export function sharedWithEarlier(
  plans: readonly RecoveryPlan[],
): ReadonlyMap<PlanId, readonly SharedMachines[]> {
  const members = plans.map((plan) => ({
    plan,
    ids: new Set(machinesOf(plan).map(({ protectionId }) => protectionId)),
  }))
  return new Map(
    members.flatMap(({ plan, ids }, index) => {
      const shared = members.slice(0, index).flatMap(({ plan: earlier, ids: theirs }) => {
        const machines = [...ids].filter((id) => theirs.has(id))
        return machines.length === 0 ? [] : [{ planId: earlier.id, planName: earlier.name, machines }]
      })
      return shared.length === 0 ? [] : [[plan.id, shared] as const]
    }),
  )
}

/** What was filled in for each plan, by its id and the name of the parameter; secrets among them. */
export type GivenParameters = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export type NextOfSite = {
  /** Written down as begun next, in this order. */
  readonly begin: readonly PlanRunId[]
  /** Written down as begun, and no run of theirs is there: started, or started again. */
  readonly start: readonly PlanRunId[]
  /** Nothing waits and nothing goes on. */
  readonly done: boolean
}

/** What there is to do now. A run that has stopped by a failure waits for people and holds up no other plan. Pure. */
export function nextOfSite(
  { plans, atOnce }: Pick<SiteFailover, 'plans' | 'atOnce'>,
  runs: ReadonlyMap<PlanRunId, PlanRunState>,
): NextOfSite {
  const begun = plans.filter(({ state }) => state === 'begun')
  const start = begun.filter(({ planRunId }) => !runs.has(planRunId))
  const goingOn = begun.filter(({ planRunId }) => {
    const state = runs.get(planRunId)
    return state === undefined || activePlanRunStates.includes(state)
  })
  const waiting = plans.filter(({ state }) => state === 'waiting')
  const idOf = ({ planRunId }: SitePlan): PlanRunId => planRunId
  return {
    begin: waiting.slice(0, Math.max(0, atOnce - goingOn.length)).map(idOf),
    start: start.map(idOf),
    done: waiting.length === 0 && goingOn.length === 0,
  }
}

/** With one plan changed. Pure. */
export const withSitePlan = (
  failover: SiteFailover,
  planRunId: PlanRunId,
  change: Pick<SitePlan, 'state'> & Partial<Pick<SitePlan, 'why'>>,
): SiteFailover => ({
  ...failover,
  plans: failover.plans.map((plan) => (plan.planRunId === planRunId ? { ...plan, ...change } : plan)),
})

/**
 * Why what was chosen then is not to be begun any more: an unplanned failover switches off whatever serves now. `broughtUp`: by the other plans of
 * this failover, which counts as done and not as moved. Null: nothing. Pure.
 */
export function whyNotBegunNow(
  { planId, atStart }: Pick<SitePlan, 'planId' | 'atStart'>,
  { health }: Pick<Site, 'health'>,
  {
    scope: { plans },
    broughtUp,
    machines,
  }: {
    readonly scope: SiteScope
    readonly broughtUp: readonly ProtectionId[]
    /** Of the plan. */
    readonly machines: readonly ProtectionId[]
  },
): 'moved' | 'site-back' | null {
  const now = plans.find(({ plan }) => plan.id === planId)
  const then = new Set([...(atStart?.elsewhere ?? []), ...broughtUp])
  // None of its machines is here any more: all of them are up, or somebody else has moved them.
  const elsewhere = now?.elsewhere ?? machines
  if ((!now && machines.length === 0) || elsewhere.some((id) => !then.has(id))) return 'moved'
  return health === 'healthy' && atStart?.siteHealthy !== true ? 'site-back' : null
}
