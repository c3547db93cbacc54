// Where things are on the time line: windows, ticks, density columns, marks. Pure; instants are milliseconds.
import type { RecoveryPoint } from '@understudy/contract/recovery-point'

/** What the line draws of a point. */
export type LinePoint = Pick<
  RecoveryPoint,
  'id' | 'instant' | 'consistency' | 'verifiedAt' | 'suspicious' | 'pinned' | 'held'
>
/** A point with its instant parsed once. The list is sorted, oldest first. */
export type TimedPoint<Point extends LinePoint = RecoveryPoint> = {
  readonly at: number
  readonly point: Point
}
export type Window = { readonly from: number; readonly to: number }

export const shortestWindow = 20_000

export function toTimed<Point extends LinePoint>(points: readonly Point[]): TimedPoint<Point>[] {
  return points
    .map((point) => ({ at: Date.parse(point.instant), point }))
    .sort((left, right) => left.at - right.at)
}

/** Index of the first point at or after `at`; the length when there is none. */
export function firstFrom(points: readonly TimedPoint<LinePoint>[], at: number): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((points[middle]?.at ?? 0) < at) low = middle + 1
    else high = middle
  }
  return low
}

/** Index of the point nearest to `at`; -1 when there is none. */
export function nearestIndex(points: readonly TimedPoint<LinePoint>[], at: number): number {
  if (points.length === 0) return -1
  const after = firstFrom(points, at)
  const before = after - 1
  const right = points[after]
  const left = points[before]
  if (!left) return after
  if (!right) return before
  return at - left.at <= right.at - at ? before : after
}

/** Everything there is, with a little room on both sides; `now` is always in it. */
export function wholeWindow(points: readonly TimedPoint<LinePoint>[], now: number): Window {
  const oldest = points[0]?.at ?? now - 3_600_000
  const span = Math.max(now - oldest, shortestWindow)
  return { from: now - span * 1.02, to: now + span * 0.02 }
}

/** `factor` below 1 looks closer. The instant under the pointer (`anchor`) stays where it is. */
export function zoomWindow(window: Window, factor: number, anchor: number, bounds: Window): Window {
  const span = window.to - window.from
  const whole = bounds.to - bounds.from
  const wanted = Math.min(whole, Math.max(shortestWindow, span * factor))
  const share = (anchor - window.from) / span
  return keepInside({ from: anchor - share * wanted, to: anchor + (1 - share) * wanted }, bounds)
}

export const panWindow = (window: Window, by: number, bounds: Window): Window =>
  keepInside({ from: window.from + by, to: window.to + by }, bounds)

/** The same span around `at` when it is out of sight; the same window when it is not. */
export function windowShowing(window: Window, at: number, bounds: Window): Window {
  const span = window.to - window.from
  const margin = span * 0.05
  if (at >= window.from + margin && at <= window.to - margin) return window
  return keepInside({ from: at - span / 2, to: at + span / 2 }, bounds)
}

export function keepInside(window: Window, bounds: Window): Window {
  const span = Math.min(window.to - window.from, bounds.to - bounds.from)
  const from = Math.min(Math.max(window.from, bounds.from), bounds.to - span)
  return { from, to: from + span }
}

/** Points per column of `step` pixels, for the stretch that is shown. */
export function densityOf(
  points: readonly TimedPoint<LinePoint>[],
  window: Window,
  width: number,
  step: number,
): readonly number[] {
  const columns = new Array<number>(Math.max(1, Math.ceil(width / step))).fill(0)
  const perPixel = width / (window.to - window.from)
  for (let index = firstFrom(points, window.from); index < points.length; index += 1) {
    const at = points[index]?.at ?? 0
    if (at > window.to) break
    const column = Math.min(columns.length - 1, Math.floor(((at - window.from) * perPixel) / step))
    columns[column] = (columns[column] ?? 0) + 1
  }
  return columns
}

export type Lane = 'application' | 'verified' | 'pinned' | 'suspicious'
export const lanes: readonly Lane[] = ['application', 'verified', 'pinned', 'suspicious']

export function isOn(lane: Lane, point: LinePoint): boolean {
  switch (lane) {
    case 'application':
      return point.consistency === 'application'
    case 'verified':
      return point.verifiedAt !== null
    case 'pinned':
      return point.pinned || point.held
    case 'suspicious':
      return point.suspicious !== null
  }
}

/** Marks of one lane, those closer than `gap` pixels drawn as one: x in pixels and how many it stands for. */
export function marksOf(
  points: readonly TimedPoint<LinePoint>[],
  lane: Lane,
  window: Window,
  width: number,
  gap: number,
): readonly { readonly x: number; readonly count: number }[] {
  const marks: { x: number; count: number }[] = []
  const perPixel = width / (window.to - window.from)
  for (let index = firstFrom(points, window.from); index < points.length; index += 1) {
    const timed = points[index]
    if (!timed || timed.at > window.to) break
    if (!isOn(lane, timed.point)) continue
    const x = (timed.at - window.from) * perPixel
    const last = marks.at(-1)
    if (last && x - last.x < gap) last.count += 1
    else marks.push({ x, count: 1 })
  }
  return marks
}

const steps = [
  1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000,
  7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000, 604_800_000, 1_209_600_000,
  2_592_000_000, 7_776_000_000, 31_536_000_000,
]

/** Round instants of local time about `pixels` apart. `offsetMinutes`: as `Date.getTimezoneOffset` gives it. */
export function ticksOf(
  window: Window,
  width: number,
  pixels: number,
  offsetMinutes: number,
): { readonly step: number; readonly at: readonly number[] } {
  const wanted = ((window.to - window.from) / Math.max(1, width)) * pixels
  const step = steps.find((each) => each >= wanted) ?? 31_536_000_000
  const offset = offsetMinutes * 60_000
  const first = Math.ceil((window.from - offset) / step) * step + offset
  const at: number[] = []
  for (let tick = first; tick <= window.to; tick += step) at.push(tick)
  return { step, at }
}

/** What a tick says: with a long step the day, with a short one the second. */
export function labelOfTick(at: number, step: number): string {
  const date = new Date(at)
  if (step >= 86_400_000) return date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
  const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0
  if (midnight) return date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
  return date.toLocaleTimeString(undefined, {
    hourCycle: 'h23',
    hour: '2-digit',
    minute: '2-digit',
    ...(step < 60_000 ? { second: '2-digit' } : {}),
  })
}
