// A point at which nothing has changed since the one before needs no snapshot, for there is nothing to read. Between two
// writes of a quiet guest that is most points: no filter, no export and no scratch file then comes near its disks.
import type { Clock, Instant } from '@understudy/base/instant'
import { type GraphDisk, readBlockGraph } from './block-graph.ts'
import { additions, bitmapsOf, disabling } from './dirty-bitmaps.ts'
import type { Checkpoint } from './ownership.ts'
import type { Qmp } from './qmp.ts'

/** Whether the bitmap of `since` says so of every disk, and none is new, gone or resized. */
export function isUnchanged(disks: readonly GraphDisk[], trackingId: string, since: Checkpoint): boolean {
  if (disks.length === 0 || disks.length !== since.disks.size) return false
  return disks.every((disk) => {
    const bitmap = bitmapsOf(disk, trackingId).find(({ name }) => name === since.bitmap)
    return bitmap?.dirtyBytes === 0 && since.disks.get(disk.key) === disk.bytes
  })
}

/**
 * Begins `bitmap` on all disks and ends that of `since` at one instant: QEMU lets the writes that are under way finish first.
 * The instant, or null when the guest has written until then; its changes are in the two bitmaps together.
 */
export async function markUnchanged(
  qmp: Qmp,
  { disks, trackingId }: { readonly disks: readonly GraphDisk[]; readonly trackingId: string },
  bitmap: string,
  since: Checkpoint,
  clock: Clock,
): Promise<Instant | null> {
  const marked = qmp
    .transaction([...additions(disks, bitmap, since), ...disks.map((disk) => disabling(disk, since.bitmap))])
    .then(() => clock.now())
  const [instant, after] = await Promise.all([marked, readBlockGraph(qmp)])
  const keys = new Set(disks.map(({ key }) => key))
  const now = after.disks.filter(({ key }) => keys.has(key))
  return isUnchanged(now, trackingId, since) ? instant : null
}
