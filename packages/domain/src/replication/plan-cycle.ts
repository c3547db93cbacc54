import type { PointId, RecoveryPoint } from '../recovery-points/recovery-point.ts'

export type CycleReason = { readonly code: string; readonly message: string }

export type CyclePlan =
  /** Nothing is in the replica yet: copy every disk. */
  | { readonly kind: 'seed'; readonly reason: CycleReason }
  /** Something is there, but what changed since is unknown: compare every block, copy what differs. */
  | { readonly kind: 'resync'; readonly base: PointId; readonly reason: CycleReason }
  | { readonly kind: 'delta'; readonly base: PointId; readonly since: string }

export type CycleFacts = {
  readonly newest: RecoveryPoint | null
  /** Someone asked for a resync (operator, damaged record, lost tracking), and why. */
  readonly resyncReason: CycleReason | null
}

/** Decides what the next cycle copies. Pure: the same facts always give the same plan. */
export function planCycle(facts: CycleFacts): CyclePlan {
  const { newest, resyncReason } = facts
  if (newest === null)
    return { kind: 'seed', reason: { code: 'cycle/first', message: 'First copy of the machine' } }
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
