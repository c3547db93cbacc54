// A handle on a replica.
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { unfinishedOf, wholeOf } from '@understudy/domain/recovery-points/unfinished'
import { baseNotNewest, pointNotFound, pointOpen, readOnly } from '@understudy/engine/ports/replica-failures'
import type { OpenedPoint, PointWriter, Replica, ReplicaUsage } from '@understudy/engine/ports/replica-store'
import { contentSnapshot } from './blob-names.ts'
import { difference } from './difference.ts'
import { ACCOUNT_BYTES } from './limits.ts'
import {
  type Marks,
  markPoint,
  pointIdOf,
  type StoredDisk,
  type StoredPoint,
  sequenceOf,
  toRecoveryPoint,
} from './manifests.ts'
import type { OpenPoints } from './open-points.ts'
import { openDisk } from './point-reader.ts'
import { beginPoint } from './point-writer.ts'
import { expirePoints } from './remove-points.ts'
import type { ReplicaState } from './replica-state.ts'
import { scrub } from './scrub.ts'
import { virtualBytes } from './vhd-footer.ts'

export type HandleDeps = {
  readonly state: ReplicaState
  readonly mayWrite: boolean
  readonly openPoints: OpenPoints
}

export function openedReplica({ state, mayWrite, openPoints }: HandleDeps): Replica {
  const { calls, id, limits } = state.deps
  const places = { calls, folder: state.folder, limits, pageDiff: state.deps.pageDiff }
  let current: PointWriter | null = null
  /** Pages of a snapshot never change, so they are counted once. */
  let counted: { readonly point: number; readonly bytes: number } | null = null

  const checkWriter = async (): Promise<void> => {
    if (!mayWrite) throw readOnly(state.machineName)
    await state.checkOwner()
  }
  const mark = async (point: PointId, change: (marks: Marks) => Marks): Promise<RecoveryPoint> => {
    const marked = await markPoint(calls, state.folder, await state.find(point), change)
    if (marked === null) {
      state.forgetPoint(sequenceOf(point))
      throw pointNotFound(point)
    }
    state.replacePoint(marked)
    return toRecoveryPoint(marked)
  }

  return {
    id,
    points: () => wholeOf(state.everyPoint()),
    unfinished: () => unfinishedOf(state.everyPoint()),

    async beginPoint(base, disks) {
      if (!mayWrite) throw readOnly(state.machineName)
      if (current !== null) throw pointOpen(state.machineName)
      // Taken at once: two that begin together must not both find it free.
      const place: PointWriter = { write: never, zero: never, seal: never, abort: async () => {} }
      current = place
      const ended = (): void => {
        current = null
      }
      try {
        await checkWriter()
        const newest = state.newest()
        if (base !== (newest === null ? null : pointIdOf(newest.manifest.sequence)))
          throw baseNotNewest(state.machineName, base)
        const writer = await beginPoint({ state, ended }, disks)
        current = writer
        return writer
      } catch (error) {
        ended()
        throw error
      }
    },

    async openPoint(point): Promise<OpenedPoint> {
      const stored = await state.find(point)
      const held = openPoints.keep(id, stored.manifest.sequence)
      const disks = stored.manifest.disks.map((disk) => ({
        key: disk.key,
        bytes: disk.bytes,
        reader: openDisk({ ...places, disk }),
      }))
      return { point: toRecoveryPoint(stored), disks, close: async () => held.release() }
    },

    async *difference(disk, from, to, signal) {
      const [first, second] = [await state.find(from), await state.find(to)]
      yield* difference(places, diskOf(first, disk), diskOf(second, disk), signal)
    },

    annotate: (point, annotations) =>
      mark(point, (marks) => ({ ...marks, annotations: { ...marks.annotations, ...annotations } })),

    async hold(point, holder) {
      await mark(point, (marks) =>
        marks.heldBy.includes(holder) ? marks : { ...marks, heldBy: [...marks.heldBy, holder] },
      )
    },

    async unhold(point, holder) {
      const release = (marks: Marks): Marks =>
        marks.heldBy.includes(holder)
          ? { ...marks, heldBy: marks.heldBy.filter((other) => other !== holder) }
          : marks
      // Releasing what is gone is done already.
      await mark(point, release).catch((error: unknown) => {
        if (!isPointGone(error)) throw error
      })
    },

    async expire(tiers, now, signal, shares) {
      signal?.throwIfAborted()
      await checkWriter()
      const isOpen = (sequence: number): boolean => openPoints.has(id, sequence)
      const removed = await expirePoints(
        { state, isOpen, ...(signal ? { signal } : {}) },
        { tiers, now, ...(shares ? { shares } : {}) },
      )
      return { removed }
    },

    async usage(): Promise<ReplicaUsage> {
      const points = wholeOf(state.everyPoint())
      const newest = state.newest()
      if (newest !== null && counted?.point !== newest.manifest.sequence)
        counted = { point: newest.manifest.sequence, bytes: await countPages(newest) }
      // Of an older point those pages are kept that a later one replaced: what the later ones wrote, at most.
      const older = points.slice(1).reduce((sum, { storedBytes }) => sum + storedBytes, 0)
      const storedBytes = (newest === null ? 0 : (counted?.bytes ?? 0)) + older
      return {
        storedBytes,
        pointCount: points.length,
        oldestInstant: points[0]?.instant ?? null,
        newestInstant: points.at(-1)?.instant ?? null,
        freeBytes: Math.max(0, ACCOUNT_BYTES - storedBytes),
      }
    },

    scrub: (options) => scrub(places, state.stored(), options),

    async close() {
      await current?.abort()
    },
  }

  async function countPages({ manifest }: StoredPoint): Promise<number> {
    let bytes = 0
    for (const disk of manifest.disks) {
      const whole = { offset: 0, bytes: virtualBytes(disk.bytes) }
      for await (const extent of calls.pageRanges(contentSnapshot(state.folder, disk), whole))
        bytes += extent.bytes
    }
    return bytes
  }
}

const diskOf = ({ manifest }: StoredPoint, key: DiskKey): StoredDisk | null =>
  manifest.disks.find((disk) => disk.key === key) ?? null

const isPointGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'recovery-point/not-found'

const never = (): Promise<never> => Promise.reject(new Error('The point has not begun'))
