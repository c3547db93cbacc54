// Which record holds which part of a disk: sorted, without overlap, in packed arrays of 24 bytes an entry. Pure.
//
//   offset  f64   where on the disk
//   bytes   u32   how much of it
//   segment u32   the file that holds the record; 0: reads as zeros
//   position u32  of the record in the file
//   stored  u32   length of the record in the file, header included
//
// An entry may be a piece of a record; the record's own header says where on the disk the record begins.
import { invariant } from '@understudy/base/invariant'

export type ExtentMap = {
  readonly count: number
  readonly offset: Float64Array
  readonly bytes: Uint32Array
  readonly segment: Uint32Array
  readonly position: Uint32Array
  readonly stored: Uint32Array
}

/** By disk number. A disk that is missing has no entries: it reads as zeros. */
export type ReplicaMap = ReadonlyMap<number, ExtentMap>

export const ENTRY_BYTES = 24
/** Longer runs of zeros are several entries: a length has 32 bits. */
const ZERO_BYTES = 2 ** 30

export type Entry = {
  readonly offset: number
  readonly bytes: number
  readonly segment: number
  readonly position: number
  readonly stored: number
}

/** Indexes are checked by the caller; the arrays are dense. */
export const at = (array: Float64Array | Uint32Array, index: number): number => array[index] as number

export const endAt = (map: ExtentMap, index: number): number => at(map.offset, index) + at(map.bytes, index)

export const entryAt = (map: ExtentMap, index: number): Entry => ({
  offset: at(map.offset, index),
  bytes: at(map.bytes, index),
  segment: at(map.segment, index),
  position: at(map.position, index),
  stored: at(map.stored, index),
})

/** Grows as entries are pushed. `finish` gives arrays of exactly the right length. */
export class ExtentMapBuilder {
  #count = 0
  #offset: Float64Array<ArrayBuffer>
  #bytes: Uint32Array<ArrayBuffer>
  #segment: Uint32Array<ArrayBuffer>
  #position: Uint32Array<ArrayBuffer>
  #stored: Uint32Array<ArrayBuffer>

  constructor(capacity = 16) {
    this.#offset = new Float64Array(capacity)
    this.#bytes = new Uint32Array(capacity)
    this.#segment = new Uint32Array(capacity)
    this.#position = new Uint32Array(capacity)
    this.#stored = new Uint32Array(capacity)
  }

  get count(): number {
    return this.#count
  }

  push(offset: number, bytes: number, segment: number, position: number, stored: number): void {
    if (this.#count === this.#offset.length) this.#grow()
    const index = this.#count
    this.#offset[index] = offset
    this.#bytes[index] = bytes
    this.#segment[index] = segment
    this.#position[index] = position
    this.#stored[index] = stored
    this.#count += 1
  }

  pushZeros(offset: number, bytes: number): void {
    for (let done = 0; done < bytes; done += ZERO_BYTES)
      this.push(offset + done, Math.min(ZERO_BYTES, bytes - done), 0, 0, 0)
  }

  /** As `push`, after the entries already there; joins with the last entry what is of one record or all zeros. */
  append(offset: number, bytes: number, segment: number, position: number, stored: number): void {
    const last = this.#count - 1
    if (
      last >= 0 &&
      at(this.#segment, last) === segment &&
      at(this.#position, last) === position &&
      at(this.#offset, last) + at(this.#bytes, last) === offset &&
      at(this.#bytes, last) + bytes <= ZERO_BYTES
    ) {
      this.#bytes[last] = at(this.#bytes, last) + bytes
      return
    }
    this.push(offset, bytes, segment, position, stored)
  }

  finish(): ExtentMap {
    const count = this.#count
    return {
      count,
      offset: this.#offset.slice(0, count),
      bytes: this.#bytes.slice(0, count),
      segment: this.#segment.slice(0, count),
      position: this.#position.slice(0, count),
      stored: this.#stored.slice(0, count),
    }
  }

  #grow(): void {
    const capacity = Math.max(16, this.#count * 2)
    const wider = (old: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> => {
      const array = new Uint32Array(capacity)
      array.set(old)
      return array
    }
    const offset = new Float64Array(capacity)
    offset.set(this.#offset)
    this.#offset = offset
    this.#bytes = wider(this.#bytes)
    this.#segment = wider(this.#segment)
    this.#position = wider(this.#position)
    this.#stored = wider(this.#stored)
  }
}

export const emptyMap: ExtentMap = new ExtentMapBuilder(0).finish()

/** Entries in the order they were written, overlapping at will: the later one wins. */
export function fromWrites(writes: ExtentMap): ExtentMap {
  const order = Uint32Array.from({ length: writes.count }, (_, index) => index)
  order.sort((a, b) => at(writes.offset, a) - at(writes.offset, b))
  const builder = new ExtentMapBuilder(writes.count)
  let end = -1
  for (const index of order) {
    // Something was written twice: settle the older and the newer half, then lay one over the other.
    if (at(writes.offset, index) < end) return overlayHalves(writes)
    end = endAt(writes, index)
    appendEntry(builder, writes, index)
  }
  return builder.finish()
}

function overlayHalves(writes: ExtentMap): ExtentMap {
  const middle = writes.count >> 1
  return overlay(fromWrites(slice(writes, 0, middle)), fromWrites(slice(writes, middle, writes.count)))
}

function slice(map: ExtentMap, start: number, end: number): ExtentMap {
  return {
    count: end - start,
    offset: map.offset.subarray(start, end),
    bytes: map.bytes.subarray(start, end),
    segment: map.segment.subarray(start, end),
    position: map.position.subarray(start, end),
    stored: map.stored.subarray(start, end),
  }
}

const appendEntry = (builder: ExtentMapBuilder, map: ExtentMap, index: number): void =>
  builder.append(
    at(map.offset, index),
    at(map.bytes, index),
    at(map.segment, index),
    at(map.position, index),
    at(map.stored, index),
  )

/** The part of an entry between two disk offsets. */
const appendPiece = (
  builder: ExtentMapBuilder,
  map: ExtentMap,
  index: number,
  start: number,
  end: number,
): void =>
  builder.append(start, end - start, at(map.segment, index), at(map.position, index), at(map.stored, index))

/** `newer` laid over `older`: what both cover is the newer's. Linear in both. */
export function overlay(older: ExtentMap, newer: ExtentMap): ExtentMap {
  if (older.count === 0) return newer
  if (newer.count === 0) return older
  const builder = new ExtentMapBuilder(older.count + newer.count)
  let index = 0
  // Everything before the cursor is settled.
  let cursor = 0
  const copyOlderUpTo = (limit: number): void => {
    for (; index < older.count; index += 1) {
      const start = Math.max(cursor, at(older.offset, index))
      const end = endAt(older, index)
      if (start >= limit) return
      if (end > start) appendPiece(builder, older, index, start, Math.min(end, limit))
      if (end > limit) return
    }
  }
  for (let next = 0; next < newer.count; next += 1) {
    copyOlderUpTo(at(newer.offset, next))
    appendEntry(builder, newer, next)
    cursor = endAt(newer, next)
    while (index < older.count && endAt(older, index) <= cursor) index += 1
  }
  copyOlderUpTo(Number.POSITIVE_INFINITY)
  return builder.finish()
}

/** From old to new. Pairs of neighbours first, so that every entry is moved log(n) times only. */
export function overlayAll(maps: readonly ReplicaMap[]): ReplicaMap {
  let level = [...maps]
  while (level.length > 1) {
    const next: ReplicaMap[] = []
    for (let index = 0; index < level.length; index += 2) {
      const older = level[index] as ReplicaMap
      const newer = level[index + 1]
      next.push(newer === undefined ? older : overlayDisks(older, newer))
    }
    level = next
  }
  return level[0] ?? new Map()
}

function overlayDisks(older: ReplicaMap, newer: ReplicaMap): ReplicaMap {
  const merged = new Map(older)
  for (const [disk, map] of newer) merged.set(disk, overlay(merged.get(disk) ?? emptyMap, map))
  return merged
}

/** Index of the first entry that ends after `offset`; `count` when there is none. */
export function firstAfter(map: ExtentMap, offset: number): number {
  let low = 0
  let high = map.count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (endAt(map, middle) > offset) high = middle
    else low = middle + 1
  }
  return low
}

/** The part of the map in front of `bytes`, and without what reads as zeros when `dropZeros`. */
export function trimmed(map: ExtentMap, bytes: number, dropZeros: boolean): ExtentMap {
  const last = map.count - 1
  if (!dropZeros && (last < 0 || endAt(map, last) <= bytes)) return map
  const builder = new ExtentMapBuilder(map.count)
  for (let index = 0; index < map.count && at(map.offset, index) < bytes; index += 1) {
    if (dropZeros && at(map.segment, index) === 0) continue
    appendPiece(builder, map, index, at(map.offset, index), Math.min(endAt(map, index), bytes))
  }
  return builder.finish()
}

export function entryCount(map: ReplicaMap): number {
  let count = 0
  for (const { count: entries } of map.values()) count += entries
  return count
}

/**
 * On disk:  u32 disks | per disk: u32 number, u32 entries | padding to 8
 *           per disk: offset[] | bytes[] | segment[] | position[] | stored[] | padding to 8
 * Little-endian, as every machine we run on.
 */
export function encodeMap(map: ReplicaMap): Buffer {
  const disks = [...map].filter(([, { count }]) => count > 0)
  const headBytes = padded(4 + 8 * disks.length)
  const total = disks.reduce((sum, [, { count }]) => sum + padded(count * ENTRY_BYTES), headBytes)
  const bytes = Buffer.alloc(total)
  bytes.writeUInt32LE(disks.length, 0)
  let position = headBytes
  disks.forEach(([number, entries], index) => {
    bytes.writeUInt32LE(number, 4 + 8 * index)
    bytes.writeUInt32LE(entries.count, 8 + 8 * index)
    for (const array of [entries.offset, entries.bytes, entries.segment, entries.position, entries.stored]) {
      bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), position)
      position += array.byteLength
    }
    position = padded(position)
  })
  return bytes
}

export function decodeMap(encoded: Buffer): ReplicaMap {
  // Typed arrays want aligned memory, which a slice of a pooled buffer is not.
  const memory = new Uint8Array(encoded).buffer
  const view = new DataView(memory)
  const disks = view.getUint32(0, true)
  const map = new Map<number, ExtentMap>()
  let position = padded(4 + 8 * disks)
  for (let index = 0; index < disks; index += 1) {
    const count = view.getUint32(8 + 8 * index, true)
    invariant(position + count * ENTRY_BYTES <= memory.byteLength, 'an index holds the entries it announces')
    const words = position + count * 8
    map.set(view.getUint32(4 + 8 * index, true), {
      count,
      offset: new Float64Array(memory, position, count),
      bytes: new Uint32Array(memory, words, count),
      segment: new Uint32Array(memory, words + count * 4, count),
      position: new Uint32Array(memory, words + count * 8, count),
      stored: new Uint32Array(memory, words + count * 12, count),
    })
    position = padded(position + count * ENTRY_BYTES)
  }
  return map
}

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8
