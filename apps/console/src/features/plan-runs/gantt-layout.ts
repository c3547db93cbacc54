// Where every bar of a run lies: rows from top to bottom, seconds since the start from left to right. Pure.
import type { WallActivity } from '@understudy/contract/wall'

export type Span = { readonly fromSeconds: number; readonly toSeconds: number }

export type GanttItem = {
  readonly kind: 'item'
  readonly activity: WallActivity
  readonly top: number
  readonly critical: boolean
  /** As it is expected now; null where nothing more is expected of it. */
  readonly predicted: Span | null
  /** As earlier runs went; null: not known. */
  readonly usual: Span | null
  /** What has happened; while it runs it reaches to now. */
  readonly actual: Span | null
}
export type GanttBand = {
  readonly kind: 'band'
  readonly groupId: string
  readonly name: string
  readonly top: number
  /** With all its items. */
  readonly height: number
  readonly span: Span | null
  readonly done: number
  readonly total: number
}
export type GanttRow = GanttBand | GanttItem
export type GanttLayout = {
  readonly rows: readonly GanttRow[]
  readonly height: number
  /** The end of the time axis. */
  readonly endSeconds: number
  /** Items of the critical path in the order of time. */
  readonly criticalPath: readonly GanttItem[]
}

export type GanttFacts = {
  readonly groups: readonly { readonly id: string; readonly name: string }[]
  readonly activities: readonly WallActivity[]
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** Now, or the end of the run. */
  readonly until: number
  readonly usual?: ReadonlyMap<string, Span>
  /** The axis reaches at least to here, e.g. to the target. */
  readonly atLeastSeconds?: number
}
export type RowSizes = { readonly item: number; readonly band: number }

export function layoutGantt(facts: GanttFacts, sizes: RowSizes): GanttLayout {
  const rows: GanttRow[] = []
  let top = 0
  for (const group of facts.groups) {
    const members = facts.activities.filter(({ groupId }) => groupId === group.id)
    if (members.length === 0) continue
    const items = members.map((activity, index) =>
      placeItem(facts, activity, top + sizes.band + index * sizes.item),
    )
    const height = sizes.band + items.length * sizes.item
    rows.push(bandOf(group, { items, top, height }), ...items)
    top += height
  }
  const items = rows.filter((row) => row.kind === 'item')
  const ends = items.flatMap(({ predicted, usual, actual }) =>
    [predicted, usual, actual].flatMap((span) => (span ? [span.toSeconds] : [])),
  )
  const elapsed = (facts.until - facts.startedAt) / 1000
  return {
    rows,
    height: top,
    endSeconds: Math.max(10, elapsed, facts.atLeastSeconds ?? 0, ...ends) * 1.03,
    criticalPath: items
      .filter(({ critical }) => critical)
      .toSorted((left, right) => startOf(left) - startOf(right)),
  }
}

function placeItem(facts: GanttFacts, activity: WallActivity, top: number): GanttItem {
  const { predicted, state } = activity
  const counts = state !== 'left-out' && state !== 'skipped'
  const expected = counts && predicted ? spanOf(predicted.startSeconds, predicted.endSeconds) : null
  return {
    kind: 'item',
    activity,
    top,
    critical: counts && (predicted?.critical ?? false),
    // Of what is over, the expectation is what has happened.
    predicted: state === 'pending' || state === 'running' ? expected : null,
    usual: state === 'left-out' ? null : (facts.usual?.get(activity.itemId) ?? null),
    actual: actualOf(facts, activity),
  }
}

function actualOf({ startedAt, until }: GanttFacts, activity: WallActivity): Span | null {
  if (activity.startedAt === null || activity.state === 'pending') return null
  const secondsOf = (milliseconds: number): number => (milliseconds - startedAt) / 1000
  const end = activity.endedAt === null ? until : Date.parse(activity.endedAt)
  return spanOf(secondsOf(Date.parse(activity.startedAt)), secondsOf(end))
}

/** The clock of this computer may be behind the server's: a bar never ends before it begins. */
const spanOf = (from: number, to: number): Span => ({
  fromSeconds: Math.max(0, from),
  toSeconds: Math.max(0, from, to),
})

const startOf = ({ actual, predicted }: GanttItem): number =>
  actual?.fromSeconds ?? predicted?.fromSeconds ?? 0

function bandOf(
  group: { readonly id: string; readonly name: string },
  place: { readonly items: readonly GanttItem[]; readonly top: number; readonly height: number },
): GanttBand {
  const spans = place.items.flatMap(({ actual, predicted }) =>
    [actual, predicted].filter((span) => span !== null),
  )
  const counted = place.items.filter(({ activity }) => activity.state !== 'left-out')
  return {
    kind: 'band',
    groupId: group.id,
    name: group.name,
    top: place.top,
    height: place.height,
    span:
      spans.length === 0
        ? null
        : spanOf(
            Math.min(...spans.map(({ fromSeconds }) => fromSeconds)),
            Math.max(...spans.map(({ toSeconds }) => toSeconds)),
          ),
    done: counted.filter(({ activity }) => activity.state !== 'pending' && activity.state !== 'running')
      .length,
    total: counted.length,
  }
}

const roundSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400]

/** Marks of the time axis: round times, at least `apart` pixels from each other. */
export function ticksOf(endSeconds: number, width: number, apart: number): readonly number[] {
  if (width <= 0 || endSeconds <= 0) return []
  const closest = (endSeconds * apart) / width
  const step = roundSteps.find((each) => each >= closest) ?? Math.ceil(closest / 86_400) * 86_400
  return Array.from({ length: Math.floor(endSeconds / step) + 1 }, (_, index) => index * step)
}

/** Rows so low that the whole plan is in sight, but never higher than is pleasant. */
export function sizesToFit(
  counts: { readonly items: number; readonly bands: number },
  height: number,
  most: RowSizes,
): RowSizes {
  const share = most.band / most.item
  const item = Math.floor((height / (counts.items + counts.bands * share)) * 10) / 10
  if (item >= most.item) return most
  const low = Math.max(3, item)
  return { item: low, band: low * share }
}
