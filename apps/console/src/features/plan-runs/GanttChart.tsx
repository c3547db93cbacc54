import { memo, useId } from 'react'
import { fillOf } from '../../ui/tone.ts'
import classes from './Gantt.module.css'
import { type GanttItem, type GanttLayout, type RowSizes, type Span, ticksOf } from './gantt-layout.ts'
import { statusOfActivity } from './run-words.ts'

type GanttChartProps = {
  readonly layout: GanttLayout
  readonly sizes: RowSizes
  readonly width: number
  /** Between marks, in pixels. */
  readonly apart: number
  readonly targetSeconds: number | null
  readonly now: number | null
  readonly opened: string | null
  readonly onOpen?: (itemId: string) => void
}

/** The bars: grey as usual, outlined as expected, filled as it went. Its words are in the list beside it. */
export function GanttChart({
  layout,
  sizes,
  width,
  apart,
  targetSeconds,
  now,
  opened,
  onOpen,
}: GanttChartProps) {
  const { rows, height, endSeconds, criticalPath } = layout
  const hatch = useId()
  const scale = width / endSeconds
  return (
    <svg className={classes.chart} width={width} height={height} aria-hidden="true">
      <defs>
        <pattern id={hatch} width={7} height={7} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width={3} height={7} fill="var(--panel)" opacity={0.45} />
        </pattern>
      </defs>
      {rows.map((row) =>
        row.kind === 'band' ? (
          <g key={`band ${row.groupId}`}>
            <rect y={row.top} width={width} height={sizes.band} fill="var(--panel-quiet)" />
            <line y1={row.top + sizes.band} y2={row.top + sizes.band} x2={width} stroke="var(--line)" />
            {row.span && (
              <rect
                x={row.span.fromSeconds * scale}
                y={row.top + sizes.band * 0.42}
                width={widthOf(row.span, scale)}
                height={Math.max(2, sizes.band * 0.18)}
                rx={2}
                fill="var(--ink-quiet)"
                opacity={0.55}
              />
            )}
          </g>
        ) : null,
      )}
      {ticksOf(endSeconds, width, apart).map((seconds) => (
        <line
          key={seconds}
          x1={seconds * scale}
          x2={seconds * scale}
          y2={height}
          stroke="var(--line)"
          opacity={0.6}
        />
      ))}
      <CriticalPath items={criticalPath} sizes={sizes} scale={scale} />
      {rows.map((row) =>
        row.kind === 'item' ? (
          <Bar
            key={row.activity.itemId}
            item={row}
            height={sizes.item}
            width={width}
            scale={scale}
            hatch={hatch}
            isOpen={row.activity.itemId === opened}
            onOpen={onOpen}
          />
        ) : null,
      )}
      {targetSeconds !== null && targetSeconds <= endSeconds && (
        <g>
          <line
            x1={targetSeconds * scale}
            x2={targetSeconds * scale}
            y2={height}
            stroke={fillOf('bad')}
            strokeWidth={Math.max(1.5, sizes.item / 17)}
            strokeDasharray="6 4"
          />
          <text
            className={classes.tick}
            x={targetSeconds * scale + (targetSeconds * scale < sizes.item * 3 ? 5 : -5)}
            y={height - 6}
            textAnchor={targetSeconds * scale < sizes.item * 3 ? 'start' : 'end'}
            style={{ fill: 'var(--bad)' }}
          >
            target
          </text>
        </g>
      )}
      {now !== null && (
        <line
          x1={now * scale}
          x2={now * scale}
          y2={height}
          stroke="var(--accent)"
          strokeWidth={Math.max(2, sizes.item / 13)}
        />
      )}
    </svg>
  )
}

type BarProps = {
  readonly item: GanttItem
  readonly height: number
  readonly width: number
  readonly scale: number
  readonly hatch: string
  readonly isOpen: boolean
  readonly onOpen: ((itemId: string) => void) | undefined
}

const Bar = memo(function Bar({ item, height, width, scale, hatch, isOpen, onOpen }: BarProps) {
  const { activity, top, critical, predicted, usual, actual } = item
  const { tone } = statusOfActivity(activity)
  const fill = fillOf(tone)
  const [thick, thin] = [height * 0.52, height * 0.76]
  const waits = activity.asks !== null
  const radius = height / 7
  // On a wall everything is larger, its lines too.
  const line = Math.max(0.6, Math.min(3, height / 26))
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: for the mouse only; the list beside it is for the keyboard.
    <g
      onClick={onOpen && (() => onOpen(activity.itemId))}
      style={onOpen && { cursor: 'pointer' }}
      opacity={activity.state === 'left-out' ? 0.4 : 1}
    >
      <rect
        y={top}
        width={width}
        height={height}
        fill={isOpen ? 'var(--accent)' : 'transparent'}
        opacity={isOpen ? 0.13 : 1}
      />
      {usual && (
        <rect
          x={usual.fromSeconds * scale}
          y={top + (height - thin) / 2}
          width={widthOf(usual, scale)}
          height={thin}
          rx={radius}
          fill="var(--off-fill)"
          opacity={0.22}
        />
      )}
      {predicted && (
        <rect
          x={predicted.fromSeconds * scale}
          y={top + (height - thick) / 2}
          width={widthOf(predicted, scale)}
          height={thick}
          rx={radius}
          fill="var(--panel)"
          fillOpacity={0.5}
          stroke={critical ? 'var(--ink)' : 'var(--off)'}
          strokeWidth={critical ? 1.8 * line : line}
          strokeDasharray={critical ? undefined : '3 2'}
        />
      )}
      {actual && (
        <rect
          x={actual.fromSeconds * scale}
          y={top + (height - thick) / 2}
          width={widthOf(actual, scale)}
          height={thick}
          rx={radius}
          fill={fill}
          stroke={critical ? 'var(--ink)' : 'none'}
          strokeWidth={critical ? 1.8 * line : 0}
        />
      )}
      {actual && (waits || activity.state === 'failed' || activity.state === 'skipped') && (
        <rect
          x={actual.fromSeconds * scale}
          y={top + (height - thick) / 2}
          width={widthOf(actual, scale)}
          height={thick}
          rx={radius}
          fill={`url(#${hatch})`}
        />
      )}
      {activity.state === 'left-out' && (
        <line
          x1={0}
          x2={width}
          y1={top + height / 2}
          y2={top + height / 2}
          stroke="var(--off-fill)"
          strokeDasharray="2 6"
        />
      )}
    </g>
  )
})

/** What takes no time is still something that happened. */
const widthOf = ({ fromSeconds, toSeconds }: Span, scale: number): number =>
  Math.max(3, (toSeconds - fromSeconds) * scale)

type CriticalPathProps = {
  readonly items: readonly GanttItem[]
  readonly sizes: RowSizes
  readonly scale: number
}

/** From the end of each to the beginning of the next: what has to be quicker for the whole to be. */
function CriticalPath({ items, sizes, scale }: CriticalPathProps) {
  const corners = items.slice(1).flatMap((item, index) => {
    const before = items[index]
    const [from, to] = [before && spanOf(before), spanOf(item)]
    if (!before || !from || !to) return []
    const [x1, x2] = [from.toSeconds * scale, to.fromSeconds * scale]
    const [y1, y2] = [before.top + sizes.item / 2, item.top + sizes.item / 2]
    return [`M${x1} ${y1}H${Math.max(x1, x2)}V${y2}`]
  })
  return (
    <path
      d={corners.join('')}
      fill="none"
      stroke="var(--ink)"
      strokeWidth={Math.max(0.8, Math.min(3.5, sizes.item / 18))}
      opacity={0.65}
    />
  )
}

const spanOf = ({ actual, predicted }: GanttItem): Span | null =>
  actual && predicted
    ? { fromSeconds: actual.fromSeconds, toSeconds: Math.max(actual.toSeconds, predicted.toSeconds) }
    : (actual ?? predicted)
