// What of a run cannot begin before one of its items is done. Pure; the order of a plan as its rules have it: groups one after the
// other unless they start at once, in each the steps before, the machines together, the steps after.
import { itemsOf } from '@understudy/contract/plan-editing'
import type { WallRun } from '@understudy/contract/wall'

type Run = Pick<WallRun, 'plan' | 'activities'>
type Item = {
  readonly id: string
  readonly needs: readonly string[]
  readonly group: number
  readonly inOrder: boolean
  /** Of its group: items wait for all of a lower rank. */
  readonly rank: number
}

/** Pending items that wait for this one, directly or through others, in the order of the plan. */
export function heldUpBy(run: Run, itemId: string): readonly string[] {
  const items = rankedItems(run)
  const pending = new Set(
    run.activities.filter(({ state }) => state === 'pending').map((activity) => activity.itemId),
  )
  const waits = new Set([itemId])
  // Each round finds what waits for what was found before; a plan has no cycles, and no more rounds than items.
  for (let round = 0; round < items.length; round += 1) {
    const more = items.filter(
      (item) => !waits.has(item.id) && items.some((other) => waits.has(other.id) && waitsFor(item, other)),
    )
    if (more.length === 0) break
    for (const { id } of more) waits.add(id)
  }
  waits.delete(itemId)
  return items.flatMap(({ id }) => (waits.has(id) && pending.has(id) ? [id] : []))
}

const waitsFor = (item: Item, other: Item): boolean =>
  item.needs.includes(other.id) ||
  (item.group === other.group && item.rank > other.rank) ||
  (item.group > other.group && item.inOrder)

const rankedItems = ({ plan }: Run): readonly Item[] =>
  itemsOf(plan).map(({ item, groupIndex, part, index }) => {
    const group = plan.groups[groupIndex]
    const before = group?.before.length ?? 0
    return {
      id: item.id,
      needs: item.needs,
      group: groupIndex,
      inOrder: group?.start === 'in-order',
      rank: part === 'before' ? index : part === 'machines' ? before : before + 1 + index,
    }
  })
