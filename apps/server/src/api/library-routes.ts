import { Refusal } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { callerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findProtection, findSite } from './find.ts'
import { planFromLibrary, readLibrary, showEntry } from './plan-library.ts'
import { refuseServerScripts } from './plan-routes.ts'
import { showPlan } from './show-plan.ts'

export function libraryRoutes(deps: ApiDeps) {
  const library = readLibrary()
  return {
    list: os.library.list.handler(() => ({ items: library.map(showEntry) })),
    makePlan: os.library.makePlan.handler(async ({ input, context }) => {
      const { id, ...filled } = input
      context.audit(null, { name: filled.name, library: id })
      const entry = library.find((each) => each.id === id)
      if (!entry)
        throw new Refusal({
          code: 'plan-library/not-found',
          message: `The library has no plan "${id}"`,
          remedy: 'Choose one from its list.',
        })
      for (const protectionId of Object.values(filled.roles).flat())
        await findProtection(deps, protectionId as ProtectionId)
      for (const siteId of Object.values(filled.sites)) await findSite(deps, siteId as SiteId)
      const plan = planFromLibrary(entry, filled)
      refuseServerScripts(context, null, plan)
      const { name, user } = callerOf(context)
      const asker = { by: name, byId: user.id }
      return showPlan(deps, await deps.engine.plans.create(plan, asker))
    }),
  }
}
