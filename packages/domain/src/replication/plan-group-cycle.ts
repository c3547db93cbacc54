import type { Instant } from '@understudy/base/instant'

/** A machine of a group that replicates, as its mover sees it. */
export type GroupMember = {
  /** Nothing but changes since its newest point is to be copied, and no trouble is known. */
  readonly inStep: boolean
  /** When the cycle that it is in the middle of began; null: it is idle. */
  readonly busySince: Instant | null
  /** When its next cycle is due. */
  readonly dueAt: Instant
}

export type GroupCycleFacts<Member extends GroupMember> = {
  readonly members: readonly Member[]
  readonly intervalSeconds: number
  readonly lagTargetSeconds: number
}

export type GroupCyclePlan<Member> = {
  /** Infinite: nothing can be opened before somebody has finished. */
  readonly dueAt: Instant
  readonly together: readonly Member[]
}

/**
 * Which machines of a group are opened together next, and when. Those that seed, resynchronise or are in trouble go alone and are
 * waited for by nobody. One that still copies is waited for, but not until the lag of the others goes beyond their target: after half
 * of it they go on without. Pure.
 */
export function planGroupCycle<Member extends GroupMember>(
  facts: GroupCycleFacts<Member>,
): GroupCyclePlan<Member> {
  const { members, intervalSeconds, lagTargetSeconds } = facts
  const inStep = members.filter((member) => member.inStep)
  const together = inStep.filter(({ busySince }) => busySince === null)
  if (together.length === 0) return { dueAt: Number.POSITIVE_INFINITY, together }
  const patienceMilliseconds = Math.max(intervalSeconds, lagTargetSeconds / 2) * 1000
  const waits = inStep.flatMap(({ busySince }) =>
    busySince === null ? [] : busySince + patienceMilliseconds,
  )
  return { dueAt: Math.max(Math.min(...together.map(({ dueAt }) => dueAt)), ...waits), together }
}
