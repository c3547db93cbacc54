// Two people have edited one version of a plan: what both meant, or what they have to talk about.
import { type MergedItem, type MergeFacts, mergeItems } from './merge-items.ts'
import type { PlanGroup, PlanMachine, PlanNames, PlanParameter, PlanStep, RecoveryPlan } from './plan.ts'
import { atGroup, atParameter, type PlanFinding, wholePlan } from './plan-finding.ts'
import type { GroupId, ItemId } from './plan-ids.ts'
import { type GroupPart, groupParts, isStep } from './plan-items.ts'
import { quoted, wordsOfParameter, wordsOfStart, wordsOfTarget } from './plan-words.ts'
import { isSameValue } from './same-value.ts'
import {
  decidePresence,
  everyKey,
  type MergeConflict,
  type Merger,
  mergeOrder,
  mergerInto,
  type Presence,
  pick,
  removedWords,
  type Sides,
} from './three-way.ts'
import { validatePlan } from './validate-plan.ts'

export type Merged =
  | { readonly kind: 'merged'; readonly plan: RecoveryPlan }
  /** Making `mine` the same as `theirs` in one of them settles it. */
  | { readonly kind: 'conflicts'; readonly conflicts: readonly MergeConflict[] }

/**
 * A setting that only one has changed is as that one has it; what a step does, and a parameter, count as one setting each, because half
 * of one and half of another is what nobody has tried. Conflicts: the same setting changed in two ways, an item moved to two places,
 * steps or groups put into two orders, something changed that the other has removed, and what is a blocker only in both together,
 * such as a cycle. Pure.
 */
export function mergePlans(facts: MergeFacts): Merged {
  const conflicts: MergeConflict[] = []
  const merge = mergerInto(conflicts)
  const { base, mine, theirs } = facts
  const items = mergeItems(facts, merge)
  const plan: RecoveryPlan = {
    id: base.id,
    ...mergeHead(facts, merge),
    parameters: mergeParameters(facts, merge),
    groups: mergeGroups(facts, items, merge),
  }
  if (conflicts.length === 0) conflicts.push(...onlyTogether(plan, [mine, theirs], facts.names))
  return conflicts.length === 0 ? { kind: 'merged', plan } : { kind: 'conflicts', conflicts }
}

const mergeHead = (
  facts: MergeFacts,
  merge: Merger,
): Pick<RecoveryPlan, 'name' | 'priority' | 'targetRtoSeconds'> => ({
  name: merge.value(
    pick(facts, ({ name }) => name),
    { at: wholePlan, what: 'the name', of: quoted },
  ),
  priority: merge.value(
    pick(facts, ({ priority }) => priority),
    { at: wholePlan, what: 'the priority', of: String },
  ),
  targetRtoSeconds: merge.value(
    pick(facts, ({ targetRtoSeconds }) => targetRtoSeconds),
    { at: wholePlan, what: 'the target RTO', of: wordsOfTarget },
  ),
})

function mergeParameters(facts: MergeFacts, merge: Merger): readonly PlanParameter[] {
  const lists = pick(facts, ({ parameters }) => parameters.map(({ name }) => name))
  const kept = new Map<string, PlanParameter>()
  for (const name of everyKey(lists)) {
    const sides = pick(facts, ({ parameters }) => parameters.find((parameter) => parameter.name === name))
    const at = atParameter(name)
    const verdict = decidePresence(sides, (base, other) => !isSameValue(base, other))
    switch (verdict) {
      case 'gone':
        break
      case 'mine':
      case 'theirs':
      case 'both': {
        const merged = merge.value(sides, {
          at,
          what: `the parameter ${quoted(name)}`,
          of: (parameter) => (parameter ? wordsOfParameter(parameter) : 'none'),
        })
        if (merged) kept.set(name, merged)
        break
      }
      case 'i-removed-what-they-changed':
      case 'they-removed-what-i-changed':
        merge.conflict(at, removedWords(verdict, `the parameter ${quoted(name)}`))
    }
  }
  return mergeOrder(lists, new Set(kept.keys())).order.flatMap((name) => kept.get(name) ?? [])
}

function mergeGroups(
  facts: MergeFacts,
  items: ReadonlyMap<ItemId, MergedItem>,
  merge: Merger,
): readonly PlanGroup[] {
  const lists = pick(facts, ({ groups }) => groups.map(({ id }) => id))
  const kept = new Map<GroupId, PlanGroup>()
  for (const id of everyKey(lists)) {
    const sides = pick(facts, ({ groups }) => groups.find((group) => group.id === id))
    const either = sides.mine ?? sides.theirs
    if (!either) continue
    // Whoever removed it did not know what the other one has put into it.
    const isFilled = [...items.values()].some(({ slot }) => slot.groupId === id)
    const verdict = decidePresence(
      sides,
      (base, other) => isFilled || !isSameValue(headOf(base), headOf(other)),
    )
    switch (verdict) {
      case 'gone':
        break
      case 'mine':
      case 'theirs':
      case 'both':
        kept.set(id, { ...mergeGroupHead(sides, either, merge), ...mergeLists(facts, id, items, merge) })
        break
      case 'i-removed-what-they-changed':
      case 'they-removed-what-i-changed':
        merge.conflict(atGroup(id), removedWords(verdict, `the group ${quoted(either.name)}`))
    }
  }
  const { order, disputed } = mergeOrder(lists, new Set(kept.keys()))
  if (disputed) merge.conflict(wholePlan, 'You and somebody else have put the groups into different orders')
  return order.flatMap((id) => kept.get(id) ?? [])
}

const headOf = ({ id, name, start }: PlanGroup): Pick<PlanGroup, 'id' | 'name' | 'start'> => ({
  id,
  name,
  start,
})

function mergeGroupHead(
  { base, mine, theirs }: Presence<PlanGroup>,
  either: PlanGroup,
  merge: Merger,
): Pick<PlanGroup, 'id' | 'name' | 'start'> {
  if (!mine || !theirs) return headOf(either)
  const at = atGroup(either.id)
  const title = `the group ${quoted(mine.name)}`
  // Of a group that both have added, nothing is as it was before.
  const sides = <Value>(of: (group: PlanGroup) => Value): Sides<Value | null> => ({
    base: base ? of(base) : null,
    mine: of(mine),
    theirs: of(theirs),
  })
  const name = merge.value(
    sides((group) => group.name),
    { at, what: `the name of ${title}`, of: (text) => quoted(text ?? '') },
  )
  const start = merge.value(
    sides((group) => group.start),
    { at, what: `the start of ${title}`, of: (when) => (when === null ? 'none' : wordsOfStart[when]) },
  )
  return { id: either.id, name: name ?? either.name, start: start ?? either.start }
}

function mergeLists(
  facts: MergeFacts,
  groupId: GroupId,
  items: ReadonlyMap<ItemId, MergedItem>,
  merge: Merger,
): Pick<PlanGroup, GroupPart> {
  const [before = [], machines = [], after = []] = groupParts.map((part) => {
    const members = [...items.values()].filter(({ slot }) => slot.groupId === groupId && slot.part === part)
    const lists = pick(
      facts,
      ({ groups }) =>
        groups
          .find(({ id }) => id === groupId)
          ?.[part].map((item: PlanMachine | PlanStep): ItemId => item.id) ?? [],
    )
    const { order, disputed } = mergeOrder(lists, new Set(members.map(({ item }) => item.id)))
    // Machines of a group start together: their order says nothing.
    if (disputed && part !== 'machines')
      merge.conflict(
        atGroup(groupId),
        `You and somebody else have put the steps ${part} the machines into different orders`,
      )
    return order.flatMap((id) => items.get(id)?.item ?? [])
  })
  return {
    before: before.filter(isStep),
    machines: machines.filter((item): item is PlanMachine => !isStep(item)),
    after: after.filter(isStep),
  }
}

/** Each is right by itself, and together they block: one waits for what the other has removed, or each for the other. */
function onlyTogether(
  plan: RecoveryPlan,
  sides: readonly RecoveryPlan[],
  names: PlanNames,
): readonly MergeConflict[] {
  const keyOf = ({ at, code }: PlanFinding): string => JSON.stringify([at, code])
  const blockersOf = (side: RecoveryPlan): readonly PlanFinding[] =>
    validatePlan(side, names).filter(({ level }) => level === 'blocker')
  const known = sides.map((side) => blockersOf(side).map(keyOf))
  const countIn = (keys: readonly string[], key: string): number => keys.filter((each) => each === key).length
  const together = blockersOf(plan)
  return together
    .filter((finding, index) => {
      const key = keyOf(finding)
      const nth = countIn(together.slice(0, index + 1).map(keyOf), key)
      // Counted, not compared by message: whoever renames something with a fault has made no new one.
      return known.every((keys) => countIn(keys, key) < nth)
    })
    .map(({ at, message }) => ({ at, message: `Together with what somebody else has changed: ${message}` }))
}
