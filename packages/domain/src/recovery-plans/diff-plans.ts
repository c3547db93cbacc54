// What differs between two versions of a plan, in words.
import type { PlanGroup, PlanMachine, PlanNames, PlanStep, RecoveryPlan } from './plan.ts'
import { atGroup, atItem, atParameter, type PlanSpot, wholePlan } from './plan-finding.ts'
import type { GroupId } from './plan-ids.ts'
import { groupParts, isStep, itemsOf, type PlacedItem } from './plan-items.ts'
import {
  listed,
  type NameOfItem,
  namesIn,
  quoted,
  settingsOf,
  titleOf,
  wordsOfFailure,
  wordsOfParameter,
  wordsOfPart,
  wordsOfStart,
  wordsOfTarget,
} from './plan-words.ts'
import { type StepAction, wordsOfStepKind } from './step-action.ts'

export type PlanDifference = { readonly at: PlanSpot; readonly words: string }

/** Nothing differs exactly when both say the same; the order of needs says nothing. Ids tell what is the same in both. Pure. */
export function diffPlans(
  before: RecoveryPlan,
  after: RecoveryPlan,
  names: PlanNames,
): readonly PlanDifference[] {
  const nameOf = namesIn([before, after], names)
  return [
    ...diffHead(before, after),
    ...diffParameters(before, after),
    ...diffGroups(before, after),
    ...diffItems(before, after, { names, nameOf }),
  ]
}

type Row = readonly [what: string, from: string, to: string]

const whatDiffers = (at: PlanSpot, rows: readonly Row[]): readonly PlanDifference[] =>
  rows
    .filter(([, from, to]) => from !== to)
    .map(([what, from, to]) => ({ at, words: `${what} from ${from} to ${to}` }))

const diffHead = (before: RecoveryPlan, after: RecoveryPlan): readonly PlanDifference[] =>
  whatDiffers(wholePlan, [
    ['name', quoted(before.name), quoted(after.name)],
    ['priority', String(before.priority), String(after.priority)],
    ['target RTO', wordsOfTarget(before.targetRtoSeconds), wordsOfTarget(after.targetRtoSeconds)],
  ])

function diffParameters(before: RecoveryPlan, after: RecoveryPlan): readonly PlanDifference[] {
  const [old, now] = [before, after].map(
    ({ parameters }) => new Map(parameters.map((parameter) => [parameter.name, parameter])),
  )
  const { added, removed, kept, moved } = compareLists([...(old?.keys() ?? [])], [...(now?.keys() ?? [])])
  const spoken = (name: string) => `parameter ${quoted(name)}`
  return [
    ...removed.map((name) => ({ at: atParameter(name), words: `${spoken(name)} removed` })),
    ...added.map((name) => ({ at: atParameter(name), words: `${spoken(name)} added` })),
    ...kept.flatMap((name) => {
      const [one, other] = [old?.get(name), now?.get(name)]
      return one && other
        ? whatDiffers(atParameter(name), [[spoken(name), wordsOfParameter(one), wordsOfParameter(other)]])
        : []
    }),
    ...moved.map(({ key, after: former }) => ({
      at: atParameter(key),
      words: `${spoken(key)} moved ${former === null ? 'to the top' : `after ${quoted(former)}`}`,
    })),
  ]
}

function diffGroups(before: RecoveryPlan, after: RecoveryPlan): readonly PlanDifference[] {
  const [old, now] = [groupsById(before), groupsById(after)]
  const { added, removed, kept, moved } = compareLists([...old.keys()], [...now.keys()])
  const spoken = (id: GroupId): string => `group ${quoted(now.get(id)?.name ?? old.get(id)?.name ?? id)}`
  return [
    ...removed.map((id) => ({ at: atGroup(id), words: `${spoken(id)} removed` })),
    ...added.map((id) => ({ at: atGroup(id), words: `${spoken(id)} added` })),
    ...kept.flatMap((id) => {
      const [one, other] = [old.get(id), now.get(id)]
      return one && other
        ? whatDiffers(atGroup(id), [
            ['name of the group', quoted(one.name), quoted(other.name)],
            [`start of ${spoken(id)}`, wordsOfStart[one.start], wordsOfStart[other.start]],
          ])
        : []
    }),
    ...moved.map(({ key, after: former }) => ({
      at: atGroup(key),
      words: `${spoken(key)} moved ${former === null ? 'to the top' : `after ${spoken(former)}`}`,
    })),
  ]
}

const groupsById = ({ groups }: RecoveryPlan): ReadonlyMap<GroupId, PlanGroup> =>
  new Map(groups.map((group) => [group.id, group]))

type Speech = { readonly names: PlanNames; readonly nameOf: NameOfItem }

function diffItems(before: RecoveryPlan, after: RecoveryPlan, speech: Speech): readonly PlanDifference[] {
  const byId = (plan: RecoveryPlan) => new Map(itemsOf(plan).map((placed) => [placed.item.id, placed]))
  const [old, now] = [byId(before), byId(after)]
  const [oldGroups, nowGroups] = [groupsById(before), groupsById(after)]
  const placeOf = ({ part, groupId }: PlacedItem): string =>
    `${wordsOfPart[part]} ${quoted(nowGroups.get(groupId)?.name ?? oldGroups.get(groupId)?.name ?? groupId)}`
  const title = ({ item }: PlacedItem): string => titleOf(item, speech.names)
  const said = (placed: PlacedItem, words: string): PlanDifference => ({
    at: atItem(placed.item.id),
    words: `${title(placed)} ${words}`,
  })
  return [
    ...[...old.values()].filter(({ item }) => !now.has(item.id)).map((placed) => said(placed, 'removed')),
    ...[...now.values()].flatMap((placed): readonly PlanDifference[] => {
      const former = old.get(placed.item.id)
      if (!former) return [said(placed, `added ${placeOf(placed)}`)]
      const moved = former.groupId !== placed.groupId || former.part !== placed.part
      return [
        ...(moved ? [said(placed, `moved from ${placeOf(former)} to ${placeOf(placed)}`)] : []),
        ...diffItem(former.item, placed.item, speech),
      ]
    }),
    ...after.groups.flatMap((group) => diffOrder(oldGroups.get(group.id), group, speech)),
  ]
}

/** Items that stay in their part of their group but stand elsewhere in it. */
const diffOrder = (
  before: PlanGroup | undefined,
  after: PlanGroup,
  { names, nameOf }: Speech,
): readonly PlanDifference[] =>
  groupParts.flatMap((part) => {
    const now: readonly (PlanMachine | PlanStep)[] = after[part]
    const { moved } = compareLists(
      before?.[part].map(({ id }) => id) ?? [],
      now.map(({ id }) => id),
    )
    return moved.flatMap(({ key, after: former }) =>
      now
        .filter(({ id }) => id === key)
        .map((item) => ({
          at: atItem(key),
          words: `${titleOf(item, names)} moved ${former === null ? 'to the top of its list' : `after ${quoted(nameOf(former))}`}`,
        })),
    )
  })

function diffItem(
  before: PlanMachine | PlanStep,
  after: PlanMachine | PlanStep,
  { names, nameOf }: Speech,
): readonly PlanDifference[] {
  const at = atItem(after.id)
  const title = titleOf(after, names)
  const needs = compareLists(before.needs, after.needs)
  const said = (words: string): PlanDifference => ({ at, words: `${title} ${words}` })
  const rows: readonly Row[] = [
    ['what follows a failure', wordsOfFailure[before.whenItFails], wordsOfFailure[after.whenItFails]],
    ...(isStep(before) && isStep(after)
      ? diffSteps(before, after, nameOf)
      : diffMachines(before, after, names)),
  ]
  return [
    ...needs.added.map((need) => said(`waits for ${quoted(nameOf(need))}`)),
    ...needs.removed.map((need) => said(`no longer waits for ${quoted(nameOf(need))}`)),
    ...whatDiffers(
      at,
      rows.map(([what, from, to]) => [`${what} of ${title}`, from, to]),
    ),
  ]
}

/** The same item may stand for another protection: a machine that was protected anew. */
const diffMachines = (
  before: PlanMachine | PlanStep,
  after: PlanMachine | PlanStep,
  names: PlanNames,
): readonly Row[] => {
  const spoken = (item: PlanMachine | PlanStep): string =>
    isStep(item) ? titleOf(item, names) : `${titleOf(item, names)} (${item.protectionId})`
  return [['protection', spoken(before), spoken(after)]]
}

const diffSteps = (before: PlanStep, after: PlanStep, nameOf: NameOfItem): readonly Row[] => [
  ['name', quoted(before.name), quoted(after.name)],
  ['kinds of run', listed(before.kinds), listed(after.kinds)],
  ['directions', listed(before.directions), listed(after.directions)],
  ['kind', wordsOfStepKind[before.action.kind], wordsOfStepKind[after.action.kind]],
  ...(before.action.kind === after.action.kind ? diffActions(before.action, after.action, nameOf) : []),
]

function diffActions(before: StepAction, after: StepAction, nameOf: NameOfItem): readonly Row[] {
  const [old, now] = [settingsOf(before, nameOf), settingsOf(after, nameOf)]
  return [...new Set([...old.keys(), ...now.keys()])].map((what) => [
    what,
    old.get(what) ?? 'none',
    now.get(what) ?? 'none',
  ])
}

type Compared<Key> = {
  readonly added: readonly Key[]
  readonly removed: readonly Key[]
  readonly kept: readonly Key[]
  /** As few as explain the new order of what was kept, each with what it now stands behind. */
  readonly moved: readonly { readonly key: Key; readonly after: Key | null }[]
}

function compareLists<Key extends string>(before: readonly Key[], after: readonly Key[]): Compared<Key> {
  const [old, now] = [new Set(before), new Set(after)]
  const kept = after.filter((key) => old.has(key))
  const still = new Set(longestRising(kept, new Map(before.map((key, index) => [key, index]))))
  return {
    added: after.filter((key) => !old.has(key)),
    removed: before.filter((key) => !now.has(key)),
    kept,
    moved: kept
      .filter((key) => !still.has(key))
      .map((key) => ({ key, after: after[after.indexOf(key) - 1] ?? null })),
  }
}

/** The longest selection of the keys whose ranks rise. Quadratic, for lists of a few hundred. */
function longestRising<Key extends string>(
  keys: readonly Key[],
  rank: ReadonlyMap<Key, number>,
): readonly Key[] {
  const best: (readonly Key[])[] = []
  for (const key of keys) {
    const own = rank.get(key) ?? 0
    let longest: readonly Key[] = []
    for (const chain of best)
      if ((rank.get(chain.at(-1) ?? key) ?? 0) < own && chain.length > longest.length) longest = chain
    best.push([...longest, key])
  }
  return best.reduce((longest, chain) => (chain.length > longest.length ? chain : longest), [])
}
