// Expiry, and the sweep of what crashes left. A point goes by the deletion of its manifest, if that is still as it was seen: a
// hold in another process changes it. Its snapshots follow; what a crash leaves of them belongs to nobody and is swept.
import { planRetention, type RetentionFacts } from '@understudy/domain/recovery-points/plan-retention'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { contentName, sumsName } from './blob-names.ts'
import { loadManifest, manifestName, type StoredDisk, type StoredPoint, sequenceOf } from './manifests.ts'
import type { ReplicaState } from './replica-state.ts'
import type { StorageCalls } from './storage-calls.ts'

export type RemoveDeps = {
  readonly state: ReplicaState
  /** Shown by an open point of this process. */
  isOpen(sequence: number): boolean
  readonly signal?: AbortSignal
}

/** Returns how many points are gone. May be broken off at any moment and repeated. */
export async function expirePoints(deps: RemoveDeps, rules: Omit<RetentionFacts, 'points'>): Promise<number> {
  const { state, signal } = deps
  await state.refreshMarks()
  let removed = 0
  for (const id of planRetention({ ...rules, points: state.everyPoint() })) {
    signal?.throwIfAborted()
    if (deps.isOpen(sequenceOf(id))) continue
    const point = await removeManifest(state, id)
    if (point === null) continue
    state.forgetPoint(point.manifest.sequence)
    removed += 1
    await removeSnapshots(state, point.manifest.disks)
  }
  return removed
}

const TRIES = 5

/** Null: it stays, because somebody holds it now. */
async function removeManifest(state: ReplicaState, id: PointId): Promise<StoredPoint | null> {
  const { calls } = state.deps
  let point: StoredPoint | null = await state.find(id)
  const name = manifestName(state.folder, point.manifest.sequence)
  for (let tries = 0; tries < TRIES; tries += 1) {
    const last: StoredPoint = point
    if (await calls.remove(name, { etag: last.etag })) return last
    point = await loadManifest(calls, state.folder, last.manifest.sequence)
    // Gone: the answer to an earlier attempt was lost.
    if (point === null) return last
    state.replacePoint(point)
    if (point.marks.heldBy.length > 0 || point.marks.annotations.pinned === true) return null
  }
  return null
}

/** Those that no other point shows. An idle disk has one snapshot for many points. */
async function removeSnapshots(state: ReplicaState, disks: readonly StoredDisk[]): Promise<void> {
  const { calls } = state.deps
  const used = usedSnapshots(state.folder, state.stored())
  for (const { blob, content, sums } of disks) {
    const files = [
      { name: contentName(state.folder, blob), snapshot: content.snapshot },
      { name: sumsName(state.folder, blob), snapshot: sums.snapshot },
    ]
    for (const { name, snapshot } of files) {
      const others = used.get(name)
      // A disk that was taken out, and whose last point this was, goes as a whole.
      if (others === undefined) await calls.remove(name, {})
      else if (!others.has(snapshot)) await calls.remove(name, { snapshot })
    }
  }
}

function usedSnapshots(folder: string, points: readonly StoredPoint[]): Map<string, Set<string>> {
  const used = new Map<string, Set<string>>()
  const add = (name: string, snapshot: string): void => {
    const known = used.get(name)
    if (known === undefined) used.set(name, new Set([snapshot]))
    else known.add(snapshot)
  }
  for (const { manifest } of points)
    for (const { blob, content, sums } of manifest.disks) {
      add(contentName(folder, blob), content.snapshot)
      add(sumsName(folder, blob), sums.snapshot)
    }
  return used
}

/**
 * Deletes what no point shows. Only by the owner, and only what lay there when it was the owner still: a newer writer's snapshots
 * are older than its points, and must not be taken for left over.
 */
export async function sweep(state: ReplicaState, checkOwner: () => Promise<void>): Promise<void> {
  const { calls } = state.deps
  const used = usedSnapshots(state.folder, state.stored())
  const points = new Set(state.stored().map(({ manifest }) => manifestName(state.folder, manifest.sequence)))
  const orphans: { readonly name: string; readonly snapshot: string | null }[] = []
  for await (const { name, snapshot } of calls.list(state.folder, { snapshots: true })) {
    const isUsed =
      points.has(name) || (snapshot === null ? used.has(name) : used.get(name)?.has(snapshot) === true)
    if (!isUsed) orphans.push({ name, snapshot })
  }
  if (orphans.length === 0) return
  await checkOwner()
  // Snapshots of a blob that goes as a whole need no request of their own.
  const whole = new Set(orphans.filter(({ snapshot }) => snapshot === null).map(({ name }) => name))
  for (const { name, snapshot } of orphans)
    if (snapshot === null) await calls.remove(name, {})
    else if (!whole.has(name)) await calls.remove(name, { snapshot })
}

/** Everything below a folder, for good. */
export async function removeFolder(calls: StorageCalls, folder: string): Promise<void> {
  for await (const { name } of calls.list(folder, {})) await calls.remove(name, {})
}
