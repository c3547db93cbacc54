// The order of a plan as a graph. Between items stand gates: a gate does nothing and is passed as soon as everything it needs is.
// They carry the order of the groups without an edge from each machine to each, and a step that is left out becomes one.
import type { PlanGroup, RecoveryPlan } from './plan.ts'
import type { ItemId } from './plan-ids.ts'
import { itemsOf, needsOf, type PlacedItem } from './plan-items.ts'

export type OrderNode = {
  /** The id of the item; a gate's begins with `gate `, which no id of an item may. */
  readonly id: string
  /** Null: a gate. */
  readonly item: ItemId | null
  readonly needs: readonly string[]
}

/** Every item and gate of the plan, unsorted; there may be cycles, and needs of items that are unknown. Pure. */
export const orderOf = (plan: RecoveryPlan): readonly OrderNode[] =>
  plan.groups.flatMap((group, index) => nodesOfGroup(group, index, plan.groups))

const startGate = (group: PlanGroup): string => `gate ${group.id} start`
const upGate = (group: PlanGroup): string => `gate ${group.id} up`
const endGate = (group: PlanGroup): string => `gate ${group.id} end`

function nodesOfGroup(group: PlanGroup, index: number, groups: readonly PlanGroup[]): readonly OrderNode[] {
  const former = group.start === 'in-order' ? groups.slice(0, index).map(endGate) : []
  const chainFrom = (first: string, steps: PlanGroup['before']): readonly OrderNode[] =>
    steps.map((step, position) => ({
      id: step.id,
      item: step.id,
      needs: [steps[position - 1]?.id ?? first, ...needsOf(step)],
    }))
  const lastBefore = group.before.at(-1)?.id ?? startGate(group)
  const machines = group.machines.map((machine) => ({
    id: machine.id,
    item: machine.id,
    needs: [lastBefore, ...needsOf(machine)],
  }))
  return [
    { id: startGate(group), item: null, needs: former },
    ...chainFrom(startGate(group), group.before),
    ...machines,
    { id: upGate(group), item: null, needs: [lastBefore, ...machines.map(({ id }) => id)] },
    ...chainFrom(upGate(group), group.after),
    { id: endGate(group), item: null, needs: [group.after.at(-1)?.id ?? upGate(group)] },
  ]
}

/** Whether the order of groups and steps alone puts `later` after `earlier`, whatever else they need. Pure. */
export function isOrderedAfter(plan: RecoveryPlan, later: PlacedItem, earlier: PlacedItem): boolean {
  if (later.groupIndex !== earlier.groupIndex)
    return later.groupIndex > earlier.groupIndex && plan.groups[later.groupIndex]?.start === 'in-order'
  if (later.part !== earlier.part) return partRank[later.part] > partRank[earlier.part]
  return later.part !== 'machines' && later.index > earlier.index
}

const partRank: Record<PlacedItem['part'], number> = { before: 0, machines: 1, after: 2 }

/** Every item by its id; of two with one id the first. Pure. */
export function placesOf(plan: RecoveryPlan): ReadonlyMap<ItemId, PlacedItem> {
  const places = new Map<ItemId, PlacedItem>()
  for (const placed of itemsOf(plan)) if (!places.has(placed.item.id)) places.set(placed.item.id, placed)
  return places
}
