import type { PointId, RecoveryPoint } from '../recovery-points/recovery-point.ts'

export type CycleReason = { readonly code: string; readonly message: string }

export type CyclePlan =
  /** No point is in the replica yet: copy every disk. `since`: where a first copy was interrupted; null: from the beginning. */
  | { readonly kind: 'seed'; readonly reason: CycleReason; readonly since: string | null }
  /** Something is there, but what changed since is unknown: compare every block, copy what differs. */
  | { readonly kind: 'resync'; readonly base: PointId; readonly reason: CycleReason }
  | { readonly kind: 'delta'; readonly base: PointId; readonly since: string }

export type CycleFacts = {
  readonly newest: RecoveryPoint | null
  /** The source's mark at which a first copy was interrupted. Null: there is none that could go on. */
  readonly interruptedAt: string | null
  /** Someone asked for a resync (operator, damaged record, lost tracking), and why. */
  readonly resyncReason: CycleReason | null
}

/** Decides what the next cycle copies. Pure: the same facts always give the same plan. */
export function planCycle(facts: CycleFacts): CyclePlan {
  const { newest, resyncReason, interruptedAt } = facts
  // Where nothing is whole there is nothing to compare: who asks for that wants it to go on. What is damaged is not gone on with.
  if (newest === null) return planFirst(resyncReason?.code === 'replica/damaged' ? null : interruptedAt)
  if (resyncReason) return { kind: 'resync', base: newest.id, reason: resyncReason }
  // Without the source's own mark a missing extent would be silent data loss. Compare everything.
  if (newest.checkpoint === null)
    return {
      kind: 'resync',
      base: newest.id,
      reason: { code: 'cycle/no-checkpoint', message: 'The newest point names no change-tracking mark' },
    }
  return { kind: 'delta', base: newest.id, since: newest.checkpoint }
}

/** `since`: see the plan. */
export const planFirst = (since: string | null): CyclePlan => ({
  kind: 'seed',
  since,
  reason:
    since === null
      ? { code: 'cycle/first', message: 'First copy of the machine' }
      : { code: 'cycle/first-goes-on', message: 'First copy of the machine, behind what was copied before' },
})
