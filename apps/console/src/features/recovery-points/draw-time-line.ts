// Paints the time line on a canvas. Each kind of point has its own shape and lane, so colour is never the only signal.
import {
  densityOf,
  type Lane,
  type LinePoint,
  labelOfTick,
  lanes,
  marksOf,
  type TimedPoint,
  ticksOf,
  type Window,
} from './time-line-layout.ts'

export type Inks = Readonly<Record<'ink' | 'quiet' | 'line' | 'accent' | Lane, string>>

/** Lanes from above: suspicious, pinned, verified, application-consistent, all points, the axis. */
export const lineHeight = 148
const lanesFrom = 14
const laneHeight = 17
const barsBottom = lineHeight - 26
const barsHeight = 40

export function readInks(element: Element): Inks {
  const style = getComputedStyle(element)
  const of = (name: string): string => style.getPropertyValue(name).trim()
  return {
    ink: of('--ink'),
    quiet: of('--ink-quiet'),
    line: of('--line'),
    accent: of('--accent'),
    application: of('--busy'),
    verified: of('--good'),
    pinned: of('--at-risk'),
    suspicious: of('--bad'),
  }
}

type Scene = {
  readonly points: readonly TimedPoint<LinePoint>[]
  readonly window: Window
  readonly width: number
  readonly now: number
  readonly selectedAt: number | null
  readonly inks: Inks
}

/** Sharp on any screen: the canvas has as many pixels as the screen, and draws in CSS pixels. */
export function prepare(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(height * ratio)
  canvas.style.height = `${height}px`
  const context = canvas.getContext('2d')
  context?.setTransform(ratio, 0, 0, ratio, 0, 0)
  context?.clearRect(0, 0, width, height)
  return context
}

export function drawTimeLine(canvas: HTMLCanvasElement, scene: Scene): void {
  const context = prepare(canvas, scene.width, lineHeight)
  if (!context) return
  drawTicks(context, scene)
  drawBars(context, scene)
  for (const lane of lanes)
    for (const { x } of marksOf(scene.points, lane, scene.window, scene.width, 9))
      drawShape(context, lane, x, laneY(lane), scene.inks)
  drawMoment(context, scene, scene.now, scene.inks.quiet, [2, 3])
  if (scene.selectedAt !== null) drawMoment(context, scene, scene.selectedAt, scene.inks.accent, [])
}

const laneY = (lane: Lane): number => lanesFrom + (lanes.length - 1 - lanes.indexOf(lane)) * laneHeight

function drawTicks(context: CanvasRenderingContext2D, { window: view, width, inks }: Scene): void {
  const offset = new Date(view.to).getTimezoneOffset()
  const { step, at } = ticksOf(view, width, 96, offset)
  context.font = "11px 'Inter Variable', system-ui, sans-serif"
  context.textAlign = 'center'
  for (const tick of at) {
    const x = ((tick - view.from) / (view.to - view.from)) * width
    context.fillStyle = inks.line
    context.fillRect(Math.round(x), 4, 1, barsBottom - 2)
    context.fillStyle = inks.quiet
    if (x > 22 && x < width - 22) context.fillText(labelOfTick(tick, step), x, lineHeight - 8)
  }
  context.fillStyle = inks.line
  context.fillRect(0, barsBottom, width, 1)
}

/** One bar a column: its height grows with the number of points in it. A lone point is one thin bar. */
function drawBars(context: CanvasRenderingContext2D, { points, window: view, width, inks }: Scene): void {
  const step = 3
  const density = densityOf(points, view, width, step)
  const most = Math.max(1, ...density)
  context.fillStyle = inks.quiet
  for (const [column, count] of density.entries()) {
    if (count === 0) continue
    const height = 14 + (barsHeight - 14) * (most === 1 ? 0 : Math.log(count) / Math.log(most))
    context.globalAlpha = 0.55
    context.fillRect(column * step, barsBottom - height, step - 1, height)
  }
  context.globalAlpha = 1
}

function drawMoment(
  context: CanvasRenderingContext2D,
  { window: view, width }: Scene,
  at: number,
  ink: string,
  dash: readonly number[],
): void {
  const x = ((at - view.from) / (view.to - view.from)) * width
  if (x < 0 || x > width) return
  context.strokeStyle = ink
  context.fillStyle = ink
  context.lineWidth = dash.length > 0 ? 1 : 2
  context.setLineDash([...dash])
  context.beginPath()
  context.moveTo(x, 2)
  context.lineTo(x, barsBottom + 4)
  context.stroke()
  context.setLineDash([])
  if (dash.length > 0) return
  context.beginPath()
  context.moveTo(x - 6, barsBottom + 10)
  context.lineTo(x + 6, barsBottom + 10)
  context.lineTo(x, barsBottom + 2)
  context.fill()
}

/** Diamond: application-consistent. Ring with a dot: verified. Square: pinned. Triangle: suspicious. */
export function drawShape(
  context: CanvasRenderingContext2D,
  lane: Lane,
  x: number,
  y: number,
  inks: Inks,
): void {
  context.fillStyle = inks[lane]
  context.strokeStyle = inks[lane]
  context.lineWidth = 1.6
  context.beginPath()
  switch (lane) {
    case 'application':
      context.moveTo(x, y - 5)
      context.lineTo(x + 5, y)
      context.lineTo(x, y + 5)
      context.lineTo(x - 5, y)
      context.fill()
      return
    case 'verified':
      context.arc(x, y, 4, 0, Math.PI * 2)
      context.stroke()
      context.beginPath()
      context.arc(x, y, 1.6, 0, Math.PI * 2)
      context.fill()
      return
    case 'pinned':
      context.fillRect(x - 4, y - 4, 8, 8)
      return
    case 'suspicious':
      context.moveTo(x, y - 5)
      context.lineTo(x + 5.5, y + 4.5)
      context.lineTo(x - 5.5, y + 4.5)
      context.fill()
      return
  }
}
