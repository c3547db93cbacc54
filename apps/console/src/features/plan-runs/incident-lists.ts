// What a room has to know of a run: who is waited for, what is being done, what failed, and what comes next. Pure, and never longer than
// can be read.
import type { WallActivity, WallRun } from '@understudy/contract/wall'

export type WaitingLine = {
  readonly itemId: string
  readonly name: string
  /** For whom: the role that may answer. */
  readonly who: string
  readonly kind: NonNullable<WallActivity['asks']>['kind']
  readonly since: string | null
  /** How many items cannot begin before it is answered. */
  readonly holdsUp: number
}

export type IncidentLists = {
  readonly waiting: readonly WaitingLine[]
  readonly running: readonly WallActivity[]
  readonly failed: readonly WallActivity[]
  readonly next: readonly WallActivity[]
  /** How many of each are not in its list. */
  readonly hidden: { readonly waiting: number; readonly running: number; readonly failed: number }
}

const most = { waiting: 3, running: 6, failed: 3, next: 4 }

/** `holdsUp`: how many items cannot begin before this one is done. */
export function incidentLists(
  { state, activities }: Pick<WallRun, 'state' | 'activities'>,
  holdsUp: (itemId: string) => number,
): IncidentLists {
  const asking = activities.filter(({ asks }) => asks !== null)
  const running = activities
    .filter((activity) => activity.state === 'running' && activity.asks === null)
    .toSorted(
      (left, right) => Number(right.predicted?.critical ?? false) - Number(left.predicted?.critical ?? false),
    )
  const failed = activities.filter((activity) => activity.state === 'failed' && activity.asks === null)
  // A run that is being cancelled, or is over, begins nothing more.
  const next = (goesOn(state) ? activities : [])
    .filter((activity) => activity.state === 'pending')
    .toSorted((left, right) => (left.predicted?.startSeconds ?? 0) - (right.predicted?.startSeconds ?? 0))
  return {
    waiting: asking.slice(0, most.waiting).map((activity) => waitingLine(activity, holdsUp)),
    running: running.slice(0, most.running),
    failed: failed.slice(0, most.failed),
    next: next.slice(0, most.next),
    hidden: {
      waiting: Math.max(0, asking.length - most.waiting),
      running: Math.max(0, running.length - most.running),
      failed: Math.max(0, failed.length - most.failed),
    },
  }
}

const goesOn = (state: WallRun['state']): boolean => state === 'running' || state === 'paused'

const waitingLine = (
  { itemId, name, asks, startedAt, endedAt }: WallActivity,
  holdsUp: (itemId: string) => number,
): WaitingLine => ({
  itemId,
  name,
  who: asks?.role ?? 'operator',
  kind: asks?.kind ?? 'manual',
  since: endedAt ?? startedAt,
  holdsUp: holdsUp(itemId),
})
