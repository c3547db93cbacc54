// The last point of a machine that was shut down: nothing can change any more, so nothing is lost.
import { formatBytes } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { Protection } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { type CyclePlan, planFirst } from '@understudy/domain/replication/plan-cycle'
import type { EngineParts } from '../engine-parts.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import type { Replica } from '../ports/replica-store.ts'
import type { DiskFingerprint, StoppedDisks } from '../ports/source-platform.ts'
import { whereIs, withWriter } from '../recovery-points/with-replica.ts'
import { copyDisks } from '../replication/run-cycle.ts'
import { sourceOf } from '../sites/platform-of.ts'

export type FinalPoint = {
  readonly pointId: PointId
  readonly instant: number
  readonly fingerprints: readonly DiskFingerprint[]
}

export type MachineOff = {
  readonly at: Instant
  /** The guest shut down by itself when we asked. False: it was found off, perhaps after a crash. */
  readonly orderly: boolean
}

/**
 * Seals what the machine's disks are now. Refuses (by the driver) a machine that is not off. Repeatable: a final point
 * that is sealed already is found again.
 */
export async function sealFinalPoint(
  parts: EngineParts,
  protection: Protection,
  off: MachineOff,
  task: TaskScope,
): Promise<FinalPoint> {
  const source = await sourceOf(parts, protection.sourceSiteId)
  const where = { protectionId: protection.id, ...whereIs(protection) }
  return await withWriter(parts, where, async (replica) => {
    const newest = replica.points().at(-1) ?? null
    const stopped = await source.openStoppedDisks(
      protection.sourceRef,
      {
        excludedDisks: protection.excludedDisks,
        trackingId: trackingIdOf(protection.id),
        since: newest?.checkpoint ?? null,
      },
      task.signal,
    )
    try {
      refuseMissingDisk(protection, newest, stopped)
      // The very instant and nothing later: clocks are set back and differ between processes, and a point that only seems to be
      // younger than the shut-down lacks what the guest wrote last.
      const point =
        newest && newest.instant === off.at
          ? newest
          : await copyFinal(parts, { replica, newest, stopped, off, task })
      const { pointCount, storedBytes } = await replica.usage()
      await parts.stores.protections.updateSummary(protection.id, {
        newestPoint: { id: point.id, instant: point.instant, consistency: point.consistency },
        ...(point.consistency === 'application'
          ? { newestApplicationPoint: { id: point.id, instant: point.instant } }
          : {}),
        pointCount,
        storedBytes,
      })
      return { pointId: point.id, instant: point.instant, fingerprints: stopped.fingerprints }
    } finally {
      await stopped.close()
    }
  })
}

/** A point without a disk that the one before has would boot a machine without it, and be called lossless. */
function refuseMissingDisk(
  { name, excludedDisks }: Protection,
  newest: RecoveryPoint | null,
  stopped: StoppedDisks,
): void {
  const missing = newest?.disks.find(
    ({ key }) => !excludedDisks.includes(key) && !stopped.disks.some((disk) => disk.key === key),
  )
  if (missing === undefined) return
  throw new Refusal({
    code: 'failover/disk-missing',
    message: `Disk ${missing.key} of ${name} is in its newest recovery point, but cannot be read now that the machine is off`,
    remedy: 'Give the machine this disk in its definition, or exclude the disk; then fail over again.',
  })
}

type FinalCopy = {
  readonly replica: Replica
  readonly newest: RecoveryPoint | null
  readonly stopped: StoppedDisks
  readonly off: MachineOff
  readonly task: TaskScope
}

async function copyFinal(parts: EngineParts, copy: FinalCopy): Promise<RecoveryPoint> {
  const { replica, newest, stopped, off, task } = copy
  const plan = planFinal(newest, stopped)
  const disks = stopped.disks.map(({ key, bytes }) => ({ key, bytes }))
  const writer = await replica.beginPoint((newest ?? replica.unfinished())?.id ?? null, disks)
  try {
    await copyDisks({
      replica,
      writer,
      disks: stopped.disks,
      plan,
      limits: [],
      config: parts.config,
      signal: task.signal,
      onProgress: ({ doneBytes, totalBytes }) => task.progress({ doneBytes, totalBytes }),
    })
    task.signal.throwIfAborted()
    const point = await writer.seal({
      instant: off.at,
      // A guest that shuts down closes its files itself; one that was found off may have lost its power.
      consistency: off.orderly ? 'application' : 'crash',
      consistencyNote: off.orderly ? null : 'The machine was found off',
      // The older mark still covers everything since: that is more than needed and never too little.
      checkpoint: stopped.sinceKnown ? (newest?.checkpoint ?? null) : null,
      cycle: plan.kind,
    })
    task.note(
      `${formatBytes(point.changedBytes)} copied${plan.kind === 'resync' ? ` (${plan.reason.message})` : ''}; nothing is lost`,
    )
    return point
  } catch (error) {
    await writer.abort()
    throw error
  }
}

function planFinal(newest: RecoveryPoint | null, stopped: StoppedDisks): CyclePlan {
  if (newest === null) return planFirst(null)
  if (stopped.sinceKnown && newest.checkpoint !== null)
    return { kind: 'delta', base: newest.id, since: newest.checkpoint }
  return {
    kind: 'resync',
    base: newest.id,
    reason: {
      code: 'cycle/tracking-ended',
      message: 'What changed before the shut-down is not known; everything was compared',
    },
  }
}
