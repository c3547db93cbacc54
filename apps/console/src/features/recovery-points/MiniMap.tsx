import { useElementSize } from '@mantine/hooks'
import { type PointerEvent, useEffect, useRef, useState } from 'react'
import { prepare, readInks } from './draw-time-line.ts'
import classes from './TimeLine.module.css'
import { densityOf, keepInside, type LinePoint, type TimedPoint, type Window } from './time-line-layout.ts'

type MiniMapProps = {
  readonly points: readonly TimedPoint<LinePoint>[]
  readonly bounds: Window
  readonly view: Window
  readonly scheme: string
  readonly onMove: (window: Window) => void
}

const height = 26

/** The whole history under the part that is shown: drag to move it. The keyboard moves the selection instead. */
export function MiniMap({ points, bounds, view, scheme, onMove }: MiniMapProps) {
  const { ref: frame, width } = useElementSize()
  const canvas = useRef<HTMLCanvasElement>(null)
  const [dragging, setDragging] = useState(false)
  const from = Math.round(bounds.from / 10_000)
  const to = Math.round(bounds.to / 10_000)
  useEffect(() => {
    const element = canvas.current
    if (!element || width === 0 || scheme === '') return
    const context = prepare(element, width, height)
    if (!context) return
    const density = densityOf(points, { from: from * 10_000, to: to * 10_000 }, width, 2)
    const most = Math.max(1, ...density)
    context.fillStyle = readInks(element).quiet
    context.globalAlpha = 0.6
    for (const [column, count] of density.entries()) {
      const tall =
        count === 0 ? 0 : 4 + (height - 8) * (most === 1 ? 0.6 : Math.log(count + 1) / Math.log(most + 1))
      context.fillRect(column * 2, height - tall - 2, 1.5, tall)
    }
  }, [points, from, to, width, scheme])

  const move = (event: PointerEvent<HTMLDivElement>): void => {
    const box = event.currentTarget.getBoundingClientRect()
    const at = bounds.from + ((event.clientX - box.left) / box.width) * (bounds.to - bounds.from)
    const half = (view.to - view.from) / 2
    onMove(keepInside({ from: at - half, to: at + half }, bounds))
  }
  const share = (at: number): number => ((at - bounds.from) / (bounds.to - bounds.from)) * 100
  return (
    <div
      ref={frame}
      className={classes.map}
      aria-hidden="true"
      data-dragging={dragging || undefined}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        setDragging(true)
        move(event)
      }}
      onPointerMove={(event) => dragging && move(event)}
      onPointerUp={() => setDragging(false)}
      onPointerCancel={() => setDragging(false)}
    >
      <canvas ref={canvas} />
      <div
        className={classes.view}
        style={{ left: `${share(view.from)}%`, width: `${share(view.to) - share(view.from)}%` }}
      />
    </div>
  )
}
