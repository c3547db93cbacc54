// Where something can be put down, how the arrow keys go from one place to the next, and what putting it down makes of the plan. Pure.
import {
  addGroup,
  addItem,
  isStep,
  itemsOf,
  moveGroup,
  moveItem,
  type PlanGroup,
  type PlanSlot,
  type StepKind,
} from '@understudy/contract/plan-editing'
import { likelyMachine, newGroup, newMachine, newStep, titleOfStepKind } from './new-items.ts'
import type { GroupId, ItemId, Names, Plan, PlanItem, ProtectionId } from './plan-draft.ts'

/** What is held: something of the plan, or something new from the palette. */
export type Carried =
  | { readonly kind: 'item'; readonly id: ItemId }
  | { readonly kind: 'group'; readonly id: GroupId }
  | { readonly kind: 'new-machine'; readonly protectionId: ProtectionId }
  | { readonly kind: 'new-step'; readonly stepKind: StepKind }
  | { readonly kind: 'new-group' }

export type Part = PlanSlot['part']

/** Every index counts without what is carried. `new-group`: below the last one, where a group is made for an item. */
export type Slot =
  | ({ readonly kind: 'in-group' } & PlanSlot)
  | { readonly kind: 'new-group' }
  | { readonly kind: 'between-groups'; readonly index: number }

export type Step = 'previous' | 'next' | 'previous-list' | 'next-list'

type Shape = 'machine' | 'step' | 'group'

const itemOf = (plan: Plan, id: ItemId): PlanItem | undefined =>
  itemsOf(plan).find(({ item }) => item.id === id)?.item

export function shapeOf(plan: Plan, carried: Carried): Shape {
  switch (carried.kind) {
    case 'group':
    case 'new-group':
      return 'group'
    case 'new-machine':
      return 'machine'
    case 'new-step':
      return 'step'
    case 'item': {
      const item = itemOf(plan, carried.id)
      return item && isStep(item) ? 'step' : 'machine'
    }
  }
}

export const takes = (part: Part, shape: Shape): boolean =>
  shape === 'machine' ? part === 'machines' : shape === 'step' && part !== 'machines'

/** The lists that take it, in the order of the plan, each with its number of places. */
function listsFor(plan: Plan, carried: Carried): readonly { groupId: GroupId; part: Part; places: number }[] {
  const shape = shapeOf(plan, carried)
  return plan.groups.flatMap((group) =>
    (['before', 'machines', 'after'] as const)
      .filter((part) => takes(part, shape))
      .map((part) => ({ groupId: group.id, part, places: othersIn(group, part, carried).length + 1 })),
  )
}

/** What stays in the list while something is carried. */
export const othersIn = (group: PlanGroup, part: Part, carried: Carried | null): readonly PlanItem[] => {
  const items: readonly PlanItem[] = group[part]
  return carried?.kind === 'item' && items.some(({ id }) => id === carried.id)
    ? items.filter(({ id }) => id !== carried.id)
    : items
}

const otherGroups = ({ groups }: Plan, carried: Carried): readonly PlanGroup[] =>
  carried.kind === 'group' ? groups.filter(({ id }) => id !== carried.id) : groups

/** Where it is when it is taken up by keyboard. New things begin at the end of the group that is being worked on. */
export function firstSlot(plan: Plan, carried: Carried, current: GroupId | null): Slot {
  if (carried.kind === 'group')
    return { kind: 'between-groups', index: plan.groups.findIndex(({ id }) => id === carried.id) }
  if (carried.kind === 'new-group') return { kind: 'between-groups', index: plan.groups.length }
  const placed =
    carried.kind === 'item' ? itemsOf(plan).find(({ item }) => item.id === carried.id) : undefined
  if (placed) return { kind: 'in-group', groupId: placed.groupId, part: placed.part, index: placed.index }
  const group = plan.groups.find(({ id }) => id === current) ?? plan.groups.at(-1)
  if (!group) return { kind: 'new-group' }
  const part = shapeOf(plan, carried) === 'machine' ? 'machines' : 'after'
  return { kind: 'in-group', groupId: group.id, part, index: group[part].length }
}

/** From place to place within a list and on into the next one; or from list to list. At either end it stays. */
export function stepSlot(plan: Plan, carried: Carried, slot: Slot, step: Step): Slot {
  const back = step === 'previous' || step === 'previous-list'
  if (slot.kind === 'between-groups') {
    const most = otherGroups(plan, carried).length
    return { ...slot, index: Math.min(most, Math.max(0, slot.index + (back ? -1 : 1))) }
  }
  const lists = listsFor(plan, carried)
  if (slot.kind === 'new-group') {
    const last = lists.at(-1)
    return back && last ? inList(last, last.places - 1) : slot
  }
  const at = lists.findIndex(({ groupId, part }) => groupId === slot.groupId && part === slot.part)
  const list = lists[at]
  if (!list) return slot
  const whole = step === 'previous-list' || step === 'next-list'
  const index = slot.index + (back ? -1 : 1)
  if (!whole && index >= 0 && index < list.places) return inList(list, index)
  const other = lists[at + (back ? -1 : 1)]
  if (!other) return back ? slot : { kind: 'new-group' }
  return inList(other, whole ? Math.min(slot.index, other.places - 1) : back ? other.places - 1 : 0)
}

const inList = (
  { groupId, part }: { readonly groupId: GroupId; readonly part: Part },
  index: number,
): Slot => ({ kind: 'in-group', groupId, part, index })

/** What is put down makes of the plan. The plan itself when that changes nothing. */
export function putDown(plan: Plan, carried: Carried, slot: Slot, uuid: () => string): Plan {
  if (slot.kind === 'between-groups') return putGroup(plan, carried, slot.index, uuid)
  if (carried.kind === 'group' || carried.kind === 'new-group') return plan
  if (slot.kind === 'new-group') {
    const group = newGroup(plan, uuid())
    const part = shapeOf(plan, carried) === 'machine' ? 'machines' : 'before'
    const roomier = addGroup(plan, group, plan.groups.length)
    return putDown(roomier, carried, { kind: 'in-group', groupId: group.id, part, index: 0 }, uuid)
  }
  if (!takes(slot.part, shapeOf(plan, carried))) return plan
  if (carried.kind === 'item') return isThere(plan, carried, slot) ? plan : moveItem(plan, carried.id, slot)
  const item =
    carried.kind === 'new-machine'
      ? newMachine(carried.protectionId, uuid())
      : newStep(carried.stepKind, uuid(), likelyMachine(plan, slot.groupId))
  return addItem(plan, item, slot)
}

function putGroup(plan: Plan, carried: Carried, index: number, uuid: () => string): Plan {
  if (carried.kind === 'new-group') return addGroup(plan, newGroup(plan, uuid()), index)
  if (carried.kind !== 'group' || plan.groups[index]?.id === carried.id) return plan
  return moveGroup(plan, carried.id, index)
}

function isThere(plan: Plan, carried: Carried, slot: Slot): boolean {
  const now = firstSlot(plan, carried, null)
  return (
    now.kind === 'in-group' &&
    slot.kind === 'in-group' &&
    now.groupId === slot.groupId &&
    now.part === slot.part &&
    now.index === slot.index
  )
}

type Box = { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number }

/** Which place of a list is meant at this point of the screen: boxes in reading order, one or several in a row. */
export function placeAt(boxes: readonly Box[], x: number, y: number): number {
  const at = boxes.findIndex((box, index) => {
    if (y < box.top) return true
    if (y > box.bottom) return false
    const isAlone = boxes[index - 1]?.top !== box.top && boxes[index + 1]?.top !== box.top
    return isAlone ? y < (box.top + box.bottom) / 2 : x < (box.left + box.right) / 2
  })
  return at === -1 ? boxes.length : at
}

export function nameOfCarried(plan: Plan, names: Names, carried: Carried): string {
  switch (carried.kind) {
    case 'item': {
      const item = itemOf(plan, carried.id)
      if (!item) return 'It'
      return isStep(item) ? item.name : (names.get(item.protectionId) ?? 'A machine that is not protected')
    }
    case 'group':
      return `Group ${plan.groups.find(({ id }) => id === carried.id)?.name ?? ''}`
    case 'new-machine':
      return names.get(carried.protectionId) ?? 'Machine'
    case 'new-step':
      return `New step: ${titleOfStepKind[carried.stepKind]}`
    case 'new-group':
      return 'New group'
  }
}

const wordsOfPart: Record<Part, string> = {
  before: 'before the machines of',
  machines: 'among the machines of',
  after: 'after the machines of',
}

/** `place 2 of 3 before the machines of Databases`. */
export function wordsOfSlot(plan: Plan, carried: Carried, slot: Slot): string {
  switch (slot.kind) {
    case 'new-group':
      return 'a new group below the last one'
    case 'between-groups':
      return `place ${slot.index + 1} of ${otherGroups(plan, carried).length + 1} among the groups`
    case 'in-group': {
      const group = plan.groups.find(({ id }) => id === slot.groupId)
      if (!group) return ''
      const places = othersIn(group, slot.part, carried).length + 1
      return `place ${slot.index + 1} of ${places} ${wordsOfPart[slot.part]} ${group.name}`
    }
  }
}
