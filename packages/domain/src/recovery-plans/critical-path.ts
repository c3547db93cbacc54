// How long a plan takes, and what of it decides that. Before a run from what is expected, during one from what has happened.
import { type Instant, secondsBetween } from '@understudy/base/instant'
import type { WhenItFails } from './plan.ts'
import type { ItemId } from './plan-ids.ts'
import { type Activity, type ActivityState, isPassed } from './schedule-plan.ts'

/** `spreadSeconds`: a standard deviation. */
export type Duration = { readonly expectedSeconds: number; readonly spreadSeconds: number }

/** How far an activity has come, in a run. Pending ones need no entry; what is over has its end, also what was skipped. */
export type ActivityProgress = {
  readonly state: ActivityState
  readonly startedAt: Instant | null
  readonly endedAt: Instant | null
}

export type RunProgress = {
  readonly startedAt: Instant
  readonly now: Instant
  readonly progress: ReadonlyMap<ItemId, ActivityProgress>
}

/** Seconds since the start of the run. */
export type PredictedActivity = {
  readonly item: ItemId
  readonly startSeconds: number
  readonly endSeconds: number
  /** How much later it could end without delaying the plan. */
  readonly slackSeconds: number
  readonly critical: boolean
}

export type Prediction = {
  /** In the order in which they start. */
  readonly activities: readonly PredictedActivity[]
  /** From the first to the last: each had to wait for the one before it. */
  readonly criticalPath: readonly ItemId[]
  readonly totalSeconds: number
  /** A standard deviation of the total: what is still to come on the critical path, taken as independent of each other. */
  readonly spreadSeconds: number
}

export type PredictionFacts = {
  /** As planActivities gives them. */
  readonly activities: readonly Activity[]
  /** Of every machine and step; without an entry it is taken to take no time. */
  readonly durations: ReadonlyMap<ItemId, Duration>
  /** Null: nothing has started. */
  readonly run: RunProgress | null
}

type Span = { readonly start: number; readonly end: number }

/**
 * Everything starts as soon as what it needs is done. What has ended counts as it was, what runs ends when expected but not before
 * now, and what is still to come starts after now. What has failed and holds others up is taken to be tried again now. The total
 * leaves out that of many equal machines the slowest decides: with wide spreads it is a little too short. Pure.
 */
export function predictPlan({ activities, durations, run }: PredictionFacts): Prediction {
  const spans = new Map<string, Span>()
  for (const activity of activities) spans.set(activity.id, spanOf(activity, durations, run, spans))
  const totalSeconds = Math.max(0, ...[...spans.values()].map(({ end }) => end))
  const criticalIds = findCriticalPath(activities, spans)
  const critical = new Set(criticalIds)
  const slack = findSlack(activities, spans, totalSeconds)
  const items = activities.flatMap(({ id, item, whenItFails }) =>
    item === null ? [] : [{ id, item, whenItFails }],
  )
  return {
    activities: items
      .map(({ id, item }) => ({
        item,
        startSeconds: spans.get(id)?.start ?? 0,
        endSeconds: spans.get(id)?.end ?? 0,
        slackSeconds: slack.get(id) ?? 0,
        critical: critical.has(id),
      }))
      .toSorted((one, other) => one.startSeconds - other.startSeconds),
    criticalPath: criticalIds.flatMap((id) => items.find((each) => each.id === id)?.item ?? []),
    totalSeconds,
    spreadSeconds: Math.hypot(
      ...items
        .filter(({ id, item, whenItFails }) => critical.has(id) && !isOver(run, item, whenItFails))
        .map(({ item }) => durations.get(item)?.spreadSeconds ?? 0),
    ),
  }
}

/** Nothing of it is still to come. */
const isOver = (run: RunProgress | null, item: ItemId, whenItFails: WhenItFails): boolean =>
  isPassed(run?.progress.get(item)?.state ?? 'pending', whenItFails)

function spanOf(
  { item, needs, whenItFails }: Activity,
  durations: PredictionFacts['durations'],
  run: RunProgress | null,
  spans: ReadonlyMap<string, Span>,
): Span {
  const free = Math.max(0, ...needs.map((need) => spans.get(need)?.end ?? 0))
  if (item === null) return { start: free, end: free }
  const expected = durations.get(item)?.expectedSeconds ?? 0
  if (run === null) return { start: free, end: free + expected }
  const now = sinceStart(run, run.now)
  const { state, startedAt, endedAt } = run.progress.get(item) ?? {
    state: 'pending',
    startedAt: null,
    endedAt: null,
  }
  const start = startedAt === null ? null : sinceStart(run, startedAt)
  // A failure that nobody waits for has ended like any other; one that holds the plan up has yet to be done.
  if (endedAt !== null && isPassed(state, whenItFails)) {
    const end = sinceStart(run, endedAt)
    return { start: Math.min(start ?? end, end), end }
  }
  if (state === 'running' && start !== null) return { start, end: Math.max(start + expected, now) }
  const next = Math.max(free, now)
  return { start: next, end: next + expected }
}

/** Never below zero, whatever was done to a clock meanwhile. */
const sinceStart = (run: RunProgress, instant: Instant): number =>
  Math.max(0, secondsBetween(run.startedAt, instant))

/** From what ends last back along whatever each had to wait for longest. */
function findCriticalPath(
  activities: readonly Activity[],
  spans: ReadonlyMap<string, Span>,
): readonly string[] {
  const byId = new Map(activities.map((activity) => [activity.id, activity]))
  const endOf = (id: string): number => spans.get(id)?.end ?? 0
  const lastOf = (ids: readonly string[]): string | undefined => {
    let last: string | undefined
    for (const id of ids) if (last === undefined || endOf(id) > endOf(last)) last = id
    return last
  }
  const path: string[] = []
  for (
    let id = lastOf(activities.filter(({ item }) => item !== null).map((activity) => activity.id));
    id !== undefined;
    id = lastOf(byId.get(id)?.needs ?? [])
  )
    path.push(id)
  return path.toReversed()
}

/** From the end backwards: the least slack of what waits for it, and the pause between. */
function findSlack(
  activities: readonly Activity[],
  spans: ReadonlyMap<string, Span>,
  totalSeconds: number,
): ReadonlyMap<string, number> {
  const slack = new Map(activities.map(({ id }) => [id, totalSeconds - (spans.get(id)?.end ?? 0)]))
  for (const { id, needs } of activities.toReversed()) {
    const own = slack.get(id) ?? 0
    const start = spans.get(id)?.start ?? 0
    for (const need of needs) {
      // A run that was edited while it went on may have started something before what it now needs.
      const pause = Math.max(0, start - (spans.get(need)?.end ?? 0))
      slack.set(need, Math.min(slack.get(need) ?? 0, own + pause))
    }
  }
  return slack
}

/** Newer ones tell more about the next than those of long ago. */
const SAMPLES = 10

/**
 * What the next time will take, from how long it took before, from old to new: the middle one of the newest ten, which a single slow
 * time does not move, and the deviation from it. Without any, the assumption. Pure.
 */
export function expectDuration(seconds: readonly number[], assumed: Duration): Duration {
  const newest = seconds.slice(-SAMPLES)
  const sorted = newest.toSorted((one, other) => one - other)
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  if (low === undefined || high === undefined) return assumed
  const expectedSeconds = (low + high) / 2
  // One time says nothing about how much the next may differ.
  if (newest.length === 1) return { expectedSeconds, spreadSeconds: assumed.spreadSeconds }
  const squares = newest.map((each) => (each - expectedSeconds) ** 2).reduce((sum, each) => sum + each, 0)
  return { expectedSeconds, spreadSeconds: Math.sqrt(squares / (newest.length - 1)) }
}
