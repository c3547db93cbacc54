// The rows of a timetable in the order of the plan. Pure.
import { isStep, itemsOf, type StepKind } from '@understudy/contract/plan-editing'
import type { PlanTimetable } from '@understudy/contract/recovery-plan'
import type { ItemId, Plan } from './plan-draft.ts'

type Timing = PlanTimetable['items'][number]
export type TimetableRow = Omit<Timing, 'itemId'> & {
  readonly id: ItemId
  readonly kind: StepKind | 'machine'
  /** Of the first row of each group; null: the same as above. */
  readonly group: string | null
}

/** Steps that are not for this kind of run have no time and no row. */
export function rowsOfTimetable(plan: Plan, timetable: PlanTimetable): readonly TimetableRow[] {
  const timings = new Map(timetable.items.map((timing) => [timing.itemId, timing]))
  let last: string | null = null
  return itemsOf(plan).flatMap(({ item, groupId, groupIndex }) => {
    const timing = timings.get(item.id)
    if (!timing) return []
    const group = groupId === last ? null : (plan.groups[groupIndex]?.name ?? '')
    last = groupId
    const { startSeconds, endSeconds, slackSeconds, critical } = timing
    const kind = isStep(item) ? item.action.kind : ('machine' as const)
    return [{ id: item.id, kind, group, startSeconds, endSeconds, slackSeconds, critical }]
  })
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400]

/** Five to ten round moments from the start on. */
export function ticksOf(totalSeconds: number): readonly number[] {
  const step = steps.find((each) => totalSeconds / each <= 9) ?? 604_800
  return Array.from({ length: Math.floor(totalSeconds / step) + 1 }, (_, index) => index * step)
}
