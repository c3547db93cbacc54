// When each item would have started and ended if everything went as in earlier runs. Pure.
import type { PlanRun, PlanTimetable } from '@understudy/contract/recovery-plan'
import type { Span } from './gantt-layout.ts'

const none: ReadonlyMap<string, Span> = new Map()

/** Nothing at all where no earlier run is known: a guess is what the expected bars are for. */
export function usualSpans(
  run: Pick<PlanRun, 'followsUp' | 'plan' | 'kind'> | undefined,
  timetable: PlanTimetable | null,
): ReadonlyMap<string, Span> {
  if (run === undefined || run.followsUp !== null || timetable === null || timetable.measured === 0)
    return none
  return new Map(
    timetable.items.map(({ itemId, startSeconds, endSeconds }) => [
      itemId,
      { fromSeconds: startSeconds, toSeconds: endSeconds },
    ]),
  )
}
