// Dropping points that the policy does not keep, behind and bounded: one protection after the other.
import { toFailureReport } from '@understudy/base/errors'
import { sharesOf } from '@understudy/domain/recovery-points/common-cuts'
import { historyPresent } from '@understudy/domain/recovery-points/history-present'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { type Slot, subjectOf } from './slot.ts'

/** After a failure retention of this protection waits this many times its period. */
const FAILURE_PAUSE = 5

/** The points of those other machines of its group that can be read, each machine's from old to new. */
export type PointsOfMates = (signal: AbortSignal) => Promise<readonly (readonly RecoveryPoint[])[]>

/** Expires once and brings the summary's counts up to date. Never throws: replication must not stop because of it. */
export async function applyRetention(
  parts: EngineParts,
  slot: Slot,
  signal: AbortSignal,
  pointsOfMates: PointsOfMates,
): Promise<void> {
  const { replica } = slot
  if (!replica) return
  const period = parts.config.retentionEverySeconds * 1000
  slot.retentionDueAt = parts.clock.now() + period
  try {
    const now = historyPresent({ points: replica.points(), policy: slot.policy, now: parts.clock.now() })
    const shares = sharesOf([replica.points(), ...(await pointsOfMates(signal))])
    const { removed } = await replica.expire(slot.policy.retention, now, signal, shares)
    const usage = await replica.usage()
    const application = replica.points().findLast((point) => point.consistency === 'application')
    await parts.stores.protections.updateSummary(slot.id, {
      pointCount: usage.pointCount,
      storedBytes: usage.storedBytes,
      newestApplicationPoint: application ? { id: application.id, instant: application.instant } : null,
    })
    if (removed > 0) parts.live.changed('protections', slot.id)
    await resolveAlert(parts, 'protection/retention', subjectOf(slot.protection))
  } catch (error) {
    if (signal.aborted || slot.replica !== replica) return
    slot.retentionDueAt = parts.clock.now() + FAILURE_PAUSE * period
    await tellFailure(parts, slot, error)
  }
}

async function tellFailure(parts: EngineParts, slot: Slot, error: unknown): Promise<void> {
  const failure = toFailureReport(error)
  parts.log('warn', 'retention failed', { protection: slot.id, error })
  try {
    await raiseAlert(parts, {
      severity: 'warning',
      code: 'protection/retention',
      message: `Old recovery points of ${slot.protection.name} could not be dropped: ${failure.message}`,
      remedy: failure.remedy,
      subject: subjectOf(slot.protection),
      facts: { cause: failure.code },
    })
  } catch (storeError) {
    // Without the database there is nobody to tell but the log; the next round finds the same failure again.
    parts.log('error', 'an alert could not be raised', { protection: slot.id, error: storeError })
  }
}
