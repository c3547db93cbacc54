// A run over time. The list on the left is what the keyboard and a screen reader walk through; the chart beside it shows the same.
import { VisuallyHidden } from '@mantine/core'
import { useElementSize, useMergedRef } from '@mantine/hooks'
import {
  IconAlertTriangleFilled,
  IconCircleCheckFilled,
  IconCircleDashed,
  IconCircleMinus,
  IconCircleXFilled,
  IconHandStop,
  IconProgress,
} from '@tabler/icons-react'
import type { WallActivity } from '@understudy/contract/wall'
import { type KeyboardEvent, memo, useEffect, useId, useMemo, useRef } from 'react'
import { formatDuration } from '../../lib/format.ts'
import { inkOf } from '../../ui/tone.ts'
import classes from './Gantt.module.css'
import { GanttAxis } from './GanttAxis.tsx'
import { GanttChart } from './GanttChart.tsx'
import {
  type GanttBand,
  type GanttFacts,
  type GanttItem,
  layoutGantt,
  type RowSizes,
  sizesToFit,
} from './gantt-layout.ts'
import { statusOfActivity, wordsOfActivityKind } from './run-words.ts'

type GanttProps = {
  readonly facts: GanttFacts
  /** The target, drawn as a line. */
  readonly targetSeconds: number | null
  /** It goes on: a line says where now is. */
  readonly live: boolean
  /** 1: the whole run in the width there is. */
  readonly zoom: number
  /** Rows so low that the whole plan is in sight; pixels of height to fit into, or null. */
  readonly fitHeight: number | null
  readonly wall?: boolean
  /** The item whose details are open. */
  readonly opened: string | null
  readonly onOpen?: (itemId: string) => void
  /** Rises whenever somebody asks to see what runs now; at first it is shown anyhow. */
  readonly goToNow?: number
}

const comfortable: RowSizes = { item: 26, band: 30 }
/** Lower rows cannot be read; then the chart alone has to do, and the list is for the ear. */
const readableRow = 11

export function Gantt(props: GanttProps) {
  const { facts, targetSeconds, live, zoom, fitHeight, wall = false, opened, onOpen, goToNow = 0 } = props
  const { ref, width } = useElementSize()
  const frame = useRef<HTMLDivElement>(null)
  const sizes = useMemo(() => {
    const most = wall && fitHeight !== null ? { item: fitHeight / 16, band: fitHeight / 14 } : comfortable
    if (fitHeight === null) return most
    return sizesToFit({ items: facts.activities.length, bands: facts.groups.length }, fitHeight, most)
  }, [wall, fitHeight, facts.activities.length, facts.groups.length])
  const layout = useMemo(() => layoutGantt(facts, sizes), [facts, sizes])
  const labels = Math.round(Math.min(wall ? width * 0.34 : 300, width * 0.42))
  const chartWidth = Math.max(0, Math.floor((width - labels) * zoom))
  const apart = wall ? chartWidth / 8 : 86
  const now = live ? (facts.until - facts.startedAt) / 1000 : null
  const entry = entryOf(layout.rows, opened)
  const place = useRef({ top: 0, left: 0 })
  place.current = {
    top: entry?.top ?? 0,
    left: now === null ? 0 : (now / layout.endSeconds) * chartWidth,
  }
  const isDrawn = width > 0
  useEffect(() => {
    const element = frame.current
    if (!isDrawn || !element || element.dataset.shown === String(goToNow)) return
    element.dataset.shown = String(goToNow)
    element.scrollTo({
      top: place.current.top - element.clientHeight / 3,
      left: place.current.left - element.clientWidth / 3,
    })
  }, [isDrawn, goToNow])
  const joined = useMergedRef(ref, frame)
  return (
    <div
      ref={joined}
      className={wall ? `${classes.frame} ${classes.wall}` : classes.frame}
      style={{ '--gantt-labels': `${labels}px` } as React.CSSProperties}
    >
      <div className={classes.body}>
        <div className={classes.corner} />
        <GanttAxis
          className={classes.axis ?? ''}
          endSeconds={layout.endSeconds}
          width={chartWidth}
          now={now}
          apart={apart}
        />
        <Labels
          rows={layout.rows}
          sizes={sizes}
          opened={opened}
          until={facts.until}
          {...(onOpen === undefined ? {} : { onOpen })}
        />
        <GanttChart
          layout={layout}
          sizes={sizes}
          width={chartWidth}
          apart={apart}
          targetSeconds={targetSeconds}
          now={now}
          opened={opened}
          {...(onOpen === undefined ? {} : { onOpen })}
        />
      </div>
    </div>
  )
}

type LabelsProps = {
  readonly rows: readonly (GanttBand | GanttItem)[]
  readonly sizes: RowSizes
  readonly opened: string | null
  readonly until: number
  readonly onOpen?: (itemId: string) => void
}

/** One stop of the Tab key for the whole list; arrows, Home and End walk in it. */
function Labels({ rows, sizes, opened, until, onOpen }: LabelsProps) {
  const list = useRef<HTMLUListElement>(null)
  const hint = useId()
  const entry = entryOf(rows, opened)?.activity.itemId
  const walk = (event: KeyboardEvent): void => {
    const buttons = [...(list.current?.querySelectorAll('button') ?? [])]
    const at = buttons.findIndex((each) => each.matches(':focus'))
    const to = stepOf(event.key, at, buttons.length)
    if (to === null) return
    event.preventDefault()
    buttons[to]?.focus()
  }
  return (
    <ul
      ref={list}
      className={classes.labels}
      onKeyDown={walk}
      aria-label="Machines and steps"
      aria-describedby={hint}
    >
      {rows.map((row) =>
        row.kind === 'band' ? (
          <li key={`band ${row.groupId}`} className={classes.band} style={{ height: sizes.band }}>
            <BandWords band={row} height={sizes.band} />
          </li>
        ) : (
          <li key={row.activity.itemId}>
            <Label
              activity={row.activity}
              critical={row.critical}
              height={sizes.item}
              isOpen={row.activity.itemId === opened}
              isEntry={row.activity.itemId === entry}
              // What has not begun or is over says the same at any time.
              until={row.activity.state === 'running' ? until : 0}
              onOpen={onOpen}
            />
          </li>
        ),
      )}
      <li id={hint} hidden>
        Arrow keys go from one to the next, Enter opens its details
      </li>
    </ul>
  )
}

/** Where rows are too low for their own names, the name of their group stands beside all of them. */
function BandWords({ band, height }: { readonly band: GanttBand; readonly height: number }) {
  const isLow = height < readableRow
  if (isLow && band.height < readableRow * 1.4) return null
  return (
    <span className={isLow ? classes.beside : classes.bandWords}>
      <span className={classes.name}>{band.name}</span>
      <span>
        {band.done} of {band.total}
      </span>
    </span>
  )
}

/** Where to begin: at what is open, else at what waits for people or runs. */
function entryOf(rows: readonly (GanttBand | GanttItem)[], opened: string | null): GanttItem | undefined {
  const items = rows.filter((row) => row.kind === 'item')
  return (
    items.find(({ activity }) => activity.itemId === opened) ??
    items.find(({ activity }) => activity.asks !== null) ??
    items.find(({ activity }) => activity.state === 'running') ??
    items[0]
  )
}

function stepOf(key: string, at: number, count: number): number | null {
  switch (key) {
    case 'ArrowDown':
      return Math.min(count - 1, at + 1)
    case 'ArrowUp':
      return Math.max(0, at - 1)
    case 'PageDown':
      return Math.min(count - 1, at + 10)
    case 'PageUp':
      return Math.max(0, at - 10)
    case 'Home':
      return 0
    case 'End':
      return count - 1
    default:
      return null
  }
}

type LabelProps = {
  readonly activity: WallActivity
  readonly critical: boolean
  readonly height: number
  readonly isOpen: boolean
  readonly isEntry: boolean
  readonly until: number
  readonly onOpen: ((itemId: string) => void) | undefined
}

const Label = memo(function Label(props: LabelProps) {
  const { activity, critical, height, isOpen, isEntry, until, onOpen } = props
  const { tone, words } = statusOfActivity(activity)
  const took = secondsTaken(activity, until)
  const about = `, ${wordsOfActivityKind[activity.kind].toLowerCase()}, ${words.toLowerCase()}`
  const Shape = shapeOf(activity)
  const isReadable = height >= readableRow
  const content = (
    <>
      {isReadable && <Shape aria-hidden color={inkOf(tone)} />}
      {isReadable && <span className={classes.name}>{activity.name}</span>}
      <VisuallyHidden>
        {isReadable ? '' : activity.name}
        {about}
        {critical ? ', on the critical path' : ''}
      </VisuallyHidden>
      {isReadable && critical && (
        <span aria-hidden title="On the critical path">
          ◆
        </span>
      )}
      {isReadable && <span className={classes.took}>{took === null ? '' : formatDuration(took)}</span>}
    </>
  )
  const shared = { className: classes.label, style: { height }, 'data-state': activity.state }
  if (onOpen === undefined) return <div {...shared}>{content}</div>
  return (
    <button
      {...shared}
      type="button"
      aria-current={isOpen}
      tabIndex={isEntry ? 0 : -1}
      onClick={() => onOpen(activity.itemId)}
    >
      {content}
    </button>
  )
})

export function secondsTaken({ startedAt, endedAt, state }: WallActivity, until: number): number | null {
  if (startedAt === null || state === 'pending') return null
  const end = endedAt === null ? until : Date.parse(endedAt)
  return Math.max(0, Math.round((end - Date.parse(startedAt)) / 100) / 10)
}

function shapeOf({ state, asks }: WallActivity): typeof IconProgress {
  if (asks !== null && state === 'running') return IconHandStop
  switch (state) {
    case 'pending':
      return IconCircleDashed
    case 'running':
      return IconProgress
    case 'succeeded':
      return IconCircleCheckFilled
    case 'failed':
      return IconCircleXFilled
    case 'skipped':
      return IconAlertTriangleFilled
    case 'left-out':
      return IconCircleMinus
  }
}
