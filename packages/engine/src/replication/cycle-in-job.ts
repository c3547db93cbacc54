// A cycle that a job runs itself, as the newest owner of the replica: before a planned failover, after a reprotect.
import { formatBytes } from '@understudy/base/bytes'
import type { Protection } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { EngineParts } from '../engine-parts.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import type { Replica } from '../ports/replica-store.ts'
import type { CycleSummary } from '../ports/stores.ts'
import { withWriter } from '../recovery-points/with-replica.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { type CycleOutcome, type CycleRequest, runCycle } from './run-cycle.ts'

/** Where to replicate: the protection's own places, or those it will have after a reprotect. */
export type CyclePlaces = Pick<
  Protection,
  'id' | 'sourceSiteId' | 'sourceRef' | 'targetSiteId' | 'replicaId' | 'excludedDisks'
>

/** Repeatable. What lists show once a job has sealed a point. */
export async function keepSummary(
  parts: EngineParts,
  id: Protection['id'],
  what: { readonly replica: Replica; readonly point: RecoveryPoint; readonly summary: CycleSummary },
): Promise<void> {
  const { replica, point, summary } = what
  const { pointCount, storedBytes } = await replica.usage()
  await parts.stores.protections.updateSummary(id, {
    newestPoint: { id: point.id, instant: point.instant, consistency: point.consistency },
    pointCount,
    storedBytes,
    lastCycle: summary,
  })
}

/** Repeatable: a repetition only finds less to do. At full speed: somebody waits for it. */
export async function cycleInJob(parts: EngineParts, places: CyclePlaces, task: TaskScope): Promise<PointId> {
  return (await outcomeInJob(parts, places, task)).point.id
}

/** The same as the last cycle of a machine that is shut down at its point. */
export async function lastCycleInJob(
  parts: EngineParts,
  places: CyclePlaces,
  task: TaskScope,
  onSealed: (point: RecoveryPoint) => Promise<void>,
): Promise<CycleOutcome> {
  return await outcomeInJob(parts, places, task, { holdSeconds: parts.config.lastHoldSeconds, onSealed })
}

async function outcomeInJob(
  parts: EngineParts,
  places: CyclePlaces,
  task: TaskScope,
  last?: CycleRequest['last'],
): Promise<CycleOutcome> {
  const source = await sourceOf(parts, places.sourceSiteId)
  const { resyncReason } = await parts.stores.protections.notes(places.id)
  const where = { protectionId: places.id, siteId: places.targetSiteId, replicaId: places.replicaId }
  return await withWriter(parts, where, async (replica) => {
    const outcome = await runCycle({
      source,
      replica,
      ref: places.sourceRef,
      trackingId: trackingIdOf(places.id),
      excludedDisks: places.excludedDisks,
      resyncReason,
      consistency: last ? 'application' : 'crash',
      ...(last ? { last } : {}),
      limits: [],
      config: parts.config,
      ...(parts.farRequests ? { farRequests: parts.farRequests } : {}),
      time: { now: () => parts.clock.now(), sleep: parts.sleep },
      signal: task.signal,
      onPlan: async (plan) => {
        if (plan.kind !== 'delta') task.note(plan.reason.message)
      },
      onProgress: ({ doneBytes, totalBytes }) => task.progress({ doneBytes, totalBytes }),
    })
    const { point, summary } = outcome
    if (resyncReason) await parts.stores.protections.updateNotes(places.id, { resyncReason: null })
    await keepSummary(parts, places.id, { replica, point, summary })
    task.note(
      `${formatBytes(summary.changedBytes)} copied${summary.reason === null ? '' : ` (${summary.reason})`}`,
    )
    return outcome
  })
}
