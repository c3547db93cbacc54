import { useComputedColorScheme } from '@mantine/core'
import { formatDuration } from '../../lib/format.ts'
import classes from './Gantt.module.css'
import { ticksOf } from './gantt-layout.ts'

type GanttAxisProps = {
  readonly className: string
  readonly endSeconds: number
  readonly width: number
  readonly now: number | null
  readonly wall: boolean
}

/** Time since the start. */
export function GanttAxis({ className, endSeconds, width, now, wall }: GanttAxisProps) {
  useComputedColorScheme('dark')
  const apart = wall ? width / 9 : 86
  const nowAt = now === null ? null : (now / endSeconds) * width
  return (
    <svg className={className} width={width} aria-hidden="true">
      {ticksOf(endSeconds, width, apart).map((seconds) => {
        const x = (seconds / endSeconds) * width
        // A mark beside the line of now would be written over it.
        if (x > width - 24 || (nowAt !== null && Math.abs(x - nowAt) < apart * 0.4)) return null
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
