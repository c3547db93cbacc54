// Whether a plan can be brought into an order at all: everything that something waits for is there, and nothing waits for itself.
import { present } from '@understudy/base/invariant'
import { cyclesOf } from './dependency-graph.ts'
import type { PlanMachine, PlanNames, PlanStep, RecoveryPlan } from './plan.ts'
import { atItem, blocker, findingsWhere, type PlanFinding } from './plan-finding.ts'
import type { ItemId } from './plan-ids.ts'
import { isStep, nameOfItem, needsOf, type PlacedItem, type PlanNeed } from './plan-items.ts'
import { isOrderedAfter, orderOf, placesOf } from './plan-order.ts'
import { machinesOfAction } from './step-action.ts'

type Places = ReadonlyMap<ItemId, PlacedItem>

/** Every id must be unique. Where nothing is found planActivities takes the plan, whatever it is run for. Pure. */
export function validateOrder(plan: RecoveryPlan, names: PlanNames): readonly PlanFinding[] {
  const places = placesOf(plan)
  const nameOf = (id: string): string => {
    const item = places.get(id as ItemId)?.item
    return item ? nameOfItem(item, names) : id
  }
  const items = [...places.values()]
  const backwards = items.flatMap((placed) => needsAgainstOrder(plan, places, placed))
  return [
    ...items.flatMap(({ item }) => checkReferences(item, places, nameOf)),
    ...backwards.map(({ item, need }) => againstOrder(item, nameOf(item), nameOf(need))),
    ...findCycles(plan, places, backwards).map((cycle) => roundInCircles(cycle, nameOf)),
  ]
}

function checkReferences(
  item: PlanMachine | PlanStep,
  places: Places,
  nameOf: (id: string) => string,
): readonly PlanFinding[] {
  const name = nameOf(item.id)
  const acted = isStep(item) ? machinesOfAction(item.action) : []
  return [
    ...item.needs
      .filter((need) => !places.has(need))
      .map((need) =>
        blocker(atItem(item.id), {
          code: 'unknown-need',
          message: `"${name}" waits for "${need}", which is not in the plan`,
          remedy: 'Remove the dependency, or add what it waits for.',
        }),
      ),
    ...acted.flatMap((id) => {
      const machine = places.get(id)?.item
      return findingsWhere([
        [
          machine === undefined || isStep(machine),
          blocker(atItem(item.id), {
            code: 'unknown-machine',
            message: `"${name}" acts on "${nameOf(id)}", which is no machine of the plan`,
            remedy: 'Choose a machine of the plan.',
          }),
        ],
      ])
    }),
  ]
}

/** What stands behind an item cannot come before it: the item would wait for ever. */
const needsAgainstOrder = (plan: RecoveryPlan, places: Places, placed: PlacedItem): readonly PlanNeed[] =>
  needsOf(placed.item).flatMap((need) => {
    const other = places.get(need)
    return other && isOrderedAfter(plan, other, placed) ? [{ item: placed.item.id, need }] : []
  })

const againstOrder = (item: ItemId, name: string, needed: string): PlanFinding =>
  blocker(atItem(item), {
    code: 'against-order',
    message: `"${name}" waits for "${needed}", which by the order of the plan comes after it`,
    remedy: `Move "${needed}" before "${name}", or remove the dependency.`,
  })

/**
 * Without the needs that are against the order, which are told already. First those that dependencies alone make: they read plainly.
 * Only when there is none, those that the order of the groups helps to make.
 */
function findCycles(
  plan: RecoveryPlan,
  places: Places,
  backwards: readonly PlanNeed[],
): readonly (readonly ItemId[])[] {
  const told = new Set(backwards.map(({ item, need }) => `${item} ${need}`))
  const isNew = (item: string) => (need: string) => !told.has(`${item} ${need}`)
  const wishes = new Map([...places].map(([id, { item }]) => [id, needsOf(item).filter(isNew(id))]))
  const plain = cyclesOf(wishes)
  const all =
    plain.length > 0
      ? plain
      : cyclesOf(new Map(orderOf(plan).map(({ id, needs }) => [id, needs.filter(isNew(id))])))
  return all.map((cycle) =>
    beginningFirst(
      cycle.flatMap((id) => places.get(id as ItemId)?.item.id ?? []),
      [...places.keys()],
    ),
  )
}

/** The same way round, told from what stands first in the plan. */
function beginningFirst(cycle: readonly ItemId[], order: readonly ItemId[]): readonly ItemId[] {
  const first = Math.min(...cycle.map((id) => order.indexOf(id)))
  const from = cycle.findIndex((id) => order.indexOf(id) === first)
  return [...cycle.slice(from), ...cycle.slice(0, from)]
}

function roundInCircles(cycle: readonly ItemId[], nameOf: (id: string) => string): PlanFinding {
  const [first, ...others] = cycle.map((id) => `"${nameOf(id)}"`)
  const way =
    others.length === 0
      ? `${first} waits for itself`
      : `${first} waits for ${[...others, first].join(', which waits for ')}`
  return blocker(atItem(present(cycle[0], 'A cycle goes through at least one item')), {
    code: 'cycle',
    message: way,
    remedy: 'Remove one of these dependencies: none of them could ever start.',
  })
}
