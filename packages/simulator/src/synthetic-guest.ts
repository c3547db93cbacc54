// A guest that is nothing but its writes: a chain of records over all its disks. Any torn, lost or mixed content breaks
// the chain, so a copy can be judged without knowing what it should contain.
import { createHash } from 'node:crypto'
import type { Instant } from '@understudy/base/instant'
import type { BlockReader } from '@understudy/block/device'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import type { MemoryDisk } from './memory-disk.ts'

//  disk: | grain 0: header | grain 1: record | grain 2: record | ...   record k lies in grain 1 + (k - 1) mod (grains - 1)
//  order: record k on disk 0, its header, then on disk 1, its header ...; only then record k + 1 on disk 0
//  so at any instant disk 0 has k or k + 1 records, and no disk has more than the one before it

export type SyntheticGuest = {
  /** Stays the same in every copy of the machine. */
  readonly identity: string
  /** Records on disk 0. */
  readonly records: number
  /** Writes what is due until `now`. A guest that cannot reach a disk stops there. */
  catchUp(now: Instant): void
}

export type GuestClaim = {
  readonly identity: string
  /** Whole records: those that every disk has. */
  readonly records: number
  /** Which boot wrote the newest record: two live copies of a machine write different branches. */
  readonly branch: string
}

type GuestRecord = {
  readonly identity: string
  readonly count: number
  readonly branch: string
  readonly previousHash: string
  readonly hash: string
}

type GuestOptions = {
  readonly disks: readonly MemoryDisk[]
  readonly branch: string
  readonly startedAt: Instant
  readonly writeEveryMilliseconds: number
}

/** Installs a new guest on empty disks: an empty chain on each. */
export function installGuest(identity: string, disks: readonly MemoryDisk[]): void {
  const start: GuestRecord = { identity, count: 0, branch: 'installed', previousHash: '', hash: identity }
  for (const disk of disks) disk.writeGrain(0, toGrain(start))
}

/** Boots what is on the disks, repairing what a crash cut off. Null when there is no guest on the first disk. */
export async function bootGuest(options: GuestOptions): Promise<SyntheticGuest | null> {
  const { disks, branch, startedAt, writeEveryMilliseconds } = options
  const headers = await Promise.all(disks.map(readHeader))
  let newest = headers[0]
  if (!newest) return null
  const guestDisks = disks.filter((_, index) => headers[index])
  // The newest record may be missing on later disks: the guest's own journal replay.
  for (const [index, disk] of guestDisks.entries())
    if ((headers[index]?.count ?? 0) < newest.count) writeRecord(disk, newest)

  let nextDisk = 0
  let writes = 0
  return {
    identity: newest.identity,
    get records() {
      return newest?.count ?? 0
    },
    catchUp(now) {
      const due = Math.floor((now - startedAt) / writeEveryMilliseconds)
      for (; writes < due && newest; writes += 1) {
        const disk = guestDisks[nextDisk]
        if (!disk) return
        if (nextDisk === 0) newest = nextRecord(newest, branch)
        writeRecord(disk, newest)
        nextDisk = (nextDisk + 1) % guestDisks.length
      }
    },
  }
}

/**
 * Judges a copy: reads every record of every disk. Throws with the first thing that cannot be explained by cutting the
 * power at one instant. Null when there is no guest.
 */
export async function checkGuest(disks: readonly BlockReader[]): Promise<GuestClaim | null> {
  const headers = await Promise.all(disks.map(readHeader))
  const first = headers[0]
  if (!first) return null
  let atMost = first.count
  for (const [index, disk] of disks.entries()) {
    const header = headers[index]
    if (!header) continue
    const lag = first.count - header.count
    if (header.identity !== first.identity) throw new Error(`disk ${index} belongs to ${header.identity}`)
    if (lag < 0 || lag > 1 || header.count > atMost)
      throw new Error(`disk ${index} has ${header.count} records where disk 0 has ${first.count}`)
    atMost = header.count
    await checkChain(disk, index, header)
  }
  return { identity: first.identity, records: atMost, branch: first.branch }
}

async function checkChain(disk: BlockReader, index: number, header: GuestRecord): Promise<void> {
  let expected = header
  for (let count = header.count; count > Math.max(0, header.count - slotsOf(disk)); count -= 1) {
    const record = parseGrain(await disk.read(slotOf(disk, count) * GRAIN_BYTES, GRAIN_BYTES))
    if (!record) throw new Error(`record ${count} of disk ${index} is damaged or missing`)
    if (record.count !== count || record.hash !== expected.hash)
      throw new Error(`disk ${index} has record ${record.count} in the place of record ${count}`)
    expected = { ...record, count: count - 1, hash: record.previousHash }
  }
}

const slotsOf = (disk: BlockReader): number => Math.min(SLOT_LIMIT, Math.floor(disk.bytes / GRAIN_BYTES) - 1)
const slotOf = (disk: BlockReader, count: number): number => 1 + ((count - 1) % slotsOf(disk))
/** The chain keeps its place when a disk grows that is large enough for all of it. */
const SLOT_LIMIT = 64

function nextRecord(last: GuestRecord, branch: string): GuestRecord {
  const count = last.count + 1
  const hash = createHash('sha256').update(`${last.hash}|${last.identity}|${branch}|${count}`).digest('hex')
  return { identity: last.identity, count, branch, previousHash: last.hash, hash }
}

function writeRecord(disk: MemoryDisk, record: GuestRecord): void {
  const content = toGrain(record)
  disk.writeGrain(slotOf(disk, record.count), content)
  disk.writeGrain(0, content)
}

/** The record as text, then bytes that only this record has up to the end, so that no byte of it may be wrong. */
function toGrain(record: GuestRecord): Buffer {
  const text = Buffer.from(`${MARK}${JSON.stringify(record)}\n`)
  const filling = createHash('sha256').update(text).digest()
  const grain = Buffer.alloc(GRAIN_BYTES, filling)
  text.copy(grain)
  return grain
}

/** Null when it is no record, or not an intact one. */
function parseGrain(grain: Buffer): GuestRecord | null {
  const end = grain.indexOf('\n')
  if (end < 0 || grain.toString('latin1', 0, MARK.length) !== MARK) return null
  try {
    const record: GuestRecord = JSON.parse(grain.toString('utf8', MARK.length, end))
    return toGrain(record).equals(grain) ? record : null
  } catch {
    return null
  }
}

async function readHeader(disk: BlockReader): Promise<GuestRecord | null> {
  if (disk.bytes < 2 * GRAIN_BYTES) return null
  return parseGrain(await disk.read(0, GRAIN_BYTES))
}

const MARK = 'synthetic guest '
