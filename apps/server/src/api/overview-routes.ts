import { toIso } from '@understudy/base/instant'
import type { Overview } from '@understudy/contract/overview'
import type { Readiness, ReadinessLevel } from '@understudy/contract/plan-tests'
import type { ProtectionHealth, Protection as ShownProtection } from '@understudy/contract/protection'
import type { Job } from '@understudy/domain/jobs/job'
import { activePlanRunStates, type PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { isEmulated, type Site } from '@understudy/domain/sites/site'
import { type ApiDeps, os } from './context.ts'
import { loadProtections } from './load-protections.ts'
import { countMachinesAt, countUnprotected, machinesThatCount } from './machines-that-count.ts'
import { showAlert } from './show-event.ts'
import { showJob } from './show-job.ts'

const MOST_LISTED = 20
/** Before those are taken out that their runs ask for. */
const MOST_WAITING = 500

export const overviewRoute = (deps: ApiDeps) => os.overview.handler(() => showOverview(deps))

export async function showOverview(deps: ApiDeps): Promise<Overview> {
  const [sites, machines, rows, protections, plans, waiting, running, alerts] = await Promise.all([
    deps.stores.sites.list(),
    deps.stores.machines.list(),
    deps.stores.protections.list(),
    loadProtections(deps),
    planReadinesses(deps),
    deps.stores.jobs.list({ states: ['waiting'] }, { limit: MOST_WAITING, cursor: null }),
    deps.stores.jobs.list({ states: ['queued', 'running'] }, { limit: 20, cursor: null }),
    deps.stores.alerts.list({ open: true }, { limit: 20, cursor: null }),
  ])
  const counted = machinesThatCount(machines, rows)
  return {
    counts: {
      sites: sites.length,
      machines: counted.length,
      protections: protections.length,
      byHealth: countByHealth(protections),
    },
    waiting: (await withoutPlans(deps, waiting.rows)).map(showJob),
    alerts: alerts.rows.map(showAlert),
    runningJobs: running.rows.map(showJob),
    worstLag: worstLag(protections),
    sites: sites.map((site) => ({
      id: site.id,
      name: site.name,
      platform: site.platform,
      emulated: isEmulated(site),
      health: site.health,
      machines: countMachinesAt(site.id, machines, rows),
      replicas: protections.filter((protection) => protection.target.id === site.id).length,
    })),
    links: linksOf(protections),
    storedBytes: protections.reduce((sum, protection) => sum + protection.storedBytes, 0),
    neverTested: protections.filter((protection) => protection.lastTestAt === null).length,
    readiness: {
      machines: countByLevel(protections.map(({ readiness }) => readiness)),
      plans: countByLevel(plans),
    },
    ifSiteDied: sites.map((site) => ifSiteDied(site, countUnprotected(site.id, machines, rows), protections)),
    serverTime: toIso(deps.clock.now()),
  }
}

/** Questions of machines that a plan brings up are asked at its run, once for all of them; what it has passed over asks alone. */
async function withoutPlans({ stores }: ApiDeps, jobs: readonly Job[]): Promise<readonly Job[]> {
  const runOf = await stores.planRuns.ofJobs(jobs.map(({ id }) => id))
  const asked = await Promise.all([...new Set(runOf.values())].map((id) => askedAtRun(stores, id)))
  const hidden = new Set<string | null>(asked.flat())
  return jobs.filter(({ id }) => !hidden.has(id)).slice(0, MOST_LISTED)
}

async function askedAtRun({ planRuns }: ApiDeps['stores'], id: PlanRunId): Promise<(string | null)[]> {
  const run = await planRuns.find(id)
  if (run === null || !activePlanRunStates.includes(run.state)) return []
  return (await planRuns.activities(id)).flatMap(({ state, jobId }) => (state === 'running' ? [jobId] : []))
}

export function moverRoutes(deps: ApiDeps) {
  return {
    list: os.movers.list.handler(async () => {
      const now = deps.clock.now()
      const movers = await deps.stores.leases.movers()
      return {
        items: movers.map((mover) => ({
          id: mover.id,
          beatAt: toIso(mover.beatAt),
          expiresAt: toIso(mover.expiresAt),
          protections: mover.protections,
          alive: mover.expiresAt > now,
        })),
      }
    }),
  }
}

async function planReadinesses({ engine, stores }: ApiDeps): Promise<readonly Pick<Readiness, 'level'>[]> {
  const judged = await engine.plans.readiness(await stores.plans.list())
  return [...judged.values()]
}

function countByLevel(rows: readonly Pick<Readiness, 'level'>[]): Record<ReadinessLevel, number> {
  const counts: Record<ReadinessLevel, number> = { 'not-ready': 0, doubtful: 0, unproven: 0, proven: 0 }
  for (const { level } of rows) counts[level] += 1
  return counts
}

function countByHealth(protections: readonly ShownProtection[]): Record<ProtectionHealth, number> {
  const counts: Record<ProtectionHealth, number> = { good: 0, 'at-risk': 0, bad: 0, off: 0 }
  for (const protection of protections) counts[protection.health] += 1
  return counts
}

/** The ones furthest beyond their target, in multiples of it. */
function worstLag(protections: readonly ShownProtection[]): Overview['worstLag'] {
  const strain = (row: ShownProtection): number =>
    row.lagSeconds === null ? Number.POSITIVE_INFINITY : row.lagSeconds / Math.max(1, row.lagTargetSeconds)
  return protections
    .filter((row) => row.health !== 'off')
    .toSorted((left, right) => (strain(left) < strain(right) ? 1 : strain(left) > strain(right) ? -1 : 0))
    .slice(0, 8)
    .map((row) => ({
      protectionId: row.id,
      name: row.name,
      lagSeconds: row.lagSeconds,
      lagTargetSeconds: row.lagTargetSeconds,
    }))
}

const severity: readonly ProtectionHealth[] = ['off', 'good', 'at-risk', 'bad']
const worse = (left: ProtectionHealth, right: ProtectionHealth): ProtectionHealth =>
  severity.indexOf(left) >= severity.indexOf(right) ? left : right

function linksOf(protections: readonly ShownProtection[]): Overview['links'] {
  const links = new Map<string, Overview['links'][number]>()
  for (const { source, target, health } of protections) {
    const key = `${source.id} ${target.id}`
    const known = links.get(key)
    links.set(key, {
      sourceSiteId: source.id,
      targetSiteId: target.id,
      protections: (known?.protections ?? 0) + 1,
      health: known ? worse(known.health, health) : health,
    })
  }
  return [...links.values()]
}

/** What would be lost, and how long it would take, if this site died now. */
function ifSiteDied(
  site: Site,
  unprotected: number,
  protections: readonly ShownProtection[],
): Overview['ifSiteDied'][number] {
  const mine = protections.filter(
    (protection) => protection.activeSiteId === site.id && protection.source.id === site.id,
  )
  const recoverable = mine.filter(({ newestPoint, target }) => newestPoint !== null && target.runsMachines)
  const losses = recoverable.flatMap((protection) => protection.lagSeconds ?? [])
  const times = recoverable.map((protection) => protection.lastRecoverySeconds)
  return {
    siteId: site.id,
    name: site.name,
    machines: mine.length + unprotected,
    recoverable: recoverable.length,
    unprotected,
    worstLossSeconds: losses.length === 0 ? null : Math.max(...losses),
    // Known only when every machine has been tested: one unmeasured machine makes the whole number a guess.
    expectedRecoverySeconds:
      times.length > 0 && times.every((time) => time !== null)
        ? Math.max(...times.map((time) => time ?? 0))
        : null,
    blockers: mine.flatMap(({ name, newestPoint, target }) => {
      if (newestPoint === null) return [`${name} has no recovery point yet`]
      return target.runsMachines ? [] : [`${target.name} keeps the replica of ${name} and cannot run it yet`]
    }),
  }
}
