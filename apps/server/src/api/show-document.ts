import type { RecoveryPlan as ShownPlan } from '@understudy/contract/recovery-plan'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'

/** The document of a plan as the API shows it: the same, but that a list of the contract could be changed. */
export const showDocument = (plan: RecoveryPlan): ShownPlan => plan as ShownPlan
