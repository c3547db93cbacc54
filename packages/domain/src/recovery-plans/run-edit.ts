// Editing the plan of a run that goes on: what has started stays as it is and where it is, whoever edits what beside it.
import { mergePlans } from './merge-plans.ts'
import type { PlanGroup, PlanMachine, PlanStep, ProtectionNames, RecoveryPlan } from './plan.ts'
import { atGroup, atItem, type PlanFinding } from './plan-finding.ts'
import type { ItemId } from './plan-ids.ts'
import { itemsOf, itemsOfGroup } from './plan-items.ts'
import { titleOf } from './plan-words.ts'
import { isSameValue } from './same-value.ts'
import type { MergeConflict } from './three-way.ts'

type Item = PlanMachine | PlanStep

export type PlanChange = {
  readonly added: readonly Item[]
  /** As they were. */
  readonly removed: readonly Item[]
  readonly changed: readonly Item[]
}

/** Items by their ids, wherever they stand. Pure. */
export function changeOf(before: RecoveryPlan, after: RecoveryPlan): PlanChange {
  const [old, now] = [before, after].map((plan) => new Map(itemsOf(plan).map(({ item }) => [item.id, item])))
  const former = [...(old?.values() ?? [])]
  return {
    added: [...(now?.values() ?? [])].filter(({ id }) => !old?.has(id)),
    removed: former.filter(({ id }) => !now?.has(id)),
    changed: former.filter((item) => {
      const next = now?.get(item.id)
      return next !== undefined && !isSameValue(item, next)
    }),
  }
}

export type Started = ReadonlySet<ItemId>

/** Of the groups the last one in which anything has started; those up to it stand where they stand. -1: none. Pure. */
export const lastStartedGroup = (plan: RecoveryPlan, started: Started): number =>
  plan.groups.findLastIndex((group) => itemsOfGroup(group).some(({ id }) => started.has(id)))

/**
 * What of an edit cannot be, because it has started: it was changed, taken out or moved. Everything up to the last thing that has started
 * stays as well: what ran in an order would else be said to have run in another, and what waits for it would not wait any more. Pure.
 */
export function startedFindings(
  before: RecoveryPlan,
  after: RecoveryPlan,
  { started, names }: { readonly started: Started; readonly names: ProtectionNames },
): readonly PlanFinding[] {
  const { removed, changed } = changeOf(before, after)
  const moved = before.groups
    .slice(0, lastStartedGroup(before, started) + 1)
    .flatMap((group, index) => movedItems(group, after.groups[index]))
  const items = new Map([...removed, ...changed, ...moved].map((item) => [item.id, item]))
  const found = [...items.values()].filter(({ id }) => started.has(id)).map((item) => hasStarted(item, names))
  return found.length > 0 ? found : movedGroups(before, after, started)
}

/** Of what has not started the items that must not begin before the edit is kept: begun, they could not be as it has them. Pure. */
export function mustNotStart(
  before: RecoveryPlan,
  after: RecoveryPlan,
  { started }: { readonly started: Started },
): readonly ItemId[] {
  const { removed, changed } = changeOf(before, after)
  const touched = new Set([...removed, ...changed].map(({ id }) => id))
  // As startedFindings would find it of each by itself, for what is found of several is what is found of each.
  let isMoved = false
  return before.groups.flatMap((group, index) => {
    isMoved ||= after.groups[index]?.id !== group.id
    const moved = new Set(movedItems(group, after.groups[index]).map(({ id }) => id))
    return itemsOfGroup(group)
      .map(({ id }) => id)
      .filter((id) => !started.has(id) && (isMoved || touched.has(id) || moved.has(id)))
  })
}

/** Groups with nothing that has started themselves, but which stand before one that has. */
const movedGroups = (before: RecoveryPlan, after: RecoveryPlan, started: Started): readonly PlanFinding[] =>
  before.groups
    .slice(0, lastStartedGroup(before, started) + 1)
    .filter(({ id }, index) => after.groups[index]?.id !== id)
    .map(groupHasStarted)

/** Of a group what does not stand where it stood, with everything that stood before it. */
function movedItems(before: PlanGroup, after: PlanGroup | undefined): readonly Item[] {
  if (after?.id !== before.id || after.start !== before.start) return itemsOfGroup(before)
  return [
    ...movedSteps(before.before, after.before),
    ...before.machines.filter(({ id }) => after.machines.every((machine) => machine.id !== id)),
    ...movedSteps(before.after, after.after),
  ]
}

function movedSteps(before: readonly PlanStep[], after: readonly PlanStep[]): readonly PlanStep[] {
  const differs = before.findIndex(({ id }, index) => after[index]?.id !== id)
  return differs < 0 ? [] : before.slice(differs)
}

const hasStarted = (item: Item, names: ProtectionNames): PlanFinding => ({
  at: atItem(item.id),
  level: 'blocker',
  code: 'plan-run/started',
  message: `The ${titleOf(item, names)} has started already: it can neither be changed, moved nor taken out`,
  remedy: 'Edit what has not started yet.',
})

const groupHasStarted = ({ id, name }: PlanGroup): PlanFinding => ({
  at: atGroup(id),
  level: 'blocker',
  code: 'plan-run/started',
  message: `The group "${name}" stands before what has started already, and stays there`,
  remedy: 'Edit what has not started yet.',
})

/** `edit` with everything that has started as `kept` has it, and where that has it. What the edit did elsewhere stays. Pure. */
export function withStartedKept(kept: RecoveryPlan, edit: RecoveryPlan, started: Started): RecoveryPlan {
  const fixed = kept.groups.slice(0, lastStartedGroup(kept, started) + 1)
  const fixedIds = new Set<string>(fixed.map(({ id }) => id))
  // A step that is left out of this run may stand before one that has started: it stays there, and nowhere else.
  const staying = new Set(
    fixed.flatMap((group) => itemsOfGroup(fixedPart(group, started)).map(({ id }) => id)),
  )
  const without = edit.groups.map((group) => withoutItems(group, staying))
  const edited = new Map(without.map((group) => [group.id, group]))
  return {
    ...edit,
    groups: [
      ...fixed.map((group) => keptGroup(group, edited.get(group.id), started)),
      ...without.filter(({ id }) => !fixedIds.has(id)),
    ],
  }
}

function keptGroup(kept: PlanGroup, edited: PlanGroup | undefined, started: Started): PlanGroup {
  const first = fixedPart(kept, started)
  if (!edited) return first
  return {
    ...first,
    name: edited.name,
    before: [...first.before, ...edited.before],
    machines: [...first.machines, ...edited.machines],
    after: [...first.after, ...edited.after],
  }
}

/** What has started of a group, with the steps that stand before it. */
function fixedPart(group: PlanGroup, started: Started): PlanGroup {
  const beginning = (steps: readonly PlanStep[]): readonly PlanStep[] =>
    steps.slice(0, steps.findLastIndex(({ id }) => started.has(id)) + 1)
  return {
    ...group,
    before: beginning(group.before),
    machines: group.machines.filter(({ id }) => started.has(id)),
    after: beginning(group.after),
  }
}

const withoutItems = (group: PlanGroup, gone: Started): PlanGroup => ({
  ...group,
  before: group.before.filter(({ id }) => !gone.has(id)),
  machines: group.machines.filter(({ id }) => !gone.has(id)),
  after: group.after.filter(({ id }) => !gone.has(id)),
})

export type MergedRun =
  | {
      readonly kind: 'merged'
      readonly plan: RecoveryPlan
      /** What of `mine` had started meanwhile, and is as it was. */
      readonly givenUp: readonly PlanFinding[]
    }
  | { readonly kind: 'conflicts'; readonly conflicts: readonly MergeConflict[] }

/** An edit that began with `base`, and the plan of the run as it is by now. What has started is as it runs. Pure. */
export function mergeRunEdit(facts: {
  readonly base: RecoveryPlan
  readonly mine: RecoveryPlan
  readonly theirs: RecoveryPlan
  readonly started: Started
  readonly names: ProtectionNames
}): MergedRun {
  const { base, mine, theirs, started, names } = facts
  const known = new Set(itemsOf(base).map(({ item }) => item.id))
  const startedThen = new Set([...started].filter((id) => known.has(id)))
  const possible = withStartedKept(base, mine, startedThen)
  const merged = mergePlans({ base, mine: possible, theirs, names })
  if (merged.kind === 'conflicts') return merged
  return {
    kind: 'merged',
    plan: withStartedKept(theirs, merged.plan, started),
    givenUp: startedFindings(base, mine, { started: startedThen, names }),
  }
}
