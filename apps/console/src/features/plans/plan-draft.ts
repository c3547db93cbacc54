// The plan that is being drawn, as the rules of editing have it. Pure.
import type { editPlan, PlanGroup, PlanMachine, PlanStep, StepKind } from '@understudy/contract/plan-editing'
import type { RecoveryPlan as PlanBody } from '@understudy/contract/recovery-plan'

export type Plan = ReturnType<typeof editPlan>
export type GroupId = PlanGroup['id']
export type PlanItem = PlanMachine | PlanStep
export type ItemId = PlanItem['id']
export type StepAction = PlanStep['action']
export type ActionOf<Kind extends StepKind> = Extract<StepAction, { readonly kind: Kind }>
export type ProtectionId = PlanMachine['protectionId']
/** What every protected machine is called, those of other plans too. */
export type Names = ReadonlyMap<ProtectionId, string>

export type SiteId = Extract<ActionOf<'script'>['where'], { readonly kind: 'site' }>['site']

/** As it is sent: the same text, in lists that the contract may call its own. */
export const bodyOf = (plan: Plan): PlanBody => structuredClone(plan) as unknown as PlanBody

/** `machine-3fa85f64`: unique within its plan, and short enough for people to find in its text form. */
export const idFor = (what: string, uuid: string): string => `${what}-${uuid.slice(0, 8)}`
