// Which place is meant at a point of the screen, read from what is drawn there.
import type { GroupId, Plan } from './plan-draft.ts'
import { type Carried, othersIn, type Part, placeAt, type Slot, shapeOf, takes } from './slots.ts'

/** What the drawing says of itself, for this file: `data-lane` and `data-list` with its part, and `data-id` of each card. */
export function slotAtPoint(plan: Plan, carried: Carried, x: number, y: number): Slot | null {
  const under = document.elementsFromPoint(x, y).find((element) => element.closest('[data-plan-canvas]'))
  if (!under) return null
  const shape = shapeOf(plan, carried)
  if (shape === 'group') return groupSlotAt(plan, carried, y)
  if (under.closest('[data-new-group]')) return { kind: 'new-group' }
  const lane = under.closest<HTMLElement>('[data-lane]')
  const group = plan.groups.find(({ id }) => id === lane?.dataset.lane)
  if (!lane || !group) return plan.groups.length === 0 ? { kind: 'new-group' } : null
  const part = partAt(lane, under, shape, x)
  const list = lane.querySelector<HTMLElement>(`[data-list="${part}"]`)
  if (!list) return null
  const ids = othersIn(group, part, carried).map(({ id }) => id as string)
  const boxes = [...list.querySelectorAll<HTMLElement>('[data-id]')]
    .filter(({ dataset }) => ids.includes(dataset.id ?? ''))
    .map((card) => card.getBoundingClientRect())
  return { kind: 'in-group', groupId: group.id as GroupId, part, index: placeAt(boxes, x, y) }
}

/** The list below the pointer; over one that does not take it, the nearest that does. */
function partAt(lane: HTMLElement, under: Element, shape: 'machine' | 'step', x: number): Part {
  if (shape === 'machine') return 'machines'
  const list = under.closest<HTMLElement>('[data-list]')?.dataset.list as Part | undefined
  if (list && takes(list, shape)) return list
  const { left, right } = lane.getBoundingClientRect()
  return x < (left + right) / 2 ? 'before' : 'after'
}

function groupSlotAt(plan: Plan, carried: Carried, y: number): Slot {
  const others = plan.groups.filter(({ id }) => carried.kind !== 'group' || id !== carried.id)
  const boxes = others.flatMap(({ id }) => {
    const box = document.querySelector(`[data-lane="${CSS.escape(id)}"]`)?.getBoundingClientRect()
    return box ? [box] : []
  })
  return { kind: 'between-groups', index: placeAt(boxes, 0, y) }
}
