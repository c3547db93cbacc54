// Change tracking by dirty bitmaps. One owner (tracking id) has on every disk a row of bitmaps, oldest first:
//
//     S          the one that the newest sealed point names. Disabled while a point is open, else recording.
//     N1 N2 ..   one for each point that was opened after S and not released. The last one always records.
//
// What changed since S is S while it records, else S and all newer ones together. Too many dirty bits cost time; a missing
// one is silent data loss. So whenever two orders are possible here, the one that may mark too much is taken.
import { KiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import type { GraphDisk } from './block-graph.ts'
import type { Checkpoint } from './ownership.ts'
import { newBitmapName, newProcessObject, parseBitmap, parseProcessObject } from './ownership.ts'
import type { Qmp } from './qmp.ts'

type Action = readonly [string, Readonly<Record<string, unknown>>]

const FINEST_GRAIN_BYTES = 4 * KiB
/** 32 MiB of memory per bitmap: 4 KiB grains up to a disk of 1 TiB, coarser beyond. */
const MOST_GRAINS = 2 ** 28

export function grainBytesFor(diskBytes: number): number {
  let grainBytes = FINEST_GRAIN_BYTES
  while (diskBytes / grainBytes > MOST_GRAINS) grainBytes *= 2
  return grainBytes
}

/** The identity of the QEMU process, given to it at our first visit. Bitmaps of raw disks live exactly as long. */
export async function processIdentity(qmp: Qmp): Promise<string> {
  const objects = await qmp.execute<readonly { readonly name: string }[]>('qom-list', { path: '/objects' })
  const found = objects.map(({ name }) => parseProcessObject(name)).find((identity) => identity !== null)
  if (found !== undefined) return found
  const id = newProcessObject()
  // A `secret` is merely the plainest object that can be made in a running QEMU.
  await qmp.execute('object-add', { 'qom-type': 'secret', id, data: 'none' })
  return present(parseProcessObject(id), 'our own name is one of ours')
}

/** The owner's row on this disk, oldest first. */
export const bitmapsOf = <Bitmap extends { readonly name: string }>(
  disk: { readonly bitmaps: readonly Bitmap[] },
  trackingId: string,
): readonly Bitmap[] =>
  disk.bitmaps
    .filter((bitmap) => parseBitmap(bitmap.name)?.trackingId === trackingId)
    .sort((a, b) => sequenceOf(a.name) - sequenceOf(b.name))

const sequenceOf = (name: string): number => parseBitmap(name)?.sequence ?? -1

/** A name for the next bitmap on all of these disks, later than anything that is there and than `since`. */
export function nextBitmapName(
  disks: readonly GraphDisk[],
  trackingId: string,
  since: Checkpoint | null,
): string {
  const sequences = disks.flatMap((disk) => bitmapsOf(disk, trackingId)).map(({ name }) => sequenceOf(name))
  return newBitmapName(
    trackingId,
    Math.max(0, ...sequences, since === null ? 0 : sequenceOf(since.bitmap)) + 1,
  )
}

/**
 * Why `since` cannot be used on these disks, or null when it can. A disk that `since` does not name was not there, or not
 * wanted, at that time: it is copied whole and needs no bitmap.
 */
export function checkSince(
  disks: readonly GraphDisk[],
  trackingId: string,
  since: Checkpoint,
  process: string,
): CycleReason | null {
  for (const disk of disks.filter(({ key }) => since.disks.has(key))) {
    const row = bitmapsOf(disk, trackingId)
    const bitmap = row.find(({ name }) => name === since.bitmap)
    if (bitmap === undefined) return missing(disk, since, process)
    const usable = bitmap.recording ? [bitmap] : row.slice(row.indexOf(bitmap))
    if (usable.some(({ inconsistent }) => inconsistent))
      return lost('tracking/host-crashed', `QEMU was killed while it tracked changes of disk ${disk.key}`)
    if (usable.some(({ recording }) => recording)) continue
    return lost('tracking/interrupted', `Change tracking of disk ${disk.key} was switched off for a while`)
  }
  return null
}

function missing(disk: GraphDisk, since: Checkpoint, process: string): CycleReason {
  if (since.process === process)
    return lost(
      'tracking/disk-replaced',
      `Disk ${disk.key} no longer carries the change tracking of the newest point`,
    )
  if (disk.format === 'raw')
    return lost(
      'tracking/restarted',
      `The machine was restarted; raw disk ${disk.key} cannot keep its change tracking over that`,
    )
  // Written into the image only when QEMU ends in good order.
  return lost('tracking/host-crashed', `QEMU ended without saving the change tracking of disk ${disk.key}`)
}

const lost = (code: string, message: string): CycleReason => ({ code, message })

/**
 * Makes `since` complete and recording again, and the only bitmap of this owner. Needed when a predecessor was killed while
 * a point was open, or a point was given up. Drained by QEMU for the time of the transaction: no write falls in between.
 * False when there was nothing to do.
 */
export async function restoreSince(
  qmp: Qmp,
  disks: readonly GraphDisk[],
  trackingId: string,
  since: Checkpoint,
): Promise<boolean> {
  const actions = disks.flatMap((disk): Action[] => {
    const row = bitmapsOf(disk, trackingId)
    const kept = row.find(({ name }) => name === since.bitmap)
    const others = row.filter((bitmap) => bitmap !== kept).map(({ name }) => removal(disk, name))
    if (kept === undefined || !since.disks.has(disk.key) || kept.recording) return others
    const newer = row.slice(row.indexOf(kept) + 1).map(({ name }) => name)
    return [
      ['block-dirty-bitmap-enable', { node: disk.node, name: kept.name }],
      ...(newer.length === 0
        ? []
        : [
            [
              'block-dirty-bitmap-merge',
              { node: disk.node, target: kept.name, bitmaps: newer },
            ] satisfies Action,
          ]),
      ...others,
    ]
  })
  await qmp.transaction(actions)
  return actions.length > 0
}

/** `persistent` where the format can keep it: tracking then survives an orderly restart of the machine. */
export const additions = (
  disks: readonly GraphDisk[],
  name: string,
  since: Checkpoint | null,
): readonly Action[] =>
  disks.map((disk) => {
    const older = disk.bitmaps.find((bitmap) => bitmap.name === since?.bitmap)
    const granularity = older?.granularityBytes ?? grainBytesFor(disk.bytes)
    return [
      'block-dirty-bitmap-add',
      { node: disk.node, name, granularity, persistent: disk.format === 'qcow2' },
    ]
  })

export const disabling = (disk: GraphDisk, name: string): Action => [
  'block-dirty-bitmap-disable',
  { node: disk.node, name },
]

const removal = (disk: GraphDisk, name: string): Action => [
  'block-dirty-bitmap-remove',
  { node: disk.node, name },
]

/** Removes the owner's bitmaps for which `unwanted` says so, on all disks at once. */
export async function removeBitmaps(
  qmp: Qmp,
  disks: readonly GraphDisk[],
  trackingId: string,
  unwanted: (name: string) => boolean,
): Promise<void> {
  await qmp.transaction(
    disks.flatMap((disk) =>
      bitmapsOf(disk, trackingId)
        .filter(({ name }) => unwanted(name))
        .map(({ name }) => removal(disk, name)),
    ),
  )
}

export const isOlder = (name: string, than: string): boolean => sequenceOf(name) < sequenceOf(than)

/**
 * Begins tracking on machines that do not write at this moment (before the first instruction, or paused). Returns the
 * checkpoint that the disks equal now. Older bitmaps of this owner go away.
 */
export async function beginTracking(
  qmp: Qmp,
  disks: readonly GraphDisk[],
  trackingId: string,
): Promise<Checkpoint> {
  const bitmap = nextBitmapName(disks, trackingId, null)
  const process = await processIdentity(qmp)
  await qmp.transaction(additions(disks, bitmap, null))
  await removeBitmaps(qmp, disks, trackingId, (name) => name !== bitmap)
  return { bitmap, process, disks: new Map(disks.map((disk) => [disk.key, disk.bytes])) }
}
