// A handle on a replica. Several handles of one process share a core; at most one of them is the writer.
import { setTimeout as sleep } from 'node:timers/promises'
import { planRetention } from '@understudy/domain/recovery-points/plan-retention'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { unfinishedOf, wholeOf } from '@understudy/domain/recovery-points/unfinished'
import { baseNotNewest, pointNotFound, pointOpen, readOnly } from '@understudy/engine/ports/replica-failures'
import type { OpenedPoint, PointWriter, Replica } from '@understudy/engine/ports/replica-store'
import { difference } from './difference.ts'
import { onDisk, pointLeaving } from './failures.ts'
import { Maintenance } from './maintenance.ts'
import { openPoint } from './opened-point.ts'
import { addHold, removeHold, removeMarks, saveAnnotations } from './point-marks.ts'
import { beginPoint } from './point-writer.ts'
import { pointIdOf, type ReplicaCore, type Writer } from './replica-core.ts'
import { storedBytesOf } from './replica-state.ts'
import { scrub } from './scrub.ts'

export type HandleDeps = {
  readonly core: ReplicaCore
  readonly writer: Writer | null
  /** Counts what uses the core: this handle and every open point. */
  addUser(): void
  removeUser(): Promise<void>
}

export function openedReplica(deps: HandleDeps): Replica {
  const { core, writer } = deps
  const { fs } = core.deps
  const maintenance = writer === null ? null : new Maintenance(core, writer)
  const checkWriter = (): Writer => {
    if (writer === null) throw readOnly(core.machineName)
    return core.checkWriter(writer)
  }
  /** Also points that a writer in another process has sealed since. */
  const findFresh = async (id: PointId): Promise<void> => {
    if (!core.hasPoint(id)) await core.refresh()
    core.findPoint(id)
  }
  let current: PointWriter | null = null
  let closing: Promise<void> | null = null

  return {
    id: core.deps.facts.id,
    points: () => wholeOf(core.everyPoint()),
    unfinished: () => unfinishedOf(core.everyPoint()),

    async beginPoint(base, disks) {
      const active = checkWriter()
      if (active.pointOpen) throw pointOpen(core.machineName)
      const newest = core.state.points.at(-1)
      if (base !== (newest === undefined ? null : pointIdOf(newest.sequence)))
        throw baseNotNewest(core.machineName, base)
      active.pointOpen = true
      try {
        await core.checkEpoch(active)
        const point = await beginPoint(core, active, disks)
        current = point
        return {
          write: (disk, offset, data, signal) => point.write(disk, offset, data, signal),
          zero: (disk, offset, bytes, signal) => point.zero(disk, offset, bytes, signal),
          abort: () => point.abort(),
          async seal(facts) {
            const sealed = await point.seal(facts)
            await maintenance?.afterSeal()
            return sealed
          },
        }
      } catch (error) {
        active.pointOpen = false
        throw error
      }
    },

    async openPoint(id): Promise<OpenedPoint> {
      await onDisk(() => findFresh(id))
      deps.addUser()
      try {
        return await onDisk(() => openPoint(core, id, deps.removeUser))
      } catch (error) {
        await deps.removeUser()
        throw error
      }
    },

    async *difference(disk, from, to, signal) {
      await onDisk(() => findFresh(to))
      for (const extent of await onDisk(() => difference(core, disk, { from, to }))) {
        signal?.throwIfAborted()
        yield extent
      }
    },

    async annotate(id, annotations) {
      await onDisk(() => findFresh(id))
      const all = { ...core.recoveryPoint(core.findPoint(id)).annotations, ...annotations }
      await onDisk(() => saveAnnotations(fs, core.folder('annotations'), id, all))
      await core.refreshMarks()
      return core.recoveryPoint(core.findPoint(id))
    },

    // The hold is durable before we look whether the point stays; `expire` marks it as leaving before it looks for holds once
    // more. So at least one of the two notices the other, in whatever processes they run.
    async hold(id, holder) {
      const isNew = await onDisk(() => addHold(fs, core.folder('holds'), id, holder))
      const decided = await untilDecided(core, id)
      if (decided && core.hasPoint(id)) return
      // One that was granted earlier is not taken back because nobody decides.
      if (decided || isNew) await onDisk(() => removeHold(fs, core.folder('holds'), id, holder))
      throw decided ? pointNotFound(id) : pointLeaving(id)
    },

    async unhold(id, holder) {
      await onDisk(() => removeHold(fs, core.folder('holds'), id, holder))
      await core.refreshMarks()
    },

    async expire(tiers, now, signal, shares) {
      signal?.throwIfAborted()
      const active = checkWriter()
      await core.refreshMarks()
      const facts = { points: core.everyPoint(), tiers, now, ...(shares ? { shares } : {}) }
      const removed = await removePoints(core, active, planRetention(facts))
      await maintenance?.run(signal)
      return { removed }
    },

    async usage() {
      const points = wholeOf(core.everyPoint())
      return {
        storedBytes: storedBytesOf(core.state),
        pointCount: points.length,
        oldestInstant: points[0]?.instant ?? null,
        newestInstant: points.at(-1)?.instant ?? null,
        freeBytes: await onDisk(() => fs.freeBytes(core.deps.folder)),
      }
    },

    scrub: (options) => scrub(core, options),

    close() {
      closing ??= (async () => {
        await current?.abort()
        await maintenance?.close()
        if (writer !== null && core.writer === writer && !writer.pointOpen) core.releaseWriter(writer)
        await deps.removeUser()
      })()
      return closing
    },
  }
}

const DECISION_LOOKS = 100
const DECISION_PAUSE_MILLISECONDS = 20

/** Whether it is known that the point stays or goes. An expiry decides within a moment, unless its process was killed or stands still. */
async function untilDecided(core: ReplicaCore, id: PointId): Promise<boolean> {
  for (let looks = 0; looks < DECISION_LOOKS; looks += 1) {
    await core.refresh()
    if (!core.isLeaving(id)) return true
    await sleep(DECISION_PAUSE_MILLISECONDS)
  }
  return false
}

/**
 * Returns how many are gone. In two steps: a point that somebody holds at this very moment is there until it is known that nobody
 * does, so that neither a kill nor a merge in between can cost it.
 */
async function removePoints(core: ReplicaCore, writer: Writer, victims: readonly PointId[]): Promise<number> {
  const wanted = new Set(victims)
  const sequences = core.state.points
    .map(({ sequence }) => sequence)
    .filter((sequence) => wanted.has(pointIdOf(sequence)) && !core.isHeld(pointIdOf(sequence)))
  // What an expiry that was cut short has left undecided is decided now.
  if (sequences.length === 0 && core.state.leaving.length === 0) return 0
  await core.commit(writer, () => ({ kind: 'leave', sequences }))
  await core.refreshMarks()
  const gone = new Set<number>()
  await core.commit(writer, () => {
    for (const sequence of sequences) if (!core.isHeld(pointIdOf(sequence))) gone.add(sequence)
    return { kind: 'remove', sequences: [...gone] }
  })
  await removeMarksOf(core, gone)
  return gone.size
}

async function removeMarksOf(core: ReplicaCore, sequences: ReadonlySet<number>): Promise<void> {
  const folders = { holds: core.folder('holds'), annotations: core.folder('annotations') }
  const ids = new Set([...sequences].map(pointIdOf))
  await onDisk(() => removeMarks(core.deps.fs, folders, ids))
}
