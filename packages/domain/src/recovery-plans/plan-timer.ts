// Machines that one plan has failed over are decided about together: one timer for all of them, and one thing that it does.
import type { Instant } from '@understudy/base/instant'

/** What a machine's policy does with a failover that nobody has committed; `none`: nothing, ever. */
export type TimerAction = 'commit' | 'roll-back' | 'none'

export type TimedMember = {
  /** Of its own boot; null: its policy has no timer. */
  readonly deadline: Instant | null
  readonly timeoutSeconds: number
  readonly action: TimerAction
}

export type PlanTimer = {
  /** The earliest of its machines; none of them before its time has passed since the plan was done. */
  readonly deadline: Instant
  /** `undecided`: their policies say different things, and half of an application must not be rolled back. */
  readonly action: 'commit' | 'roll-back' | 'undecided'
}

/**
 * Null: none of them has a timer. The first machine of a plan may have been up for long when the last one is: nobody can decide about the
 * application before that, so each time begins with the end of the plan. Pure.
 */
export function planTimerOf(members: readonly TimedMember[], endedAt: Instant): PlanTimer | null {
  const deadlines = members.flatMap(({ deadline, timeoutSeconds, action }) =>
    deadline === null || action === 'none' ? [] : [Math.max(deadline, endedAt + timeoutSeconds * 1000)],
  )
  if (deadlines.length === 0) return null
  const [action = 'none', ...others] = new Set(members.map((member) => member.action))
  return {
    deadline: Math.min(...deadlines),
    action: action === 'none' || others.length > 0 ? 'undecided' : action,
  }
}
