import { toIso } from '@understudy/base/instant'
import type { RecoveryPoint as ShownPoint } from '@understudy/contract/recovery-point'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'

/** A recovery point as the API shows it. */
export function showPoint(point: RecoveryPoint): ShownPoint {
  const { verifiedAt, suspicious, note, pinned } = point.annotations
  return {
    id: point.id,
    instant: toIso(point.instant),
    sealedAt: toIso(point.sealedAt),
    consistency: point.consistency,
    consistencyNote: point.consistencyNote,
    cycle: point.cycle,
    changedBytes: point.changedBytes,
    storedBytes: point.storedBytes,
    verifiedAt: verifiedAt === undefined ? null : toIso(verifiedAt),
    suspicious: suspicious ?? null,
    note: note ?? null,
    pinned: pinned ?? false,
    held: point.heldBy.length > 0,
    group: point.group ? { ...point.group } : null,
  }
}
