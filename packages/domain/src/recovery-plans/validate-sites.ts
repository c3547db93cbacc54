// What is wrong with the sites that the steps of a plan run programs at, or sign in with, as things stand.
import type { SiteId } from '../sites/site.ts'
import type { PlanStep, RecoveryPlan } from './plan.ts'
import { atItem, blocker, type PlanFinding, warning } from './plan-finding.ts'
import { stepsOf } from './plan-items.ts'
import { isAzureChange, siteOfAction } from './step-action.ts'

export type SiteFacts = {
  readonly name: string
  /** `unclear`: it cannot be asked just now. */
  readonly runsPrograms: 'yes' | 'no' | 'unclear'
  /** Whether something can be changed in a cloud with its sign-in. */
  readonly hasCloud: 'yes' | 'no' | 'unclear'
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
  { id, name, action }: PlanStep,
  siteId: SiteId,
  site: SiteFacts | undefined,
): readonly PlanFinding[] {
  const inCloud = isAzureChange(action)
  const does = inCloud ? 'signs in with' : 'runs a program at'
  if (site === undefined)
    return [
      blocker(atItem(id), {
        code: 'unknown-site',
        message: `"${name}" ${does} a site that is not there: "${siteId}"`,
        remedy: inCloud
          ? 'Choose another site.'
          : 'Choose another site, or have the program run on the server.',
      }),
    ]
  switch (inCloud ? site.hasCloud : site.runsPrograms) {
    case 'yes':
      return []
    case 'no':
      return [
        inCloud
          ? blocker(atItem(id), {
              code: 'no-cloud-at-site',
              message: `"${name}" signs in with ${site.name}, which has no sign-in to a subscription of Azure`,
              remedy: 'Choose a site in Azure, and fill in "Run machines there" in its settings.',
            })
          : blocker(atItem(id), {
              code: 'no-programs-at-site',
              message: `"${name}" runs a program at ${site.name}, but no programs can be run at that kind of site`,
              remedy: 'Have it run on the server or in a guest.',
            }),
      ]
    case 'unclear':
      return [
        warning(atItem(id), {
          code: 'site-silent',
          message: `"${name}" ${does} ${site.name}, which cannot be used just now`,
          remedy: 'Look at the site for what is wrong with it.',
        }),
      ]
  }
}
