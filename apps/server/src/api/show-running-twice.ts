// Machines of a plan that run twice, as the API shows them, and what switches the old ones off.
import { Refusal } from '@understudy/base/errors'
import { toIso } from '@understudy/base/instant'
import type { RunningTwice as Shown } from '@understudy/contract/recovery-plan'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { ApiDeps } from './context.ts'

export async function showRunningTwice(deps: ApiDeps, plan: RecoveryPlan): Promise<Shown[]> {
  const lives = await deps.engine.plans.runningTwice(plan)
  if (lives.length === 0) return []
  const names = new Map((await deps.stores.sites.list()).map(({ id, name }) => [id, name]))
  return lives.map(({ protectionId, name, oldSiteId, servingSiteId, since, canRollBack }) => ({
    protectionId,
    name,
    oldSite: names.get(oldSiteId) ?? 'a site that has gone',
    servingSite: names.get(servingSiteId) ?? 'a site that has gone',
    since: toIso(since),
    canRollBack,
  }))
}

/** A job for each; one that is refused stops none of the others. */
export async function powerOffAllOld(deps: ApiDeps, plan: RecoveryPlan, by: string) {
  const lives = await deps.engine.plans.runningTwice(plan)
  const items = await Promise.all(
    lives.map(async ({ protectionId, name }) => {
      try {
        const { jobId } = await deps.engine.powerOffOld({ by, protectionId })
        return { protectionId, name, jobId, why: null }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        return { protectionId, name, jobId: null, why: `${error.message}. ${error.remedy}` }
      }
    }),
  )
  return { items }
}
