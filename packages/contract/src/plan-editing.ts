// The rules of editing a plan, as the server has them: what is dragged, dropped and typed in a browser is judged there and here alike.

export type { PlanSlot, Removal } from '@understudy/domain/recovery-plans/change-plan'
// biome-ignore lint/performance/noBarrelFile: a browser imports nothing but the contract, and these rules are part of it.
export {
  addGroup,
  addItem,
  addNeed,
  editGroup,
  editItem,
  editPlan,
  moveGroup,
  moveItem,
  removeGroup,
  removeItem,
  removeNeed,
} from '@understudy/domain/recovery-plans/change-plan'
export { diffPlans } from '@understudy/domain/recovery-plans/diff-plans'
export type {
  PlanGroup,
  PlanMachine,
  PlanParameter,
  PlanStep,
} from '@understudy/domain/recovery-plans/plan'
export {
  isApproval,
  isStep,
  itemsOf,
  machinesOf,
  stepsOf,
} from '@understudy/domain/recovery-plans/plan-items'
export { lastStartedGroup, startedFindings } from '@understudy/domain/recovery-plans/run-edit'
export { inPriority } from '@understudy/domain/recovery-plans/site-failover'
export { type StepKind, wordsOfStepKind } from '@understudy/domain/recovery-plans/step-action'
export { validatePlan } from '@understudy/domain/recovery-plans/validate-plan'
