// Protections with everything their rows show, in a handful of queries however many there are.
import { present } from '@understudy/base/invariant'
import type { Protection as ShownProtection } from '@understudy/contract/protection'
import type { Job } from '@understudy/domain/jobs/job'
import type { Protection } from '@understudy/domain/protection/protection'
import type { Seed } from '@understudy/domain/seeds/seed'
import type { ApiDeps } from './context.ts'
import { showProtection } from './show-protection.ts'

/** Every protection there is. */
export async function loadProtections(deps: ApiDeps): Promise<readonly ShownProtection[]> {
  const [protections, summaries] = await Promise.all([
    deps.stores.protections.list(),
    deps.stores.protections.summaries(),
  ])
  // Asked once for the whole answer, and only the targets: a site that hangs takes its time each time.
  const [obstacles, readiness, around] = await Promise.all([
    deps.engine.noTargets(protections.map(({ targetSiteId }) => targetSiteId)),
    deps.engine.readiness(protections, summaries),
    loadSurroundings(deps),
  ])
  const actions = await deps.engine.allAllowedActions(protections, { summaries, obstacles })
  return protections.flatMap((protection) => {
    const summary = summaries.get(protection.id)
    // Removed between two of the queries above: it is no longer there to show.
    const judged = readiness.get(protection.id)
    if (!summary || !judged) return []
    return showProtection(protection, {
      ...around(protection),
      keepingOnly: obstacles,
      summary,
      actions: actions.get(protection.id) ?? [],
      readiness: judged,
    })
  })
}

export async function loadProtection(deps: ApiDeps, protection: Protection): Promise<ShownProtection> {
  const [summary, obstacles, around] = await Promise.all([
    deps.stores.protections.summary(protection.id),
    deps.engine.noTargets([protection.targetSiteId]),
    loadSurroundings(deps),
  ])
  const [actions, judged] = await Promise.all([
    deps.engine.allowedActions(protection.id, obstacles),
    deps.engine.readiness([protection], new Map([[protection.id, summary]])),
  ])
  const readiness = present(judged.get(protection.id), 'the protection has been judged')
  return showProtection(protection, {
    ...around(protection),
    keepingOnly: obstacles,
    summary,
    actions,
    readiness,
  })
}

async function loadSurroundings(deps: ApiDeps) {
  const [policies, groups, sites, runs, seeds, jobs] = await Promise.all([
    deps.stores.policies.list(),
    deps.stores.groups.list(),
    deps.stores.sites.list(),
    deps.stores.runs.active(),
    deps.stores.seeds.list(),
    deps.stores.jobs.list({ states: ['queued', 'running', 'waiting'] }, { limit: 500, cursor: null }),
  ])
  const policyOf = new Map(policies.map((policy) => [policy.id, policy]))
  const groupOf = new Map(groups.map((group) => [group.id, group]))
  const siteOf = new Map(sites.map((site) => [site.id, site]))
  const jobOf = new Map<string, Job>(jobs.rows.map((job) => [job.subjectId, job]))
  const seedOf = new Map<string, Seed>(seeds.map((seed) => [seed.protectionId, seed]))
  // An address without a picture would be shown broken.
  const runsWithScreenshot: ReadonlySet<string> = await deps.stores.runs.withScreenshot(
    runs.map(({ id }) => id),
  )
  return (protection: Protection) => ({
    policy: policyOf.get(protection.policyId),
    group: protection.groupId === null ? null : (groupOf.get(protection.groupId) ?? null),
    sites: siteOf,
    runs,
    runsWithScreenshot,
    job: jobOf.get(protection.id) ?? null,
    seed: seedOf.get(protection.id) ?? null,
    now: deps.clock.now(),
  })
}
