// Protections with everything their rows show, in a handful of queries however many there are.
import { present } from '@understudy/base/invariant'
import type { Protection as ShownProtection } from '@understudy/contract/protection'
import type { Job } from '@understudy/domain/jobs/job'
import type { Protection } from '@understudy/domain/protection/protection'
import type { ApiDeps } from './context.ts'
import { showProtection } from './show-protection.ts'

/** Every protection there is. */
export async function loadProtections(deps: ApiDeps): Promise<readonly ShownProtection[]> {
  const [protections, summaries] = await Promise.all([
    deps.stores.protections.list(),
    deps.stores.protections.summaries(),
  ])
  const [actions, readiness, around] = await Promise.all([
    deps.engine.allAllowedActions(protections, summaries),
    deps.engine.readiness(protections, summaries),
    loadSurroundings(deps),
  ])
  return protections.flatMap((protection) => {
    const summary = summaries.get(protection.id)
    // Removed between two of the queries above: it is no longer there to show.
    const judged = readiness.get(protection.id)
    if (!summary || !judged) return []
    return showProtection(protection, {
      ...around(protection),
      summary,
      actions: actions.get(protection.id) ?? [],
      readiness: judged,
    })
  })
}

export async function loadProtection(deps: ApiDeps, protection: Protection): Promise<ShownProtection> {
  const [summary, actions, around] = await Promise.all([
    deps.stores.protections.summary(protection.id),
    deps.engine.allowedActions(protection.id),
    loadSurroundings(deps),
  ])
  const judged = await deps.engine.readiness([protection], new Map([[protection.id, summary]]))
  const readiness = present(judged.get(protection.id), 'the protection has been judged')
  return showProtection(protection, { ...around(protection), summary, actions, readiness })
}

async function loadSurroundings(deps: ApiDeps) {
  const [policies, groups, sites, runs, jobs] = await Promise.all([
    deps.stores.policies.list(),
    deps.stores.groups.list(),
    deps.stores.sites.list(),
    deps.stores.runs.active(),
    deps.stores.jobs.list({ states: ['queued', 'running', 'waiting'] }, { limit: 500, cursor: null }),
  ])
  const policyOf = new Map(policies.map((policy) => [policy.id, policy]))
  const groupOf = new Map(groups.map((group) => [group.id, group]))
  const siteOf = new Map(sites.map((site) => [site.id, site]))
  const keepingOnly = await deps.engine.noTargets(siteOf.keys())
  const jobOf = new Map<string, Job>(jobs.rows.map((job) => [job.subjectId, job]))
  // An address without a picture would be shown broken.
  const runsWithScreenshot: ReadonlySet<string> = await deps.stores.runs.withScreenshot(
    runs.map(({ id }) => id),
  )
  return (protection: Protection) => ({
    policy: policyOf.get(protection.policyId),
    group: protection.groupId === null ? null : (groupOf.get(protection.groupId) ?? null),
    sites: siteOf,
    keepingOnly,
    runs,
    runsWithScreenshot,
    job: jobOf.get(protection.id) ?? null,
    now: deps.clock.now(),
  })
}
