// A point while it is written. The order of its seal is in DESIGN.md.
import { randomUUID } from 'node:crypto'
import { invariant, present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointDisk, PointFacts, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { unfinishedOf } from '@understudy/domain/recovery-points/unfinished'
import type { PointWriter } from '@understudy/engine/ports/replica-store'
import { newBlob } from './blob-names.ts'
import { DiskWriter } from './disk-writer.ts'
import { blobTouched, diskTooLarge, isBlobTouched, wentBack } from './failures.ts'
import { LARGEST_DISK_BYTES } from './limits.ts'
import { type Manifest, putManifest, type StoredDisk, toRecoveryPoint } from './manifests.ts'
import { createLiveDisk, type LiveDiskDeps, takeOverLiveDisk } from './open-live-disk.ts'
import { Rooms } from './pending-windows.ts'
import { withPoint } from './replica-head.ts'
import type { ReplicaState } from './replica-state.ts'
import { requestSlots } from './request-slots.ts'
import { FenceBroken } from './storage-calls.ts'

export type PointWriterDeps = {
  readonly state: ReplicaState
  /** The point is sealed, given up or lost: another one may begin. */
  ended(): void
}

type DiskPlan = { readonly disk: PointDisk; readonly sealed: StoredDisk | null; readonly writer: DiskWriter }

export async function beginPoint(
  { state, ended }: PointWriterDeps,
  disks: readonly PointDisk[],
): Promise<PointWriter> {
  for (const { key, bytes } of disks) if (bytes > LARGEST_DISK_BYTES) throw diskTooLarge(key, bytes)
  const { calls, limits, clock } = state.deps
  const stop = new AbortController()
  const slots = requestSlots(limits.connections)
  const rooms = new Rooms()
  const sequence = state.nextNumber()
  const liveDeps: LiveDiskDeps = {
    calls,
    folder: state.folder,
    limits,
    signal: stop.signal,
    checkOwner: () => state.checkOwner(),
    pageDiff: state.deps.pageDiff,
  }
  const base = state.newest()
  const plans = disks.map((disk): DiskPlan => {
    const sealed = base?.manifest.disks.find(({ key }) => key === disk.key) ?? null
    const blob = sealed?.blob ?? newBlob(disk.key)
    const open = () =>
      sealed === null
        ? createLiveDisk(liveDeps, { ...disk, blob })
        : takeOverLiveDisk(liveDeps, sealed, disk.bytes)
    const facts = { disk: { ...disk, blob }, sequence, slots, rooms, limits, signal: stop.signal, open }
    return { disk, sealed, writer: new DiskWriter(facts) }
  })
  const writers = new Map(plans.map(({ disk, writer }) => [disk.key, writer]))
  let life: 'open' | 'sealing' | 'over' = 'open'

  const writerOf = (key: DiskKey): DiskWriter => {
    invariant(life === 'open', 'a point is written before it is sealed or aborted')
    return present(writers.get(key), `disk ${key} belongs to the point`)
  }
  const giveUp = async (): Promise<void> => {
    if (life === 'over') return
    life = 'over'
    stop.abort()
    await slots.settled()
    ended()
  }
  /** A broken fence means that somebody else writes: either a newer process of ours, or a stranger. */
  const explained = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work()
    } catch (error) {
      const isFenced = error instanceof FenceBroken
      if (!isFenced && !isBlobTouched(error)) throw error
      await state.checkOwner()
      throw isFenced ? blobTouched(error.message) : error
    }
  }
  const writeWith = async (signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> => {
    signal?.throwIfAborted()
    await untilAborted(explained(work), signal)
  }

  // New disks and new sizes are part of the point even if nothing is written to them.
  try {
    await explained(() => Promise.all(plans.map(prepare)))
  } catch (error) {
    await giveUp()
    throw error
  }

  return {
    write: (key, offset, data, signal) => writeWith(signal, () => writerOf(key).write(offset, data)),
    zero: (key, offset, bytes, signal) => writeWith(signal, () => writerOf(key).zero(offset, bytes)),
    abort: giveUp,
    async seal(facts) {
      invariant(life === 'open', 'a point is sealed once')
      life = 'sealing'
      try {
        return await explained(() => seal(facts))
      } finally {
        await giveUp()
      }
    },
  }

  async function seal(facts: PointFacts): Promise<RecoveryPoint> {
    for (const { writer } of plans) writer.sendRest()
    await slots.waitBelow(0)
    const sealedDisks = await Promise.all(plans.map(sealDisk))
    const touched = plans.map(({ writer }) => writer).filter(({ isTouched }) => isTouched)
    const stored = await Promise.all(touched.map((writer) => writer.storedBytes()))
    const before = unfinishedOf(state.everyPoint())
    const manifest: Manifest = {
      ...facts,
      format: facts.unfinished === undefined ? 1 : 2,
      sequence,
      sealedAt: clock.now(),
      disks: sealedDisks,
      changedBytes: touched.reduce((sum, { changedBytes }) => sum + changedBytes, before?.changedBytes ?? 0),
      storedBytes: stored.reduce((sum, bytes) => sum + bytes, before?.storedBytes ?? 0),
      write: randomUUID(),
    }
    state.noteAttempt(sequence)
    const point = await putManifest(calls, state.folder, manifest)
    if (point === null) {
      await state.checkOwner()
      throw wentBack(state.machineName)
    }
    await state.commit(point, (head) => withPoint(head, sequence))
    return toRecoveryPoint(point)
  }
}

/** The work goes on behind the caller's back until the point is given up: what it fails with then is nobody's business. */
async function untilAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return await work
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
    work.catch(() => {})
  }
}

async function prepare({ disk, sealed, writer }: DiskPlan): Promise<void> {
  if (sealed !== null && sealed.bytes === disk.bytes) return
  await writer.live()
  if (sealed !== null && sealed.bytes > disk.bytes) await writer.clearBehindEnd(sealed.bytes)
}

/** Of a disk that was not written the newest snapshot is the right one still. */
const sealDisk = ({ sealed, writer }: DiskPlan): Promise<StoredDisk> =>
  sealed !== null && !writer.isTouched ? Promise.resolve(sealed) : writer.seal()
