// How our things are called inside QEMU, so that we find them again after a crash and never touch another's.
//
//     bitmap    us-<trackingId>-<sequence>-<random>           on the disk's own node
//     node      us-cbw-<owner>-<child>-<point>                copy-before-write filter above <child>
//               us-acc-<same tail>                            what the filter shows: the disk at the instant
//               us-scr-<same tail>  us-scf-<same tail>        where the filter saves what the guest overwrites
//     export    us-acc-<same tail>
//     object    us-process-<random>                           made once per QEMU process: its identity
//               us-held-<kind>                                a guest is being held still; whoever finds it lets go
//
// <owner> and <child> are digests, because a node name ends at 31 characters.
import { createHash, randomBytes } from 'node:crypto'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { DISK_KEY } from './machine-definition.ts'

export const TRACKING_ID = /^[a-z0-9-]{1,40}$/

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)

export const ownerDigest = (trackingId: string): string => digest(`owner:${trackingId}`)

/** The common tail of one point's nodes on one disk. */
export const newTail = (trackingId: string, childNode: string): string =>
  `${ownerDigest(trackingId)}-${digest(childNode)}-${randomBytes(2).toString('hex')}`

export const filterNode = (tail: string): string => `us-cbw-${tail}`
export const accessNode = (tail: string): string => `us-acc-${tail}`
export const scratchNode = (tail: string): string => `us-scr-${tail}`
export const scratchFileNode = (tail: string): string => `us-scf-${tail}`
/** Name of the scratch file in the machine's folder. */
export const scratchFileName = (tail: string): string => `us-scr-${tail}.qcow2`

export type OurNode = { readonly tail: string; readonly owner: string; readonly childDigest: string }

/** Reads `us-<kind>-<tail>`; null when the name is not ours or of another kind. */
export function parseNode(kind: 'cbw' | 'acc' | 'scr' | 'scf', name: string): OurNode | null {
  const match = /^us-(cbw|acc|scr|scf)-(([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{4})$/.exec(name)
  if (match === null || match[1] !== kind) return null
  return { tail: match[2] ?? '', owner: match[3] ?? '', childDigest: match[4] ?? '' }
}

export type OurBitmap = { readonly trackingId: string; readonly sequence: number }

export const newBitmapName = (trackingId: string, sequence: number): string =>
  `us-${trackingId}-${String(sequence).padStart(6, '0')}-${randomBytes(4).toString('hex')}`

/** Null when the name is not that of one of our bitmaps. */
export function parseBitmap(name: string): OurBitmap | null {
  const match = /^us-([a-z0-9-]{1,40})-(\d{6,15})-[0-9a-f]{8}$/.exec(name)
  return match === null ? null : { trackingId: match[1] ?? '', sequence: Number(match[2]) }
}

/**
 * What we hand out as a checkpoint: the bitmap that has recorded since, the process that recorded it, and the disks that
 * it covers with their sizes: `us-p1-000004-89abcdef@0123456789abcdef/vda=1073741824,vdb=4096`.
 */
export type Checkpoint = {
  readonly bitmap: string
  readonly process: string
  readonly disks: ReadonlyMap<DiskKey, number>
}

export function checkpointText(checkpoint: Checkpoint): string {
  const disks = [...checkpoint.disks].map(([key, bytes]) => `${key}=${bytes}`)
  return `${checkpoint.bitmap}@${checkpoint.process}/${disks.join(',')}`
}

/** Null when it is not one of ours: of another platform, or damaged. */
export function parseCheckpoint(text: string, trackingId: string): Checkpoint | null {
  const match = /^([^@/]+)@([0-9a-f]{16})\/(.*)$/.exec(text)
  if (match === null) return null
  const [, bitmap = '', process = '', list = ''] = match
  if (parseBitmap(bitmap)?.trackingId !== trackingId) return null
  const disks = new Map<DiskKey, number>()
  for (const item of list === '' ? [] : list.split(',')) {
    const [key = '', bytes = ''] = item.split('=')
    if (!DISK_KEY.test(key) || !/^\d{1,16}$/.test(bytes)) return null
    disks.set(key as DiskKey, Number(bytes))
  }
  return { bitmap, process, disks }
}

export const newProcessObject = (): string => `us-process-${randomBytes(8).toString('hex')}`
export const parseProcessObject = (name: string): string | null =>
  /^us-process-([0-9a-f]{16})$/.exec(name)?.[1] ?? null

/** Present while the guest is held still by us. A connection that finds one knows that its maker died. */
export const HELD_PAUSED = 'us-held-paused'
export const HELD_FROZEN = 'us-held-frozen'
