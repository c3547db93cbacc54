import { formatDuration } from '../../lib/format.ts'
import classes from './Gantt.module.css'
import { ticksOf } from './gantt-layout.ts'

type GanttAxisProps = {
  readonly className: string
  readonly endSeconds: number
  readonly width: number
  readonly now: number | null
  /** Between marks, in pixels. */
  readonly apart: number
}

/** Time since the start. */
export function GanttAxis({ className, endSeconds, width, now, apart }: GanttAxisProps) {
  const nowAt = now === null ? null : (now / endSeconds) * width
  return (
    <svg className={className} width={width} aria-hidden="true">
      {ticksOf(endSeconds, width, apart).map((seconds) => {
        const x = (seconds / endSeconds) * width
        // A mark beside the line of now would be written over it.
        if (x > width - apart * 0.4 || isNear(x, nowAt, apart)) return null
        return (
          <text key={seconds} className={classes.tick} x={x + 4} y="68%">
            {seconds === 0 ? '0' : formatDuration(seconds)}
          </text>
        )
      })}
      {nowAt !== null && (
        <text
          className={classes.tick}
          x={nowAt}
          y="68%"
          textAnchor={nowAt > width - 40 ? 'end' : 'middle'}
          style={{ fill: 'var(--accent)', fontWeight: 700 }}
        >
          now
        </text>
      )}
    </svg>
  )
}

/** The mark stands to the right of its place, "now" around its own. */
const isNear = (x: number, nowAt: number | null, apart: number): boolean =>
  nowAt !== null && nowAt > x - apart * 0.4 && nowAt < x + apart * 0.9
