// What becomes of a plan when all its machines are rolled back, committed, cleaned up ... : the machines, and of the order what matters.
import type { PlanGroup, RecoveryPlan } from './plan.ts'
import type { GroupId, ItemId } from './plan-ids.ts'
import { machinesOf } from './plan-items.ts'
import { isOrderedAfter, orderOf, placesOf } from './plan-order.ts'
import type { FollowUpKind, PlanRun } from './plan-run.ts'

/** These bring machines up, so what needs others has to wait for them. Of the rest none has to wait for another. */
const keepsOrder: Record<FollowUpKind, boolean> = {
  'clean-up': false,
  'change-point': true,
  'roll-back': true,
  commit: false,
  reprotect: false,
}

/** A machine that fails holds up nobody: each of them shall get as far as it can. Pure. */
export function followUpPlan(plan: RecoveryPlan, kind: FollowUpKind): RecoveryPlan {
  return { ...plan, parameters: [], groups: keepsOrder[kind] ? machinesInOrder(plan) : [allAtOnce(plan)] }
}

function allAtOnce(plan: RecoveryPlan): PlanGroup {
  const machines = machinesOf(plan).map((machine) => ({
    ...machine,
    needs: [],
    whenItFails: 'continue' as const,
  }))
  return { id: 'all' as GroupId, name: 'All machines', start: 'in-order', before: [], machines, after: [] }
}

function machinesInOrder(plan: RecoveryPlan): readonly PlanGroup[] {
  const needs = machinesBehindSteps(plan)
  return plan.groups.map((group) => ({
    ...group,
    before: [],
    machines: group.machines.map((machine) => ({
      ...machine,
      needs: needs.get(machine.id) ?? [],
      whenItFails: 'continue',
    })),
    after: [],
  }))
}

/**
 * For each machine those that it waits for, directly or through steps: a step that is left out must not loosen the order of what
 * stood on both sides of it. What the order of the groups says already is not said again.
 */
function machinesBehindSteps(plan: RecoveryPlan): ReadonlyMap<ItemId, readonly ItemId[]> {
  const needsOf = new Map(orderOf(plan).map(({ id, needs }) => [id, needs]))
  const places = placesOf(plan)
  const machineIds = new Set<string>(machinesOf(plan).map(({ id }) => id))
  const nearestMachines = (from: ItemId): readonly ItemId[] => {
    const reached = new Set(needsOf.get(from))
    // Grows while it is read.
    for (const node of reached)
      if (!machineIds.has(node)) for (const need of needsOf.get(node) ?? []) reached.add(need)
    return [...reached].filter((node) => machineIds.has(node)) as ItemId[]
  }
  const isSaidByGroups = (machine: ItemId, need: ItemId): boolean => {
    const [later, earlier] = [places.get(machine), places.get(need)]
    return later !== undefined && earlier !== undefined && isOrderedAfter(plan, later, earlier)
  }
  return new Map(
    machinesOf(plan).map(({ id }) => [id, nearestMachines(id).filter((need) => !isSaidByGroups(id, need))]),
  )
}

type FollowUpWanted = Pick<PlanRun, 'id' | 'point' | 'cuts' | 'startedBy' | 'starterId' | 'startedAt'> & {
  readonly kind: FollowUpKind
}

/** The run that does it, before anything of it has begun. What the followed run was set to stays. Pure. */
export const followUpRun = (former: PlanRun, wanted: FollowUpWanted): PlanRun => ({
  ...former,
  ...wanted,
  followsUp: former.id,
  state: 'running',
  plan: followUpPlan(former.plan, wanted.kind),
  planRevision: 1,
  changes: 0,
  parameters: {},
  endedAt: null,
  note: null,
})
