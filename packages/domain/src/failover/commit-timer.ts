import type { Instant } from '@understudy/base/instant'

export type CommitTimerFacts = {
  readonly deadline: Instant | null
  readonly warnSeconds: number
  readonly warned: boolean
  readonly now: Instant
}

/** What the timer of an uncommitted failover does now: warn once before the deadline, then act. Pure. */
export function checkCommitTimer(facts: CommitTimerFacts): 'wait' | 'warn' | 'act' {
  const { deadline, warnSeconds, warned, now } = facts
  if (deadline === null) return 'wait'
  if (now >= deadline) return 'act'
  return !warned && now >= deadline - warnSeconds * 1000 ? 'warn' : 'wait'
}
