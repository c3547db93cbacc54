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

/** One run that has brought machines up, and the end from which each time counts. */
export type TimedRun = { readonly members: readonly TimedMember[]; readonly endedAt: Instant }

export type PlanTimer = {
  /** The earliest of its machines; none of them before its time has passed since the plan was done. Of plans that share machines: the latest. */
  readonly deadline: Instant
  /** `undecided`: their policies say different things, or not what was begun already, and half of an application must not be rolled back. */
  readonly action: SettlingAction | 'undecided'
}

/** What settles a failover, by hand or by a timer. */
export type SettlingAction = 'commit' | 'roll-back'

/**
 * Of one plan, or of several that share machines. Null: none of them has a timer. The first machine of a plan may have been up for long when the
 * last one is: nobody can decide about the application before that, so each time begins with the end of the plan. `begun`: what was done to any
 * of the machines already; only the same may be done to the rest. Pure.
 */
export function planTimerOf(
  runs: readonly TimedRun[],
  begun: ReadonlySet<SettlingAction> = new Set(),
): PlanTimer | null {
  const deadlines = runs.map(earliestOf).filter((each) => each !== null)
  if (deadlines.length === 0) return null
  const actions = runs.flatMap(({ members }) => members.map((member) => member.action))
  const [action = 'none', ...others] = new Set([...actions, ...begun])
  return {
    deadline: Math.max(...deadlines),
    action: action === 'none' || others.length > 0 ? 'undecided' : action,
  }
}

function earliestOf({ members, endedAt }: TimedRun): Instant | null {
  const deadlines = members.flatMap(({ deadline, timeoutSeconds, action }) =>
    deadline === null || action === 'none' ? [] : [Math.max(deadline, endedAt + timeoutSeconds * 1000)],
  )
  return deadlines.length === 0 ? null : Math.min(...deadlines)
}
