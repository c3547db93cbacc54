// The disks of an original, which is off, brought to a recovery point in place. What they equal is noted before and after, so that the
// next time only what differs from there is written.
import { formatBytes } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import type { Replica } from '../ports/replica-store.ts'
import type { RestoreDisk } from '../ports/target-platform.ts'
import { whereIs, withReplica } from '../recovery-points/with-replica.ts'
import { originalsOf } from '../sites/platform-of.ts'
import type { RunPlan } from './boot-run.ts'
import { COMMON_POINT_HOLDER } from './copy-common-point.ts'
import { fingerprintsOf } from './remove-replica.ts'

/** Null: proven unmodified. Else why that is not so. */
export async function whyModified(
  context: EngineContext,
  protection: Protection,
  ref: MachineRef,
): Promise<string | null> {
  const { originalFingerprints } = await context.parts.stores.protections.notes(protection.id)
  if (originalFingerprints.length === 0) return 'what was on its disks when it was last off is not known'
  const now = new Map((await fingerprintsOf(context, protection, ref)).map(({ key, value }) => [key, value]))
  const changed = originalFingerprints.filter(({ key, value }) => now.get(key) !== value)
  return changed.length === 0
    ? null
    : `written to since it was last off: ${changed.map(({ key }) => key).join(', ')}`
}

type Writing = {
  readonly ref: MachineRef
  /** Also when something has been written to it that nobody has copied. */
  readonly overwrite: boolean
  readonly runId: RunId
  readonly replica: Replica
  readonly pointId: PointId
  readonly stillOurs: () => Promise<void>
  readonly task: TaskScope
}

/** Repeatable: what an earlier life has begun is compared whole. */
export async function writeOriginal(
  context: EngineContext,
  protection: Protection,
  what: Writing,
): Promise<{ readonly writtenBytes: number }> {
  const { parts } = context
  const { ref, replica, task } = what
  const notes = await parts.stores.protections.notes(protection.id)
  const fingerprints = notes.originalFingerprints
  // An earlier life of this has written to the disks already: they equal nothing that is known.
  const begunBefore = fingerprints.length === 0
  const equals = await whatItEquals(context, protection, ref)
  await what.stillOurs()
  // From here on its content is what the writing has got to, which no note describes until it is done.
  await parts.stores.protections.updateNotes(protection.id, {
    originalFingerprints: [],
    originalPoint: null,
  })
  const opened = await replica.openPoint(what.pointId)
  try {
    const disks = opened.disks.map(
      ({ key, bytes, reader }): RestoreDisk => ({
        key,
        bytes,
        reader,
        differs: equals === null ? null : replica.difference(key, equals, opened.point.id, task.signal),
      }),
    )
    const originals = await originalsOf(parts, protection.targetSiteId)
    const options = {
      runId: what.runId,
      fingerprints,
      overwriteModified: what.overwrite || begunBefore,
      onProgress: task.progress,
    }
    await what.stillOurs()
    return await originals.restoreInto(ref, disks, options, task.signal)
  } finally {
    await opened.close()
  }
}

/** The point of the replica that its disks are equal to now. Null: none that is known. */
async function whatItEquals(
  context: EngineContext,
  protection: Protection,
  ref: MachineRef,
): Promise<PointId | null> {
  const { originalPoint } = await context.parts.stores.protections.notes(protection.id)
  if (originalPoint?.replicaId !== protection.replicaId) return null
  return (await whyModified(context, protection, ref)) === null ? (originalPoint.pointId as PointId) : null
}

/** Of a copy that took hours the machine has written something since; after some rounds the rest is what a shut-down waits for. */
const MOST_ROUNDS = 3
const WORTH_A_ROUND_MILLISECONDS = 60_000

/** While replication goes on beside it. Repeatable. */
export async function bringUpToDate(
  context: EngineContext,
  protectionId: ProtectionId,
  original: { readonly ref: MachineRef; readonly overwrite: boolean; readonly plan: RunPlan },
  task: TaskScope,
): Promise<void> {
  const { parts } = context
  let writtenBytes = 0
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const startedAt = parts.clock.now()
    const protection = await loadReplicating(context, protectionId)
    const written = await withReplica(parts, whereIs(protection), (replica) =>
      writeNewest(context, protection, { ...original, replica, task }),
    )
    if (written === null) break
    writtenBytes += written
    if (parts.clock.now() - startedAt < WORTH_A_ROUND_MILLISECONDS) break
  }
  task.note(`${formatBytes(writtenBytes)} written while the machine serves`)
}

/** Null: it equals the newest point already. */
async function writeNewest(
  context: EngineContext,
  protection: Protection,
  what: Pick<Writing, 'ref' | 'overwrite' | 'replica' | 'task'> & { readonly plan: RunPlan },
): Promise<number | null> {
  const { parts } = context
  const { replica, ref } = what
  const newest = replica.points()[0]
  if (newest === undefined || (await whatItEquals(context, protection, ref)) === newest.id) return null
  // Retention may run at this very moment, and what the original equals is needed until it is brought to something newer.
  await replica.hold(newest.id, COMMON_POINT_HOLDER)
  const stillOurs = async (): Promise<void> => void (await loadReplicating(context, protection.id))
  const { writtenBytes } = await writeOriginal(context, protection, {
    ...what,
    runId: what.plan.runId,
    pointId: newest.id,
    stillOurs,
  })
  await parts.stores.protections.updateNotes(protection.id, {
    originalFingerprints: await fingerprintsOf(context, protection, ref),
    originalPoint: { replicaId: protection.replicaId, pointId: newest.id },
  })
  for (const { id, heldBy } of replica.points())
    if (id !== newest.id && heldBy.includes(COMMON_POINT_HOLDER))
      await replica.unhold(id, COMMON_POINT_HOLDER)
  return writtenBytes
}

/** Nobody has claimed it yet: what this writes to may be the machine that serves by now. */
async function loadReplicating(context: EngineContext, id: ProtectionId): Promise<Protection> {
  const protection = await loadProtection(context.parts, id)
  const { state, direction } = protection
  if (direction === 'reverse' && (state === 'protected' || state === 'resyncing')) return protection
  throw new Refusal({
    code: 'protection/state-changed',
    message: `${protection.name} is ${state} now`,
    remedy: 'Look at the protection and decide again.',
  })
}
