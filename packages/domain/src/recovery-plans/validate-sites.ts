// What is wrong with the sites that a plan runs programs at, as things stand.
import type { SiteId } from '../sites/site.ts'
import type { PlanStep, RecoveryPlan } from './plan.ts'
import { atItem, blocker, type PlanFinding, warning } from './plan-finding.ts'
import { stepsOf } from './plan-items.ts'
import { siteOfAction } from './step-action.ts'

export type SiteFacts = {
  readonly name: string
  /** `unclear`: it cannot be asked just now. */
  readonly runsPrograms: 'yes' | 'no' | 'unclear'
}

/** Each site once. Pure. */
export const sitesOf = (plan: Pick<RecoveryPlan, 'groups'>): readonly SiteId[] => [
  ...new Set(stepsOf(plan).flatMap(({ action }) => siteOfAction(action) ?? [])),
]

/** `facts`: of the sites that there are. Pure. */
export const validateSites = (
  plan: RecoveryPlan,
  facts: ReadonlyMap<SiteId, SiteFacts>,
): readonly PlanFinding[] =>
  stepsOf(plan).flatMap((step) => {
    const siteId = siteOfAction(step.action)
    return siteId === null ? [] : checkSite(step, siteId, facts.get(siteId))
  })

function checkSite(
  { id, name }: PlanStep,
  siteId: SiteId,
  site: SiteFacts | undefined,
): readonly PlanFinding[] {
  if (site === undefined)
    return [
      blocker(atItem(id), {
        code: 'unknown-site',
        message: `"${name}" runs a program at a site that is not there: "${siteId}"`,
        remedy: 'Choose another site, or have the program run on the server.',
      }),
    ]
  switch (site.runsPrograms) {
    case 'yes':
      return []
    case 'no':
      return [
        blocker(atItem(id), {
          code: 'no-programs-at-site',
          message: `"${name}" runs a program at ${site.name}, but no programs can be run at that kind of site`,
          remedy: 'Have it run on the server or in a guest.',
        }),
      ]
    case 'unclear':
      return [
        warning(atItem(id), {
          code: 'site-silent',
          message: `"${name}" runs a program at ${site.name}, which cannot be used just now`,
          remedy: 'Look at the site for what is wrong with it.',
        }),
      ]
  }
}
