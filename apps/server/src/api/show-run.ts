import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { Run as ShownRun } from '@understudy/contract/protection'
import { type Run, recoverySeconds } from '@understudy/domain/failover/failover'

/** One test or failover as the API shows it. */
export function showRun(run: Run, hasScreenshot: boolean): ShownRun {
  return {
    id: run.id,
    protectionId: run.protectionId,
    kind: run.kind,
    state: run.testState ?? (run.over ? 'over' : 'failedOver'),
    over: run.over,
    targetSiteId: run.targetSiteId,
    pointId: run.pointId,
    pointInstant: toIso(run.pointInstant),
    addresses: [...run.addresses],
    hydrated: Math.min(1, Math.max(0, run.hydrated)),
    failure: run.failure,
    hasScreenshot,
    startedAt: toIso(run.startedAt),
    answeredAt: toIsoOrNull(run.answeredAt),
    endedAt: toIsoOrNull(run.endedAt),
    recoverySeconds: recoverySeconds(run),
    waitedSeconds: run.waitedSeconds,
    commitDeadline: toIsoOrNull(run.commitDeadline),
  }
}
