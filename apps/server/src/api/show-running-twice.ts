// Machines of a plan that run twice, as the API shows them, and what switches the old ones off.
import { Refusal } from '@understudy/base/errors'
import { toIso } from '@understudy/base/instant'
import type { PowerOffOldResult, RunningTwice as Shown } from '@understudy/contract/recovery-plan'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { z } from 'zod'
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

/**
 * A job for each machine that was confirmed; one that is refused stops none of the others. One that does not run twice any more is told, and
 * one found only since is left alone.
 */
export async function powerOffConfirmed(
  deps: ApiDeps,
  plan: RecoveryPlan,
  { confirmed, by }: { readonly confirmed: readonly ProtectionId[]; readonly by: string },
): Promise<z.infer<typeof PowerOffOldResult>> {
  const { found, gone } = splitConfirmed(await deps.engine.plans.runningTwice(plan), confirmed)
  const ended = await Promise.all(
    gone.map(async (protectionId) => ({
      protectionId,
      name: (await deps.stores.protections.find(protectionId))?.name ?? protectionId,
      jobId: null,
      why: 'It does not run twice any more, so nothing was switched off. Reload the page.',
    })),
  )
  const items = await Promise.all(
    found.map(async ({ protectionId, name }) => {
      try {
        const { jobId } = await deps.engine.powerOffOld({ by, protectionId })
        return { protectionId, name, jobId, why: null }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        return { protectionId, name, jobId: null, why: `${error.message}. ${error.remedy}` }
      }
    }),
  )
  return { items: [...items, ...ended] }
}

/** Of what was confirmed what is still found, and what is not. Each once. Pure. */
export function splitConfirmed<Life extends { readonly protectionId: ProtectionId }>(
  lives: readonly Life[],
  confirmed: readonly ProtectionId[],
): { readonly found: readonly Life[]; readonly gone: readonly ProtectionId[] } {
  const wanted = new Set(confirmed)
  const found = lives.filter(({ protectionId }) => wanted.has(protectionId))
  const known = new Set(found.map(({ protectionId }) => protectionId))
  return { found, gone: [...wanted].filter((id) => !known.has(id)) }
}
