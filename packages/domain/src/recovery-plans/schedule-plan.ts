// What of a plan may start now. The plan becomes a graph of activities for one kind of run; what is done so far decides the rest.
import { Refusal } from '@understudy/base/errors'
import { stateMachine } from '@understudy/base/state-machine'
import type { Direction } from '../protection/protection.ts'
import { sortGraph } from './dependency-graph.ts'
import type { PlanMachine, PlanRunKind, PlanStep, RecoveryPlan, WhenItFails } from './plan.ts'
import type { ItemId } from './plan-ids.ts'
import { isApproval, isStep } from './plan-items.ts'
import { type OrderNode, orderOf, placesOf } from './plan-order.ts'

export type RunPurpose = { readonly kind: PlanRunKind; readonly direction: Direction }

/** A machine to bring up, a step to do, or a gate, which nobody does: see OrderNode. */
export type Activity = OrderNode & {
  /** Of a gate without meaning. */
  readonly whenItFails: WhenItFails
  /** An approval: until it has passed, nothing behind it starts, also where somebody has skipped what stands between. */
  readonly holds: boolean
}

export type ActivityState = 'pending' | 'running' | 'succeeded' | 'failed' | 'skipped'

/** Read a row as: from here, only there. What has failed may be tried again or skipped; what hangs may be skipped. */
export const activityLife = stateMachine<ActivityState>('plan activity', {
  pending: ['running', 'skipped'],
  running: ['succeeded', 'failed', 'skipped'],
  failed: ['running', 'skipped'],
  succeeded: [],
  skipped: [],
})

/**
 * The activities of a run, each after everything it needs. A step that is not for this kind of run becomes a gate, so that what
 * stood after it still waits for what stood before it. Refuses a plan whose order cannot be kept: it would wait for ever. Pure.
 */
export function planActivities(plan: RecoveryPlan, purpose: RunPurpose): readonly Activity[] {
  const places = placesOf(plan)
  const nodes = orderOf(plan)
  const byId = new Map(nodes.map((node) => [node.id, node]))
  if (byId.size < nodes.length) throw notRunnable('Two of its groups, machines or steps have the same id')
  const unknown = nodes.flatMap(({ needs }) => needs).find((need) => !byId.has(need))
  if (unknown !== undefined) throw notRunnable(`Something in it waits for "${unknown}", which is not in it`)
  const sorted = sortGraph(new Map(nodes.map(({ id, needs }) => [id, needs])))
  if (sorted.kind === 'cycle') throw notRunnable('Some of its machines and steps wait for each other')
  return sorted.order.flatMap((id): readonly Activity[] => {
    const node = byId.get(id)
    if (!node) return []
    const item = node.item === null ? undefined : places.get(node.item)?.item
    const gate = item === undefined || (isStep(item) && !runsFor(item, purpose))
    const holds = !gate && isApproval(item)
    const whenItFails = item === undefined ? 'stop' : whenItFailsOf(item)
    return [{ ...node, item: gate ? null : item.id, whenItFails, holds }]
  })
}

/** An approval that is refused, or that nobody gives in time, is not given, whatever its plan says: then somebody is asked. */
export const whenItFailsOf = (item: PlanMachine | PlanStep): WhenItFails =>
  isApproval(item) && item.whenItFails === 'continue' ? 'ask' : item.whenItFails

export const runsFor = (step: PlanStep, { kind, direction }: RunPurpose): boolean =>
  step.kinds.includes(kind) && step.directions.includes(direction)

const notRunnable = (message: string): Refusal =>
  new Refusal({
    code: 'recovery-plan/not-runnable',
    message: `The plan cannot be run. ${message}`,
    remedy: 'Edit the plan: every fault is shown beside what it is about.',
  })

export type NextActivities = {
  /** May start now, all at once. */
  readonly start: readonly ItemId[]
  /** These have failed, and what needs them waits for somebody's word. */
  readonly asking: readonly ItemId[]
  /** These have failed, and because of that nothing more starts. */
  readonly stoppedBy: readonly ItemId[]
  /** Everything has succeeded, was skipped, or has failed where the plan goes on regardless. */
  readonly finished: boolean
}

/** `states`: what is not in it is pending. `activities` as planActivities gives them. Pure, and linear in their number. */
export function chooseNext(
  activities: readonly Activity[],
  states: ReadonlyMap<ItemId, ActivityState>,
): NextActivities {
  const passed = new Set<string>()
  /** What has an open approval somewhere before it, and that approval. */
  const held = new Set<string>()
  const ready: ItemId[] = []
  for (const { id, item, needs, whenItFails, holds } of activities) {
    const free = needs.every((need) => passed.has(need))
    const state = item === null ? null : (states.get(item) ?? 'pending')
    // A gate is passed by what it needs, an item by itself: a plan that was edited during its run may have done it early.
    if (state === null ? free : isPassed(state, whenItFails)) passed.add(id)
    const waits = needs.some((need) => held.has(need))
    if (waits || (holds && !passed.has(id))) held.add(id)
    if (item !== null && state === 'pending' && free && !waits) ready.push(item)
  }
  const failed = (then: WhenItFails): readonly ItemId[] =>
    activities.flatMap(({ item, whenItFails }) =>
      item !== null && whenItFails === then && states.get(item) === 'failed' ? [item] : [],
    )
  const stoppedBy = failed('stop')
  return {
    start: stoppedBy.length === 0 ? ready : [],
    asking: failed('ask'),
    stoppedBy,
    finished: passed.size === activities.length,
  }
}

/** What stands after an activity in this state may go on. */
export const isPassed = (state: ActivityState, whenItFails: WhenItFails): boolean => {
  switch (state) {
    case 'succeeded':
    case 'skipped':
      return true
    case 'failed':
      return whenItFails === 'continue'
    case 'pending':
    case 'running':
      return false
  }
}
