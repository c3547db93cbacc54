import { fromIso } from '@understudy/base/instant'
import type { PlanPointChoice as ChoiceBody } from '@understudy/contract/recovery-plan'
import type { PlanPointChoice } from '@understudy/domain/recovery-plans/plan-run'

/** One point for all machines, as the API has it. */
export const toPlanChoice = (body: ChoiceBody): PlanPointChoice =>
  body.kind === 'at' ? { kind: 'at', instant: fromIso(body.instant) } : body
