// Machines and steps alike, with where they stand.
import type { PlanGroup, PlanMachine, PlanNames, PlanStep, RecoveryPlan } from './plan.ts'
import type { GroupId, ItemId } from './plan-ids.ts'
import { machinesOfAction } from './step-action.ts'

export type GroupPart = 'before' | 'machines' | 'after'

export const groupParts: readonly GroupPart[] = ['before', 'machines', 'after']

/** An item with its place: `index` counts within the part of its group. */
export type PlacedItem = {
  readonly item: PlanMachine | PlanStep
  readonly groupId: GroupId
  readonly groupIndex: number
  readonly part: GroupPart
  readonly index: number
}

/** `item` waits for `need`. */
export type PlanNeed = { readonly item: ItemId; readonly need: ItemId }

export const isStep = (item: PlanMachine | PlanStep): item is PlanStep => 'action' in item

export const isApproval = (item: PlanMachine | PlanStep): item is PlanStep =>
  isStep(item) && item.action.kind === 'approval'

/** Every item in the order of the plan. Pure. */
export const itemsOf = (plan: RecoveryPlan): readonly PlacedItem[] =>
  plan.groups.flatMap((group, groupIndex) =>
    groupParts.flatMap((part) =>
      itemsOfPart(group, part).map((item, index) => ({ item, groupId: group.id, groupIndex, part, index })),
    ),
  )

export const itemsOfPart = (group: PlanGroup, part: GroupPart): readonly (PlanMachine | PlanStep)[] =>
  group[part]

export const itemsOfGroup = (group: PlanGroup): readonly (PlanMachine | PlanStep)[] =>
  groupParts.flatMap((part) => itemsOfPart(group, part))

export const stepsOf = (plan: Pick<RecoveryPlan, 'groups'>): readonly PlanStep[] =>
  plan.groups.flatMap((group) => [...group.before, ...group.after])

export const machinesOf = (plan: RecoveryPlan): readonly PlanMachine[] =>
  plan.groups.flatMap((group) => group.machines)

/** What must be done before this item by its own wish: what it needs, and the machines that it acts on. Each once. Pure. */
export const needsOf = (item: PlanMachine | PlanStep): readonly ItemId[] => [
  ...new Set(isStep(item) ? [...item.needs, ...machinesOfAction(item.action)] : item.needs),
]

/** A step's own name, or its machine's; one that nobody knows goes by its id. Pure. */
export const nameOfItem = (item: PlanMachine | PlanStep, names: PlanNames): string =>
  isStep(item) ? item.name : (names.get(item.protectionId) ?? item.protectionId)
