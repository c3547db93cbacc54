import type { RecoveryPlan } from '@understudy/contract/recovery-plan'
import { needsOf } from '@understudy/domain/recovery-plans/plan-items'

type Step = RecoveryPlan['groups'][number]['before'][number]

/**
 * The order of a plan with the names of its groups and steps. What the steps do, with their commands, addresses and texts, is left out; so
 * are the parameters. Pure.
 */
export const outlineOf = (plan: RecoveryPlan): RecoveryPlan => ({
  ...plan,
  parameters: [],
  groups: plan.groups.map((group) => ({
    ...group,
    before: group.before.map(outlineOfStep),
    after: group.after.map(outlineOfStep),
  })),
})

/** What it waits for stays, also the machines that only its action names. */
const outlineOfStep = (step: Step): Step => ({
  ...step,
  needs: [...needsOf(step)],
  action: { kind: 'wait', seconds: 0 },
})
