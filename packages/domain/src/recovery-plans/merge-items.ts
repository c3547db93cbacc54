// Machines and steps that two people have edited: each where it was put and as it was changed by whoever has changed it.
import type { PlanMachine, PlanNames, PlanStep, RecoveryPlan } from './plan.ts'
import { atItem, type PlanSpot } from './plan-finding.ts'
import type { GroupId, ItemId } from './plan-ids.ts'
import { type GroupPart, isStep, itemsOf, type PlacedItem } from './plan-items.ts'
import { listed, namesIn, quoted, titleOf, wordsOfAction, wordsOfFailure, wordsOfPart } from './plan-words.ts'
import { isSameValue } from './same-value.ts'
import {
  decidePresence,
  everyKey,
  type Merger,
  type Presence,
  pick,
  removedWords,
  type Sides,
} from './three-way.ts'

export type MergeFacts = {
  /** What both began with. */
  readonly base: RecoveryPlan
  /** Of the one who is merging, and is told so. */
  readonly mine: RecoveryPlan
  /** As somebody else has saved it meanwhile. */
  readonly theirs: RecoveryPlan
  readonly names: PlanNames
}

type Slot = { readonly groupId: GroupId; readonly part: GroupPart }
export type MergedItem = { readonly item: PlanMachine | PlanStep; readonly slot: Slot }

export function mergeItems(facts: MergeFacts, merge: Merger): ReadonlyMap<ItemId, MergedItem> {
  const places = pick(facts, (plan) => new Map(itemsOf(plan).map((placed) => [placed.item.id, placed])))
  const merged = new Map<ItemId, MergedItem>()
  for (const id of everyKey(pick(places, (map) => [...map.keys()]))) {
    const sides = pick(places, (map) => map.get(id))
    const either = sides.mine ?? sides.theirs
    if (!either) continue
    const verdict = decidePresence(sides, isItemTouched)
    switch (verdict) {
      case 'gone':
        break
      case 'mine':
      case 'theirs':
        merged.set(id, { item: either.item, slot: slotOf(either) })
        break
      case 'both':
        merged.set(id, mergeItem(facts, sides, merge) ?? { item: either.item, slot: slotOf(either) })
        break
      case 'i-removed-what-they-changed':
      case 'they-removed-what-i-changed':
        merge.conflict(atItem(id), removedWords(verdict, titleOf(either.item, facts.names)))
    }
  }
  return merged
}

const slotOf = ({ groupId, part }: PlacedItem): Slot => ({ groupId, part })

/** A need that is no longer there has gone with what was needed: nobody has meant this item by it. */
const isItemTouched = (base: PlacedItem, other: PlacedItem): boolean =>
  !isSameValue(slotOf(base), slotOf(other)) ||
  other.item.needs.some((need) => !base.item.needs.includes(need)) ||
  !isSameValue({ ...base.item, needs: [] }, { ...other.item, needs: [] })

function mergeItem(facts: MergeFacts, sides: Presence<PlacedItem>, merge: Merger): MergedItem | null {
  const { base, mine, theirs } = sides
  if (!mine || !theirs) return null
  const title = titleOf(mine.item, facts.names)
  const at = atItem(mine.item.id)
  // Both have added something under one id: only the same thing goes together.
  if (!base || isStep(mine.item) !== isStep(theirs.item)) {
    if (isSameValue(mine.item, theirs.item) && isSameValue(slotOf(mine), slotOf(theirs))) return null
    merge.conflict(at, `You and somebody else have both made something of the id "${mine.item.id}"`)
    return null
  }
  const present = { base, mine, theirs }
  const groupName = (id: GroupId): string =>
    quoted([...facts.mine.groups, ...facts.theirs.groups].find((group) => group.id === id)?.name ?? id)
  return {
    slot: merge.value(pick(present, slotOf), {
      at,
      what: `the place of ${title}`,
      of: ({ part, groupId }) => `${wordsOfPart[part]} ${groupName(groupId)}`,
    }),
    item: mergeContent(
      facts,
      pick(present, ({ item }) => item),
      { at, title },
      merge,
    ),
  }
}

type Titled = { readonly at: PlanSpot; readonly title: string }

function mergeContent(
  { base, mine, theirs, names }: MergeFacts,
  sides: Sides<PlanMachine | PlanStep>,
  { at, title }: Titled,
  merge: Merger,
): PlanMachine | PlanStep {
  const frame = {
    id: sides.mine.id,
    needs: mergeNeeds(pick(sides, ({ needs }) => needs)),
    whenItFails: merge.value(
      pick(sides, ({ whenItFails }) => whenItFails),
      { at, what: `what follows a failure of ${title}`, of: (then) => wordsOfFailure[then] },
    ),
  }
  const { mine: own, base: former, theirs: other } = sides
  if (isStep(own) && isStep(former) && isStep(other)) {
    const steps = { base: former, mine: own, theirs: other }
    return {
      ...frame,
      name: merge.value(
        pick(steps, ({ name }) => name),
        { at, what: `the name of ${title}`, of: quoted },
      ),
      kinds: merge.value(
        pick(steps, ({ kinds }) => kinds),
        { at, what: `the kinds of run of ${title}`, of: listed },
      ),
      directions: merge.value(
        pick(steps, ({ directions }) => directions),
        { at, what: `the directions of ${title}`, of: listed },
      ),
      action: merge.value(
        pick(steps, ({ action }) => action),
        {
          at,
          what: `what ${title} does`,
          of: (action) => wordsOfAction(action, namesIn([mine, theirs, base], names)),
        },
      ),
    }
  }
  if (isStep(own) || isStep(former) || isStep(other)) return own
  return {
    ...frame,
    protectionId: merge.value(
      pick({ base: former, mine: own, theirs: other }, ({ protectionId }) => protectionId),
      { at, what: `the protection of ${title}`, of: (id) => quoted(names.get(id) ?? id) },
    ),
  }
}

/** What either has added, without what either has removed. */
const mergeNeeds = ({ base, mine, theirs }: Sides<readonly ItemId[]>): readonly ItemId[] =>
  [...new Set([...mine, ...theirs])].filter(
    (need) => !base.includes(need) || (mine.includes(need) && theirs.includes(need)),
  )
