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

type FindingWords = { readonly code: string; readonly message: string; readonly remedy: string }

export const blocker = (at: PlanSpot, { code, message, remedy }: FindingWords): PlanFinding => ({
  at,
  level: 'blocker',
  code: `recovery-plan/${code}`,
  message,
  remedy,
})

export const warning = (at: PlanSpot, words: FindingWords): PlanFinding => ({
  ...blocker(at, words),
  level: 'warning',
})

/** The findings whose condition holds. */
export const findingsWhere = (
  rows: readonly (readonly [condition: boolean, finding: PlanFinding])[],
): readonly PlanFinding[] => rows.filter(([condition]) => condition).map(([, finding]) => finding)
