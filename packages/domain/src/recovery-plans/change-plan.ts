// Editing a plan, as dragging and dropping does it. Each edit gives a new plan and leaves the former one as it was: keeping that is undo.
import { Refusal } from '@understudy/base/errors'
import type { PlanGroup, PlanMachine, PlanStep, RecoveryPlan } from './plan.ts'
import type { GroupId, ItemId } from './plan-ids.ts'
import {
  type GroupPart,
  isStep,
  itemsOf,
  itemsOfGroup,
  type PlacedItem,
  type PlanNeed,
  stepsOf,
} from './plan-items.ts'
import { machinesOfAction } from './step-action.ts'

/** Where an item is dropped. `index` counts without the item itself; past the end is the end. */
export type PlanSlot = { readonly groupId: GroupId; readonly part: GroupPart; readonly index: number }

/** What a removal takes along. */
export type Removal = {
  readonly plan: RecoveryPlan
  /** Dependencies of what stays on what has gone: removed too. */
  readonly removedNeeds: readonly PlanNeed[]
  /** Steps that stay and acted on a machine that has gone: somebody has to choose another one, and validatePlan says so. */
  readonly orphanedSteps: readonly ItemId[]
}

/** The head of a plan and its parameters. Its id and groups stay. */
export const editPlan = (
  plan: RecoveryPlan,
  change: Partial<Pick<RecoveryPlan, 'name' | 'priority' | 'targetRtoSeconds' | 'parameters'>>,
): RecoveryPlan => ({ ...plan, ...change })

export function addGroup(plan: RecoveryPlan, group: PlanGroup, index: number): RecoveryPlan {
  refuseKnownIds(plan, [group.id, ...itemsOfGroup(group).map(({ id }) => id)])
  return { ...plan, groups: inserted(plan.groups, group, index) }
}

/** `index` counts without the group itself. */
export function moveGroup(plan: RecoveryPlan, id: GroupId, index: number): RecoveryPlan {
  const group = groupOf(plan, id)
  return {
    ...plan,
    groups: inserted(
      plan.groups.filter((each) => each.id !== id),
      group,
      index,
    ),
  }
}

/** Its name and when it starts. What is in it stays. */
export function editGroup(
  plan: RecoveryPlan,
  id: GroupId,
  change: Partial<Pick<PlanGroup, 'name' | 'start'>>,
): RecoveryPlan {
  groupOf(plan, id)
  return withGroup(plan, id, (group) => ({ ...group, ...change }))
}

/** With everything in it. */
export function removeGroup(plan: RecoveryPlan, id: GroupId): Removal {
  const gone = itemsOfGroup(groupOf(plan, id)).map((item) => item.id)
  return withoutNeeds({ ...plan, groups: plan.groups.filter((group) => group.id !== id) }, gone)
}

export function addItem(plan: RecoveryPlan, item: PlanMachine | PlanStep, slot: PlanSlot): RecoveryPlan {
  refuseKnownIds(plan, [item.id])
  return placed(plan, item, slot)
}

/** Within its group or into another one. What needs it still does: validatePlan says when the new order forbids that. */
export function moveItem(plan: RecoveryPlan, id: ItemId, slot: PlanSlot): RecoveryPlan {
  const { item } = itemOf(plan, id)
  return placed(
    filterItems(plan, (other) => other !== id),
    item,
    slot,
  )
}

/** Replaces the item of the same id, at its place. A machine stays a machine and a step a step. */
export function editItem(plan: RecoveryPlan, item: PlanMachine | PlanStep): RecoveryPlan {
  const { item: former, part } = itemOf(plan, item.id)
  if (isStep(former) !== isStep(item)) throw wrongPlace(item, part)
  return isStep(item) ? withStep(plan, item) : withMachine(plan, item)
}

export function removeItem(plan: RecoveryPlan, id: ItemId): Removal {
  itemOf(plan, id)
  return withoutNeeds(
    filterItems(plan, (other) => other !== id),
    [id],
  )
}

/** `item` waits for `need` from now on. */
export function addNeed(plan: RecoveryPlan, { item, need }: PlanNeed): RecoveryPlan {
  itemOf(plan, item)
  itemOf(plan, need)
  return mapItems(plan, (each) =>
    each.id === item && !each.needs.includes(need) ? { ...each, needs: [...each.needs, need] } : each,
  )
}

export function removeNeed(plan: RecoveryPlan, { item, need }: PlanNeed): RecoveryPlan {
  itemOf(plan, item)
  return mapItems(plan, (each) =>
    each.id === item ? { ...each, needs: each.needs.filter((other) => other !== need) } : each,
  )
}

function placed(plan: RecoveryPlan, item: PlanMachine | PlanStep, slot: PlanSlot): RecoveryPlan {
  const { groupId, part, index } = slot
  groupOf(plan, groupId)
  return withGroup(plan, groupId, (group) => {
    if (isStep(item)) {
      if (part === 'machines') throw wrongPlace(item, part)
      return { ...group, [part]: inserted(group[part], item, index) }
    }
    if (part !== 'machines') throw wrongPlace(item, part)
    return { ...group, machines: inserted(group.machines, item, index) }
  })
}

function withoutNeeds(plan: RecoveryPlan, gone: readonly ItemId[]): Removal {
  const isGone = new Set(gone)
  return {
    plan: mapItems(plan, (item) =>
      item.needs.some((need) => isGone.has(need))
        ? { ...item, needs: item.needs.filter((need) => !isGone.has(need)) }
        : item,
    ),
    removedNeeds: itemsOf(plan).flatMap(({ item }) =>
      item.needs.filter((need) => isGone.has(need)).map((need) => ({ item: item.id, need })),
    ),
    orphanedSteps: stepsOf(plan)
      .filter(({ action }) => machinesOfAction(action).some((id) => isGone.has(id)))
      .map(({ id }) => id),
  }
}

const withStep = (plan: RecoveryPlan, step: PlanStep): RecoveryPlan => {
  const replaced = (steps: readonly PlanStep[]) => steps.map((each) => (each.id === step.id ? step : each))
  return {
    ...plan,
    groups: plan.groups.map((group) => ({
      ...group,
      before: replaced(group.before),
      after: replaced(group.after),
    })),
  }
}

const withMachine = (plan: RecoveryPlan, machine: PlanMachine): RecoveryPlan => ({
  ...plan,
  groups: plan.groups.map((group) => ({
    ...group,
    machines: group.machines.map((each) => (each.id === machine.id ? machine : each)),
  })),
})

const withGroup = (
  plan: RecoveryPlan,
  id: GroupId,
  change: (group: PlanGroup) => PlanGroup,
): RecoveryPlan => ({
  ...plan,
  groups: plan.groups.map((group) => (group.id === id ? change(group) : group)),
})

const mapItems = (
  plan: RecoveryPlan,
  change: <Item extends PlanMachine | PlanStep>(item: Item) => Item,
): RecoveryPlan => ({
  ...plan,
  groups: plan.groups.map((group) => ({
    ...group,
    before: group.before.map((step) => change(step)),
    machines: group.machines.map((machine) => change(machine)),
    after: group.after.map((step) => change(step)),
  })),
})

const filterItems = (plan: RecoveryPlan, stays: (id: ItemId) => boolean): RecoveryPlan => ({
  ...plan,
  groups: plan.groups.map((group) => ({
    ...group,
    before: group.before.filter(({ id }) => stays(id)),
    machines: group.machines.filter(({ id }) => stays(id)),
    after: group.after.filter(({ id }) => stays(id)),
  })),
})

function inserted<Item>(items: readonly Item[], item: Item, index: number): readonly Item[] {
  const at = Math.min(Math.max(0, index), items.length)
  return [...items.slice(0, at), item, ...items.slice(at)]
}

function groupOf(plan: RecoveryPlan, id: GroupId): PlanGroup {
  const group = plan.groups.find((each) => each.id === id)
  if (!group) throw gone(`There is no group "${id}" in the plan any more`)
  return group
}

function itemOf(plan: RecoveryPlan, id: ItemId): PlacedItem {
  const item = itemsOf(plan).find((each) => each.item.id === id)
  if (!item) throw gone(`There is no machine or step "${id}" in the plan any more`)
  return item
}

const gone = (message: string): Refusal =>
  new Refusal({ code: 'recovery-plan/gone', message, remedy: 'Load the plan again.' })

function refuseKnownIds(plan: RecoveryPlan, ids: readonly string[]): void {
  const known = new Set<string>([
    ...plan.groups.map(({ id }) => id),
    ...itemsOf(plan).map(({ item }) => item.id),
  ])
  const twice = ids.find((id, index) => known.has(id) || ids.indexOf(id) !== index)
  if (twice === undefined) return
  throw new Refusal({
    code: 'recovery-plan/duplicate-id',
    message: `The id "${twice}" is in the plan already`,
    remedy: 'Give every group, machine and step an id of its own.',
  })
}

const wrongPlace = (item: PlanMachine | PlanStep, part: GroupPart): Refusal =>
  new Refusal({
    code: 'recovery-plan/wrong-place',
    message: isStep(item)
      ? `"${item.name}" is a step and cannot stand among the machines`
      : `A machine cannot stand ${part === 'machines' ? 'in place of a step' : `among the steps ${part} the machines`}`,
    remedy: 'Drop steps before or after the machines of a group, and machines among the machines.',
  })
