// Where QEMU saves what the guest overwrites while a point is open: a qcow2 file of bounded size.
//
//     qcow2 (as large as the disk)  above  raw (size = the limit)  above  the file
//
// The raw layer refuses to go beyond its size, so a guest that overwrites everything fills the limit and not the file
// system that its own disks may lie on. A full scratch breaks the snapshot, never the guest (see snapshot.ts).
import { KiB, MiB, roundDown, roundUp } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import type { FilePiece } from './host.ts'
import { scratchFileNode, scratchNode } from './ownership.ts'
import type { QmpCommand } from './qmp.ts'

/** What copy-before-write saves at once: a cluster of its target (block-copy.c), never less than this. */
export const CLUSTER_BYTES = 64 * KiB
/** Metadata of an empty image and its first tables. */
const LEAST_SCRATCH_BYTES = 2 * MiB
/** Of the free space, the share that all scratch files of one point together may take. */
const SHARE_OF_FREE_SPACE = 0.5

/** How much one disk's scratch may hold beside the others of its point; null when the file system is too full to begin. */
export function scratchLimitBytes(diskBytes: number, scratchCount: number, freeBytes: number): number | null {
  const most = roundUp(diskBytes, CLUSTER_BYTES) + LEAST_SCRATCH_BYTES + Math.ceil(diskBytes / 4096)
  const share = (freeBytes * SHARE_OF_FREE_SPACE) / scratchCount
  if (share < LEAST_SCRATCH_BYTES) return null
  return roundDown(Math.floor(Math.min(most, share)), CLUSTER_BYTES)
}

export const addScratch = (tail: string, path: string, limitBytes: number): QmpCommand => ({
  execute: 'blockdev-add',
  arguments: {
    driver: 'qcow2',
    'node-name': scratchNode(tail),
    'lazy-refcounts': true,
    // Nobody needs it after a crash.
    cache: { 'no-flush': true },
    file: {
      driver: 'raw',
      'node-name': scratchFileNode(tail),
      size: limitBytes,
      file: { driver: 'file', filename: path, cache: { 'no-flush': true } },
    },
  },
})

/**
 * An empty qcow2 image (version 3) as the few pieces of it that are not zero:
 * https://www.qemu.org/docs/master/interop/qcow2.html
 *
 *     cluster 0  header      1  refcount table      2  first refcount block      3 ..  L1 table
 */
export function emptyQcow2(diskBytes: number): readonly FilePiece[] {
  const entriesPerTable = CLUSTER_BYTES / 8
  const l1Entries = Math.max(1, Math.ceil(diskBytes / (CLUSTER_BYTES * entriesPerTable)))
  const l1Clusters = Math.ceil((l1Entries * 8) / CLUSTER_BYTES)

  const header = Buffer.alloc(112)
  header.write('QFI\xfb', 0, 'latin1')
  header.writeUInt32BE(3, 4)
  header.writeUInt32BE(16, 20)
  header.writeBigUInt64BE(BigInt(diskBytes), 24)
  header.writeUInt32BE(l1Entries, 36)
  header.writeBigUInt64BE(BigInt(3 * CLUSTER_BYTES), 40)
  header.writeBigUInt64BE(BigInt(CLUSTER_BYTES), 48)
  header.writeUInt32BE(1, 56)
  header.writeUInt32BE(4, 96)
  header.writeUInt32BE(104, 100)

  const refcountTable = Buffer.alloc(8)
  refcountTable.writeBigUInt64BE(BigInt(2 * CLUSTER_BYTES))
  const refcounts = Buffer.alloc(2 * (3 + l1Clusters))
  for (let index = 0; index < 3 + l1Clusters; index++) refcounts.writeUInt16BE(1, 2 * index)
  return [
    { offset: 0, data: header },
    { offset: CLUSTER_BYTES, data: refcountTable },
    { offset: 2 * CLUSTER_BYTES, data: refcounts },
  ]
}

/** `bytes`: what the scratch held, or what was free. */
export const scratchFull = (machineName: string, diskKey: string, bytes: number, cause?: unknown): Outage =>
  new Outage({
    code: 'source/scratch-full',
    message: `The scratch space for disk ${diskKey} of ${machineName} does not hold what the guest overwrites during a cycle`,
    remedy:
      'Free space beside the machine, or let cycles run when the machine writes less. Nothing was lost.',
    facts: { bytes },
    cause,
  })
