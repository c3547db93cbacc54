import { IconRoute } from '@tabler/icons-react'
import type { PlanTimetable } from '@understudy/contract/recovery-plan'
import { formatDuration } from '../../lib/format.ts'
import { clockOf } from './expected-clock.ts'
import type { ItemId, Plan } from './plan-draft.ts'
import { iconOfItem } from './step-icons.ts'
import classes from './TimetableChart.module.css'
import { rowsOfTimetable, ticksOf } from './timetable-rows.ts'

type TimetableChartProps = {
  readonly plan: Plan
  readonly timetable: PlanTimetable
  readonly nameOf: (id: ItemId) => string
  readonly onOpen?: (id: ItemId) => void
}

/** When each machine and step is expected to begin and end, and which of them decide how long it takes. */
export function TimetableChart({ plan, timetable, nameOf, onOpen }: TimetableChartProps) {
  const total = Math.max(1, timetable.totalSeconds, plan.targetRtoSeconds ?? 0)
  const place = (seconds: number): string => `${(seconds / total) * 100}%`
  return (
    <div className={classes.chart}>
      <div className={classes.axis} aria-hidden>
        {ticksOf(total).map((seconds) => (
          <span key={seconds} style={{ left: place(seconds) }}>
            {clockOf(seconds)}
          </span>
        ))}
      </div>
      <ol className={classes.rows} aria-label="Timetable">
        {rowsOfTimetable(plan, timetable).map(
          ({ id, kind, group, startSeconds, endSeconds, slackSeconds, critical }) => {
            const Shape = iconOfItem[kind]
            const took = formatDuration(endSeconds - startSeconds)
            return (
              <li key={id} className={classes.row}>
                {group !== null && <span className={classes.group}>{group}</span>}
                <button type="button" className={classes.label} onClick={() => onOpen?.(id)}>
                  <Shape size={14} stroke={1.7} aria-hidden />
                  <span>{nameOf(id)}</span>
                  {critical && (
                    <IconRoute size={13} color="var(--accent)" aria-label="on the critical path" />
                  )}
                </button>
                <span className={classes.track}>
                  {slackSeconds > 0 && (
                    <span
                      className={classes.slack}
                      style={{ left: place(endSeconds), width: place(slackSeconds) }}
                    />
                  )}
                  <span
                    className={classes.bar}
                    data-critical={critical || undefined}
                    style={{ left: place(startSeconds), width: place(endSeconds - startSeconds) }}
                    title={`${clockOf(startSeconds)} to ${clockOf(endSeconds)}, ${took}`}
                  />
                  {plan.targetRtoSeconds !== null && (
                    <span className={classes.target} style={{ left: place(plan.targetRtoSeconds) }} />
                  )}
                </span>
                <span className={classes.took}>
                  {clockOf(startSeconds)} · {took}
                </span>
              </li>
            )
          },
        )}
      </ol>
    </div>
  )
}
