// The scrubber: all recovery points of a machine on one line, from seconds to months.
import { ActionIcon, Button, Group, Tooltip, useComputedColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { IconZoomIn, IconZoomOut } from '@tabler/icons-react'
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from 'react'
import { formatDuration, formatWithZone } from '../../lib/format.ts'
import { useNow } from '../../ui/use-now.ts'
import { drawTimeLine, readInks } from './draw-time-line.ts'
import { Legend } from './Legend.tsx'
import { MiniMap } from './MiniMap.tsx'
import { wordsOfPoint } from './point-words.ts'
import classes from './TimeLine.module.css'
import {
  firstFrom,
  keepInside,
  type LinePoint,
  nearestIndex,
  panWindow,
  type TimedPoint,
  type Window,
  wholeWindow,
  windowShowing,
  zoomWindow,
} from './time-line-layout.ts'

type TimeLineProps = {
  readonly points: readonly TimedPoint<LinePoint>[]
  readonly selectedId: string | null
  readonly onSelect: (pointId: string) => void
  /** Where there are points of several machines: whose one is. */
  readonly ownerOf?: (pointId: string) => string
  /** An instant that is chosen without being that of a point; null: none. */
  readonly markedAt?: number | null
  readonly label?: string
}

const spans = [
  { label: '15 min', milliseconds: 900_000 },
  { label: '1 h', milliseconds: 3_600_000 },
  { label: '24 h', milliseconds: 86_400_000 },
  { label: '7 d', milliseconds: 604_800_000 },
] as const

export function TimeLine({
  points,
  selectedId,
  onSelect,
  ownerOf,
  markedAt = null,
  label = 'Recovery points',
}: TimeLineProps) {
  const clock = useNow(1000)
  // A point may be younger than the last tick, or by the server's clock: nothing lies after now.
  const now = Math.max(clock, points.at(-1)?.at ?? 0)
  const scheme = useComputedColorScheme('dark')
  const { ref: frame, width } = useElementSize()
  const canvas = useRef<HTMLCanvasElement>(null)
  const drag = useRef<{ x: number; view: Window; moved: boolean } | null>(null)
  // Null: everything there is, following the newest point.
  const [chosen, setChosen] = useState<Window | null>(null)
  const bounds = wholeWindow(points, now)
  const view = chosen === null ? bounds : keepInside(chosen, bounds)
  const index = selectedId === null ? -1 : points.findIndex(({ point }) => point.id === selectedId)
  const selected = points[index]
  // From an instant between two points the arrows go to either of them.
  const between = markedAt === null ? points.length : firstFrom(points, markedAt) - 0.5

  useEffect(() => {
    if (!canvas.current || width === 0) return
    drawTimeLine(canvas.current, {
      points,
      window: view,
      width,
      now,
      selectedAt: selected?.at ?? markedAt,
      inks: readInks(canvas.current),
    })
  })
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    // React's wheel listener is passive; this one has to keep the page still.
    const onWheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY) && !event.shiftKey) return
      event.preventDefault()
      setChosen((before) => {
        const current = before ?? bounds
        const box = element.getBoundingClientRect()
        const at = current.from + ((event.clientX - box.left) / box.width) * (current.to - current.from)
        if (event.ctrlKey) return zoomWindow(current, event.deltaY > 0 ? 1.25 : 0.8, at, bounds)
        const by = ((event.deltaX || event.deltaY) / box.width) * (current.to - current.from)
        return panWindow(current, by, bounds)
      })
    }
    element.addEventListener('wheel', onWheel, { passive: false })
    return () => element.removeEventListener('wheel', onWheel)
  })

  const select = (at: number): void => {
    const next = points[Math.min(points.length - 1, Math.max(0, at))]
    if (!next) return
    onSelect(next.point.id)
    setChosen((before) => (before === null ? null : windowShowing(before, next.at, bounds)))
  }
  const zoom = (factor: number): void =>
    setChosen(zoomWindow(view, factor, selected?.at ?? (view.from + view.to) / 2, bounds))
  const lookBack = (milliseconds: number): void =>
    setChosen(keepInside({ from: now - milliseconds, to: now + milliseconds * 0.02 }, bounds))

  const onKeyDown = (event: KeyboardEvent): void => {
    const from = index < 0 ? between : index
    const earlier = (count: number): void => select(Math.ceil(from - count))
    const later = (count: number): void => select(Math.floor(from + count))
    const steps: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => earlier(1),
      ArrowDown: () => earlier(1),
      ArrowRight: () => later(1),
      ArrowUp: () => later(1),
      PageUp: () => later(50),
      PageDown: () => earlier(50),
      Home: () => select(0),
      End: () => select(points.length - 1),
      '+': () => zoom(0.5),
      '=': () => zoom(0.5),
      '-': () => zoom(2),
    }
    const step = steps[event.key]
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    step()
  }
  const onPointerDown = (event: PointerEvent<HTMLDivElement>): void => {
    drag.current = { x: event.clientX, view, moved: false }
    event.currentTarget.setPointerCapture(event.pointerId)
  }
  const onPointerMove = (event: PointerEvent): void => {
    const begun = drag.current
    if (!begun || width === 0) return
    const by = begun.x - event.clientX
    if (Math.abs(by) > 4) begun.moved = true
    if (begun.moved)
      setChosen(panWindow(begun.view, (by / width) * (begun.view.to - begun.view.from), bounds))
  }
  const onPointerUp = (event: PointerEvent<HTMLDivElement>): void => {
    const begun = drag.current
    drag.current = null
    if (!begun || begun.moved) return
    const box = event.currentTarget.getBoundingClientRect()
    const at = view.from + ((event.clientX - box.left) / box.width) * (view.to - view.from)
    select(nearestIndex(points, at))
  }

  return (
    <div>
      <Group justify="space-between" mb={8} gap="xs">
        <Legend />
        <Group gap={4}>
          {spans.map(({ label, milliseconds }) => (
            <Button
              key={label}
              size="compact-xs"
              variant="default"
              disabled={milliseconds >= bounds.to - bounds.from}
              onClick={() => lookBack(milliseconds)}
              aria-label={`Show the last ${label}`}
            >
              {label}
            </Button>
          ))}
          <Button size="compact-xs" variant="default" onClick={() => setChosen(null)}>
            All
          </Button>
          <Tooltip label="Closer (+)">
            <ActionIcon variant="default" size={24} onClick={() => zoom(0.5)} aria-label="Zoom in">
              <IconZoomIn size={15} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Further (-)">
            <ActionIcon variant="default" size={24} onClick={() => zoom(2)} aria-label="Zoom out">
              <IconZoomOut size={15} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      <div
        ref={frame}
        className={classes.line}
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-orientation="horizontal"
        aria-valuemin={points.length === 0 ? 0 : 1}
        aria-valuemax={points.length}
        aria-valuenow={index + 1}
        aria-valuetext={
          selected
            ? `${ownerOf ? `${ownerOf(selected.point.id)}, ` : ''}${wordsOfPoint(selected.point)}, ${formatWithZone(selected.point.instant)}, ${formatDuration((now - selected.at) / 1000)} ago`
            : `${points.length} recovery points; arrow keys choose one, plus and minus zoom`
        }
        onKeyDown={onKeyDown}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={() => {
          drag.current = null
        }}
      >
        <canvas ref={canvas} />
      </div>
      <MiniMap points={points} bounds={bounds} view={view} scheme={scheme} onMove={setChosen} />
    </div>
  )
}
