import type { Finding } from '../machines/machine.ts'
import type { GroupId, ItemId } from './plan-ids.ts'

/** What of a plan something is about, so that it can be shown right there. */
export type PlanSpot =
  | { readonly kind: 'plan' }
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'group'; readonly id: GroupId }
  | { readonly kind: 'item'; readonly id: ItemId }

/** A plan with a blocker is not run. Codes are `recovery-plan/kebab-case`. */
export type PlanFinding = Omit<Finding, 'disk'> & { readonly at: PlanSpot }

export const wholePlan: PlanSpot = { kind: 'plan' }
export const atItem = (id: ItemId): PlanSpot => ({ kind: 'item', id })
export const atGroup = (id: GroupId): PlanSpot => ({ kind: 'group', id })
export const atParameter = (name: string): PlanSpot => ({ kind: 'parameter', name })

export const isRunnable = (findings: readonly PlanFinding[]): boolean =>
  findings.every(({ level }) => level !== 'blocker')
