// The point from which the machine booted, copied to where it came from: both replicas then start from the same bytes.
import { copyExtents } from '@understudy/block/copy-extents'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import type { Protection } from '@understudy/domain/protection/protection'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { EngineContext } from '../engine-context.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import type { OpenedDisk, Replica } from '../ports/replica-store.ts'
import { withReplica, withWriter } from '../recovery-points/with-replica.ts'
import { sinkOf, sumBytes } from '../replication/run-cycle.ts'
import { replicasOf } from '../sites/platform-of.ts'
import type { TurnPlan } from './plan-turn.ts'

/** Holds the common point in the reverse replica for as long as a fail-back may need it. */
export const COMMON_POINT_HOLDER = 'common-point'

/** Repeatable. */
export async function createReverseReplica(
  context: EngineContext,
  protection: Protection,
  plan: TurnPlan,
): Promise<void> {
  const { parts } = context
  const policy = await parts.stores.policies.find(protection.policyId)
  const replicas = await replicasOf(parts, protection.sourceSiteId)
  await replicas.createReplica({
    id: plan.replicaId,
    machineName: protection.name,
    compress: policy?.compress ?? true,
    encrypt: policy?.encrypt ?? false,
  })
}

/** Repeatable: a common point that is sealed already is found again. */
export async function copyCommonPoint(
  context: EngineContext,
  protection: Protection,
  plan: TurnPlan,
  task: TaskScope,
): Promise<PointId> {
  const { parts } = context
  const { runningCheckpoint } = await parts.stores.protections.notes(protection.id)
  const former = { siteId: protection.targetSiteId, replicaId: plan.formerReplicaId }
  const reverse = { protectionId: protection.id, siteId: protection.sourceSiteId, replicaId: plan.replicaId }
  return await withReplica(parts, former, (from) =>
    withWriter(parts, reverse, async (to) => {
      const known = to.points()[0]
      const point =
        known ?? (await copyPoint(context, { from, to, plan, checkpoint: runningCheckpoint, task }))
      // Where the original goes, nobody comes home to it: held for ever it would only keep its room.
      if (plan.originalIsCommonPoint && plan.originalRef !== null)
        await to.hold(point.id, COMMON_POINT_HOLDER)
      return point.id
    }),
  )
}

type PointCopy = {
  readonly from: Replica
  readonly to: Replica
  readonly plan: TurnPlan
  readonly checkpoint: string | null
  readonly task: TaskScope
}

async function copyPoint(context: EngineContext, copy: PointCopy): Promise<RecoveryPoint> {
  const { to, checkpoint, task } = copy
  const opened = await copy.from.openPoint(copy.plan.pointId)
  const { instant, consistency, consistencyNote } = opened.point
  try {
    const writer = await to.beginPoint(null, opened.point.disks)
    try {
      const totalBytes = sumBytes(opened.disks)
      let finishedBytes = 0
      for (const disk of opened.disks) {
        await copyDisk(context, disk, sinkOf(writer, disk.key), {
          signal: task.signal,
          onDone: (bytes) => task.progress({ doneBytes: finishedBytes + bytes, totalBytes }),
        })
        finishedBytes += disk.bytes
      }
      // The running machine's disks equalled the point at this very mark: what follows is a delta.
      return await writer.seal({ instant, consistency, consistencyNote, checkpoint, cycle: 'seed' })
    } catch (error) {
      await writer.abort()
      throw error
    }
  } finally {
    await opened.close()
  }
}

async function copyDisk(
  { parts }: EngineContext,
  { reader, bytes }: OpenedDisk,
  to: ReturnType<typeof sinkOf>,
  how: { readonly signal: AbortSignal; readonly onDone: (bytes: number) => void },
): Promise<void> {
  await copyExtents({
    from: reader,
    to,
    extents: mapOf(reader, bytes, how.signal),
    requestBytes: parts.config.requestBytes,
    inFlight: parts.config.requestsInFlight,
    signal: how.signal,
    onProgress: (totals) => how.onDone(totals.dataBytes + totals.zeroBytes),
  })
}

const mapOf = (
  reader: BlockReader,
  bytes: number,
  signal: AbortSignal,
): AsyncIterable<MappedExtent> | Iterable<MappedExtent> =>
  reader.map?.({ offset: 0, bytes }, signal) ?? [{ offset: 0, bytes, kind: 'data' }]
