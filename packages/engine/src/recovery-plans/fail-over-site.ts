// "This site is down": its plans are failed over in order, some at a time. What stands in the row is begun; a plan is begun once, whatever dies.
import { isAbort, Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanRunId, PlanRunState } from '@understudy/domain/recovery-plans/plan-run'
import {
  type GivenParameters,
  nextOfSite,
  type PlanAtSite,
  type SiteFailover,
  type SiteFailoverId,
  type SitePlan,
  type SiteScope,
  scopeOfSite,
  whyNotBegunNow,
  withSitePlan,
} from '@understudy/domain/recovery-plans/site-failover'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { Asker, FailOverSiteRequest } from '../requests.ts'
import { loadSite } from '../sites/register.ts'
import { beginRun, fillIn } from './begin-run.ts'

/** More at a time help nobody: the target has to bring all of them up. */
const MOST_AT_ONCE = 20
/** Somebody else was quicker this often: then it is told. */
const TURNS = 5

/** What the site takes down with it. Touches nothing. */
export async function siteScope({ stores }: EngineParts, siteId: SiteId): Promise<SiteScope> {
  const [plans, protections] = await Promise.all([stores.plans.list(), stores.protections.list()])
  return scopeOfSite(
    siteId,
    plans.map(({ plan }) => plan),
    protections,
  )
}

/** Repeatable with the same id: the first request counts. Only begins: watch it. */
export async function failOverSite(parts: EngineParts, request: FailOverSiteRequest): Promise<SiteFailover> {
  const id = request.id ?? (parts.newId() as SiteFailoverId)
  const known = await parts.stores.siteFailovers.find(id)
  if (known) return known
  const site = await loadSite(parts, request.siteId)
  refuseOtherName(site, request.siteName)
  const given = request.parameters ?? {}
  const chosen = await chosenPlans(parts, site, request)
  await refuseMissing(
    parts,
    chosen.map(({ plan }) => plan),
    given,
  )
  const failover: SiteFailover = {
    id,
    siteId: site.id,
    siteName: site.name,
    state: 'running',
    revision: 1,
    plans: chosen.map((each) => toSitePlan(parts, site, each)),
    point: request.point ?? { kind: 'latest' },
    acceptUnfenced: request.acceptUnfenced ?? false,
    atOnce: boundedAtOnce(request.atOnce ?? 3),
    startedBy: request.by,
    starterId: request.byId ?? null,
    startedAt: parts.clock.now(),
    endedAt: null,
    stoppedBy: null,
  }
  await parts.stores.siteFailovers.create(failover, given)
  parts.live.changed('plan-runs', id)
  await tell(parts, failover, 'started', {
    severity: 'critical',
    words: `${request.by} has taken it for dead: ${counted(failover.plans.length, 'plan')} are failed over`,
  })
  return failover
}

/** Whoever types another name means another site. */
function refuseOtherName({ name }: Site, typed: string): void {
  if (typed.trim() === name) return
  throw new Refusal({
    code: 'site-failover/not-confirmed',
    message: `The name of the site is "${name}", and "${typed}" was typed`,
    remedy: 'Type the name of the site whose plans are to be failed over.',
  })
}

/** Of the plans that have machines there, those that were ticked, in their order. */
async function chosenPlans(
  parts: EngineParts,
  site: Site,
  { planIds, moveAlong = [] }: FailOverSiteRequest,
): Promise<readonly PlanAtSite[]> {
  const { plans } = await siteScope(parts, site.id)
  const wanted = new Set<string>(planIds)
  const chosen = plans.filter(({ plan }) => wanted.has(plan.id))
  if (chosen.length === 0 || chosen.length < wanted.size)
    throw new Refusal({
      code: 'site-failover/no-such-plan',
      message:
        wanted.size === 0
          ? 'No plan was chosen'
          : `Not every chosen plan has machines that run at "${site.name}" now`,
      remedy: 'Look at the list of its plans again, and choose from that.',
    })
  const dragging = chosen.find(({ plan, elsewhere }) => elsewhere.length > 0 && !moveAlong.includes(plan.id))
  if (dragging)
    throw new Refusal({
      code: 'site-failover/moves-along',
      message: `"${dragging.plan.name}" would also switch off ${counted(dragging.elsewhere.length, 'machine')} that ${dragging.elsewhere.length === 1 ? 'runs' : 'run'} elsewhere`,
      remedy: `Leave the plan out, or say of it that what does not run at "${site.name}" is moved along.`,
    })
  return chosen
}

const toSitePlan = (parts: EngineParts, site: Site, { plan, elsewhere }: PlanAtSite): SitePlan => ({
  planId: plan.id,
  planName: plan.name,
  priority: plan.priority,
  planRunId: parts.newId() as PlanRunId,
  state: 'waiting',
  why: null,
  atStart: { elsewhere, siteHealthy: site.health === 'healthy' },
})

/** Now, while somebody is there who can fill it in: when the turn of a plan comes there may be nobody. */
async function refuseMissing(
  parts: EngineParts,
  plans: readonly RecoveryPlan[],
  given: GivenParameters,
): Promise<void> {
  const unknown = Object.keys(given).find((planId) => plans.every(({ id }) => id !== planId))
  if (unknown !== undefined)
    throw new Refusal({
      code: 'site-failover/parameters',
      message: `Values were given for the plan ${unknown}, which is not among those chosen`,
      remedy: 'Leave them out, or choose the plan.',
    })
  const wrong = await Promise.all(plans.map((plan) => faultOf(parts, plan, given[plan.id] ?? {})))
  const faults = wrong.filter((fault) => fault !== null)
  if (faults.length === 0) return
  throw new Refusal({
    code: 'site-failover/parameters',
    message: faults.join(' '),
    remedy: 'Fill in what these plans ask for, or leave them out.',
  })
}

async function faultOf(
  parts: EngineParts,
  plan: RecoveryPlan,
  given: Readonly<Record<string, unknown>>,
): Promise<string | null> {
  try {
    await fillIn(parts, plan, given)
    return null
  } catch (error) {
    if (error instanceof Refusal) return `"${plan.name}": ${error.message}.`
    throw error
  }
}

const boundedAtOnce = (atOnce: number): number =>
  Math.min(MOST_AT_ONCE, Math.max(1, Math.round(Number.isFinite(atOnce) ? atOnce : 1)))

/** What has begun goes on; nothing more begins, nor what is written down as begun and has no run. */
export const stopSiteFailover = (
  parts: EngineParts,
  id: SiteFailoverId,
  { by }: Asker,
): Promise<SiteFailover> =>
  change(parts, id, async (failover) => {
    const runs = await runStates(parts, failover)
    const hasNotBegun = ({ state, planRunId }: SitePlan): boolean =>
      state === 'waiting' || (state === 'begun' && !runs.has(planRunId))
    return {
      ...failover,
      stoppedBy: by,
      plans: failover.plans.map((plan) => (hasNotBegun(plan) ? { ...plan, state: 'left-out' } : plan)),
    }
  })

/** A run that waits for people must not hold up all the others. */
export const changeAtOnce = (parts: EngineParts, id: SiteFailoverId, atOnce: number): Promise<SiteFailover> =>
  change(parts, id, (failover) => ({ ...failover, atOnce: boundedAtOnce(atOnce) }))

async function change(
  parts: EngineParts,
  id: SiteFailoverId,
  make: (failover: SiteFailover) => SiteFailover | Promise<SiteFailover>,
): Promise<SiteFailover> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    const failover = await loadSiteFailover(parts, id)
    if (failover.state === 'done')
      throw new Refusal({
        code: 'site-failover/done',
        message: `The failover of "${failover.siteName}" is over`,
        remedy: 'Look at the runs of its plans.',
      })
    const next = await make(failover)
    if (await save(parts, next)) return { ...next, revision: next.revision + 1 }
  }
  throw new Refusal({
    code: 'site-failover/busy',
    message: 'The failover changed again and again while this was tried',
    remedy: 'Look at it and try once more.',
  })
}

export async function loadSiteFailover(
  { stores }: Pick<EngineParts, 'stores'>,
  id: SiteFailoverId,
): Promise<SiteFailover> {
  const failover = await stores.siteFailovers.find(id)
  if (failover) return failover
  throw new Refusal({
    code: 'site-failover/not-found',
    message: `There is no failover ${id} of a site`,
    remedy: 'Reload the page.',
  })
}

async function save(parts: EngineParts, failover: SiteFailover): Promise<boolean> {
  const saved = await parts.stores.siteFailovers.save({ ...failover, revision: failover.revision + 1 })
  if (saved) parts.live.changed('plan-runs', failover.id)
  return saved
}

/** One look. True: something has moved, so another look at once may find more to do. */
export async function conductSiteFailover(parts: EngineParts, id: SiteFailoverId): Promise<boolean> {
  const failover = await parts.stores.siteFailovers.find(id)
  if (failover?.state !== 'running') return false
  const next = nextOfSite(failover, await runStates(parts, failover))
  if (next.done) return await finish(parts, failover)
  // Started before more are written down: what has begun comes before what waits.
  const moved = await startThem(parts, failover, next.start)
  if (moved || next.begin.length === 0) return moved
  return await save(
    parts,
    next.begin.reduce((row, runId) => withSitePlan(row, runId, { state: 'begun' }), failover),
  )
}

async function runStates(
  { stores }: EngineParts,
  { plans }: SiteFailover,
): Promise<ReadonlyMap<PlanRunId, PlanRunState>> {
  const begun = plans.filter(({ state }) => state === 'begun')
  const runs = await Promise.all(begun.map(({ planRunId }) => stores.planRuns.find(planRunId)))
  return new Map(runs.flatMap((run) => (run ? [[run.id, run.state] as const] : [])))
}

/**
 * True: something of it has moved, and its row with it. A plan whose start meets an outage is tried again at the next look. All at once:
 * one whose stores are slow to answer holds up none of the others.
 */
async function startThem(
  parts: EngineParts,
  failover: SiteFailover,
  runIds: readonly PlanRunId[],
): Promise<boolean> {
  const plans = runIds.flatMap((id) => failover.plans.find(({ planRunId }) => planRunId === id) ?? [])
  const look = newLook(parts, failover)
  const starts = await Promise.all(
    plans.map(async (plan) => ({ plan, ended: await tryStart(parts, look, plan) })),
  )
  for (const { plan, ended } of starts)
    if (typeof ended === 'object' && (await notBegun(parts, failover, { plan, error: ended.error })))
      return true
  return starts.some(({ ended }) => ended === 'begun')
}

/** What all plans that are started at one look are judged by: read when the first one needs it, and once. */
type Look = {
  readonly failover: SiteFailover
  site(): Promise<Site>
  scope(): Promise<SiteScope>
  /** Machines that the plans that have begun bring up. */
  broughtUp(): Promise<readonly ProtectionId[]>
  given(): Promise<GivenParameters>
}

function newLook(parts: EngineParts, failover: SiteFailover): Look {
  const { siteId, id } = failover
  return {
    failover,
    site: once(() => loadSite(parts, siteId)),
    scope: once(() => siteScope(parts, siteId)),
    broughtUp: once(() => broughtUpBy(parts, failover)),
    given: once(() => parts.stores.siteFailovers.given(id)),
  }
}

async function broughtUpBy(
  { stores }: EngineParts,
  { plans }: Pick<SiteFailover, 'plans'>,
): Promise<readonly ProtectionId[]> {
  const begun = plans.filter(({ state }) => state === 'begun')
  const runs = await Promise.all(begun.map(({ planRunId }) => stores.planRuns.find(planRunId)))
  return runs.flatMap((run) =>
    run === null ? [] : machinesOf(run.plan).map(({ protectionId }) => protectionId),
  )
}

function once<Value>(read: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | null = null
  return () => {
    value ??= read()
    return value
  }
}

async function tryStart(
  parts: EngineParts,
  look: Look,
  plan: SitePlan,
): Promise<'begun' | 'stays' | { readonly error: unknown }> {
  try {
    return (await start(parts, look, plan)) ? 'begun' : 'stays'
  } catch (error) {
    if (isAbort(error)) throw error
    return error instanceof Outage ? 'stays' : { error }
  }
}

/** The plan may have lost one since it was filled in, which is no reason to leave it undone. Pure. */
function fittingParameters(
  plan: RecoveryPlan | undefined,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const names = new Set(plan?.parameters.map(({ name }) => name))
  return Object.fromEntries(Object.entries(given).filter(([name]) => names.has(name)))
}

/** False: somebody has stopped it meanwhile. */
async function start(parts: EngineParts, look: Look, plan: SitePlan): Promise<boolean> {
  const { failover } = look
  if (await parts.stores.planRuns.find(plan.planRunId)) return true
  const kept = (await parts.stores.plans.find(plan.planId))?.plan
  await refuseOvertaken(look, plan, kept)
  const parameters = fittingParameters(kept, (await look.given())[plan.planId] ?? {})
  const { startedBy, starterId, point, acceptUnfenced } = failover
  const row = await parts.stores.siteFailovers.find(failover.id)
  if (row?.plans.find(({ planRunId }) => planRunId === plan.planRunId)?.state !== 'begun') return false
  const request = {
    by: startedBy,
    ...(starterId === null ? {} : { byId: starterId }),
    planRunId: plan.planRunId,
    planId: plan.planId,
    kind: 'unplanned',
    point,
    parameters,
    settings: { acceptUnfenced },
  } as const
  await beginRun(parts, request, await look.broughtUp())
  return true
}

/** A plan may have waited for hours: it was chosen for how things stood then, and pulls the plug of what serves now. */
async function refuseOvertaken(
  { failover, site, scope, broughtUp }: Look,
  plan: SitePlan,
  kept: RecoveryPlan | undefined,
): Promise<void> {
  const { siteName } = failover
  const machines = kept ? machinesOf(kept).map(({ protectionId }) => protectionId) : []
  const facts = { scope: await scope(), broughtUp: await broughtUp(), machines }
  const why = whyNotBegunNow(plan, await site(), facts)
  const { planName } = plan
  if (why === 'moved')
    throw new Refusal({
      code: 'site-failover/moved',
      message: `Machines of "${planName}" have left "${siteName}" since its failover was asked for`,
      remedy: 'Look at where they run. Start the plan by hand if it is still to be failed over.',
    })
  if (why === 'site-back')
    throw new Refusal({
      code: 'site-failover/site-back',
      message: `"${siteName}" answers again, so what runs there would be switched off`,
      remedy: `Start "${planName}" by hand if it is to be failed over all the same.`,
    })
}

/**
 * The others go on, whatever it was. False: nothing has moved. Another process may have begun it, and its machines, which move by now, are what
 * stood in our way.
 */
async function notBegun(
  parts: EngineParts,
  failover: SiteFailover,
  { plan, error }: { readonly plan: SitePlan; readonly error: unknown },
): Promise<boolean> {
  if (await parts.stores.planRuns.find(plan.planRunId)) return false
  const { code, message, remedy } = toFailureReport(error)
  const why = { message, remedy }
  // A test, or its clean-up, passes: told meanwhile, and tried at every look.
  if (code === 'recovery-plan/running') {
    if (plan.why?.message === message) return false
    return await save(parts, withSitePlan(failover, plan.planRunId, { state: 'begun', why }))
  }
  if (!(error instanceof Refusal)) parts.log('error', 'a plan of a site could not be begun', { error })
  if (!(await save(parts, withSitePlan(failover, plan.planRunId, { state: 'refused', why })))) return true
  await tell(parts, failover, 'plan-refused', {
    severity: 'critical',
    words: `"${plan.planName}" could not be begun: ${message}`,
  })
  return true
}

async function finish(parts: EngineParts, failover: SiteFailover): Promise<boolean> {
  const endedAt = parts.clock.now()
  if (!(await save(parts, { ...failover, state: 'done', endedAt }))) return false
  const count = (state: SitePlan['state']): number =>
    failover.plans.filter((plan) => plan.state === state).length
  await tell(parts, failover, 'done', {
    severity: 'warning',
    words: `${counted(count('begun'), 'plan')} begun, ${count('refused')} refused, ${count('left-out')} left out; how each ended stands at its run`,
  })
  return true
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

async function tell(
  parts: EngineParts,
  { id, siteId, siteName }: SiteFailover,
  what: 'started' | 'plan-refused' | 'done',
  { severity, words }: { readonly severity: 'warning' | 'critical'; readonly words: string },
): Promise<void> {
  await recordEvent(parts, {
    severity,
    code: `site-failover/${what}`,
    message: `Failover of the site "${siteName}": ${words}`,
    subject: { id: siteId, name: siteName },
    facts: { siteFailoverId: id },
  })
}
