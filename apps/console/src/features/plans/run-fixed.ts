// What of a run has started, as the editor of what is to come needs it. Pure.
import type { PlanRun } from '@understudy/contract/recovery-plan'
import type { Fixed } from './fixed.ts'
import type { ItemId } from './plan-draft.ts'

type Activity = Pick<PlanRun['activities'][number], 'itemId' | 'state'>

/** Whatever waits, or is left out of this kind of run, can still be changed. */
const wordsOfState: Record<Activity['state'], string | null> = {
  pending: null,
  'left-out': null,
  running: 'Running',
  succeeded: 'Done',
  failed: 'Failed',
  skipped: 'Skipped',
}

export const startedOf = (activities: readonly Activity[]): ReadonlySet<ItemId> =>
  new Set(
    activities.filter(({ state }) => wordsOfState[state] !== null).map(({ itemId }) => itemId as ItemId),
  )

/** `lastGroup`: the last one in which anything has started. */
export const fixedOf = (
  {
    activities,
    plan,
  }: { readonly activities: readonly Activity[]; readonly plan: Pick<PlanRun['plan'], 'groups'> },
  lastGroup: number,
): Fixed => ({
  items: new Map(
    activities.flatMap(({ itemId, state }) => {
      const words = wordsOfState[state]
      return words === null ? [] : [[itemId, words] as const]
    }),
  ),
  groups: new Set(plan.groups.slice(0, lastGroup + 1).map(({ id }) => id)),
})
