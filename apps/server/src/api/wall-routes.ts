// The wall, for whoever is signed in and for display links alike: one answer with what a room may read, and nothing beside it.
import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type {
  PlanActivity,
  PlanRunSummary,
  PlanSummary,
  SiteFailover,
} from '@understudy/contract/recovery-plan'
import type {
  WallActivity,
  WallPlan,
  WallRun,
  WallRunSummary,
  WallSiteFailover,
} from '@understudy/contract/wall'
import type { DisplayLink, DisplayLinkId } from '@understudy/engine/ports/access-stores'
import { displayPrefix } from '../access/caller.ts'
import { hashSecret, newSecret } from '../access/secrets.ts'
import { callerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findPlanRun } from './find.ts'
import { loadProtections } from './load-protections.ts'
import { showOverview } from './overview-routes.ts'
import { outlineOf } from './plan-outline.ts'
import { showPlanSummaries } from './show-plan.ts'
import { showPlanRun, summarizePlanRun } from './show-plan-run.ts'
import { showSiteFailover } from './site-failover-routes.ts'

const dayMilliseconds = 86_400_000
/** A screen has no room for more. */
const MOST_MACHINES = 120
const MOST_ACTIVE = 20
const MOST_RECENT = 10

export function displayLinkRoutes(deps: ApiDeps) {
  const { displayLinks } = deps.stores
  return {
    list: os.displayLinks.list.handler(async () => {
      const items = (await displayLinks.list()).map(showLink)
      return { items, next: null, total: items.length }
    }),
    create: os.displayLinks.create.handler(async ({ input, context }) => {
      const { name, layout, cycleSeconds, expiresInDays } = input
      context.audit(null, { name, layout })
      const secret = `${displayPrefix}${newSecret()}`
      const now = deps.clock.now()
      const link: DisplayLink = {
        id: deps.newId() as DisplayLinkId,
        idHash: hashSecret(secret),
        name,
        layout,
        cycleSeconds,
        createdBy: callerOf(context).name,
        createdAt: now,
        expiresAt: expiresInDays === null ? null : now + expiresInDays * dayMilliseconds,
        lastUsedAt: null,
      }
      await displayLinks.create(link)
      context.audit(link.id, {})
      return { ...showLink(link), path: pathOf(link, secret), secret }
    }),
    remove: os.displayLinks.remove.handler(async ({ input, context }) => {
      const id = input.id as DisplayLinkId
      const link = await displayLinks.find(id)
      context.audit(id, link ? { name: link.name } : {})
      await displayLinks.remove(id)
      return {}
    }),
  }
}

/** What stands behind the # is never sent to a server: no log of a proxy has the secret. */
const pathOf = ({ layout, cycleSeconds }: DisplayLink, secret: string): string =>
  `/wall/${layout}${cycleSeconds === null ? '' : `?cycle=${cycleSeconds}`}#display=${secret}`

const showLink = (link: DisplayLink) => ({
  id: link.id,
  name: link.name,
  layout: link.layout,
  cycleSeconds: link.cycleSeconds,
  createdBy: link.createdBy,
  createdAt: toIso(link.createdAt),
  expiresAt: toIsoOrNull(link.expiresAt),
  lastUsedAt: toIsoOrNull(link.lastUsedAt),
})

export function wallRoutes(deps: ApiDeps) {
  return {
    picture: os.wall.picture.handler(async () => {
      const { planRuns, siteFailovers } = deps.stores
      const [overview, protections, kept, active, recent, sites] = await Promise.all([
        showOverview(deps),
        loadProtections(deps),
        showPlanSummaries(deps),
        planRuns.list({ states: ['running', 'paused', 'cancelling'] }, { limit: MOST_ACTIVE, cursor: null }),
        planRuns.list({}, { limit: MOST_RECENT, cursor: null }),
        siteFailovers.list({ limit: 5, cursor: null }),
      ])
      const runs = [...active.rows, ...recent.rows.filter(({ endedAt }) => endedAt !== null)]
      const { counts, worstLag, links, serverTime } = overview
      return {
        overview: {
          counts,
          worstLag,
          sites: overview.sites,
          links,
          serverTime,
          waiting: overview.waiting.length,
          alerts: overview.alerts.map(({ id, severity, code, raisedAt, subjectName }) => ({
            id,
            severity,
            code,
            raisedAt,
            subjectName,
          })),
        },
        machines: worstFirst(protections).slice(0, MOST_MACHINES).map(toWallMachine),
        plans: kept.map(toWallPlan),
        runs: await Promise.all(runs.map(async (run) => toWallSummary(await summarizePlanRun(deps, run)))),
        siteFailovers: await Promise.all(
          sites.rows.map(async (each) => toWallSite(await showSiteFailover(deps, each))),
        ),
      }
    }),
    run: os.wall.run.handler(async ({ input }): Promise<WallRun> => {
      const run = await findPlanRun(deps, input.id)
      const shown = await showPlanRun(deps, run)
      return {
        ...toWallSummary(shown),
        plan: outlineOf(shown.plan),
        activities: shown.activities.map(toWallActivity),
        predictedSeconds: shown.predictedSeconds,
        spreadSeconds: shown.spreadSeconds,
        targetRtoSeconds: shown.targetRtoSeconds,
      }
    }),
  }
}

type Machine = Awaited<ReturnType<typeof loadProtections>>[number]

/** What is wrong first, the farthest behind before the others; then by name. */
const worstFirst = (protections: readonly Machine[]): readonly Machine[] =>
  protections.toSorted(
    (left, right) =>
      rankOf[left.health] - rankOf[right.health] ||
      (rankOf[left.health] === 0
        ? (right.lagSeconds ?? Number.POSITIVE_INFINITY) - (left.lagSeconds ?? Number.POSITIVE_INFINITY)
        : 0) ||
      left.name.localeCompare(right.name, 'en', { numeric: true }),
  )

const rankOf: Record<Machine['health'], number> = { bad: 0, 'at-risk': 0, good: 1, off: 1 }

const toWallMachine = (machine: Machine) => ({
  id: machine.id,
  name: machine.name,
  state: machine.state,
  health: machine.health,
  direction: machine.direction,
  activeSiteId: machine.activeSiteId,
  source: machine.source,
  target: machine.target,
  lagSeconds: machine.lagSeconds,
  lagTargetSeconds: machine.lagTargetSeconds,
})

/** What of it can be told anybody: where it stands and how long it takes. What it said, and where it can be reached, cannot. */
const toWallActivity = (activity: PlanActivity): WallActivity => ({
  itemId: activity.itemId,
  name: activity.name,
  groupId: activity.groupId,
  part: activity.part,
  kind: activity.kind,
  state: activity.state,
  attempt: activity.attempt,
  protectionId: activity.protectionId,
  pointInstant: activity.pointInstant,
  startedAt: activity.startedAt,
  endedAt: activity.endedAt,
  deadline: activity.deadline,
  asks: activity.asks && { kind: activity.asks.kind, role: activity.asks.role },
  predicted: activity.predicted,
})

const toWallSummary = (run: PlanRunSummary): WallRunSummary => ({
  id: run.id,
  planId: run.planId,
  planName: run.planName,
  version: run.version,
  kind: run.kind,
  followsUp: run.followsUp,
  direction: run.direction,
  state: run.state,
  startedAt: run.startedAt,
  endedAt: run.endedAt,
  doneItems: run.doneItems,
  totalItems: run.totalItems,
  waitingForPeople: run.waitingForPeople,
})

const toWallPlan = (plan: PlanSummary): WallPlan => ({
  id: plan.id,
  name: plan.name,
  priority: plan.priority,
  targetRtoSeconds: plan.targetRtoSeconds,
  machineCount: plan.machineCount,
  stepCount: plan.stepCount,
  blockers: plan.blockers,
  warnings: plan.warnings,
  predictedSeconds: plan.predictedSeconds,
  worstLagSeconds: plan.worstLagSeconds,
  lastTest: plan.lastTest,
  readiness: {
    level: plan.readiness.level,
    score: plan.readiness.score,
    parts: plan.readiness.parts,
  },
  activeRun: plan.activeRun && toWallSummary(plan.activeRun),
})

const toWallSite = (failover: SiteFailover): WallSiteFailover => ({
  id: failover.id,
  siteId: failover.siteId,
  siteName: failover.siteName,
  state: failover.state,
  startedAt: failover.startedAt,
  endedAt: failover.endedAt,
  plans: failover.plans.map(({ planId, planName, priority, state, run }) => ({
    planId,
    planName,
    priority,
    state,
    run: run && toWallSummary(run),
  })),
})
