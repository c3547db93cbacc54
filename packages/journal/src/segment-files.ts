// Segment files: a head, records one after the other, and at the end the index that says what they are for.
//
//    0  8 bytes "UNDSEGM1" | u32 number | u32 1: encrypted | 32 bytes salt | u32 crc32 of the 48 bytes before | 12 zeros
//   64  records and index blocks, in any order; the log knows where an index block is
//
// The salt is fresh for every file and makes its key: no nonce can meet the same key twice, whatever a crash undoes.
import { hkdfSync, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import { decodeMap, type ReplicaMap } from './extent-map.ts'
import { damaged } from './failures.ts'
import type { IndexRef } from './replica-state.ts'

export const SEGMENT_HEAD_BYTES = 64
const MAGIC = Buffer.from('UNDSEGM1')

export const segmentName = (number: number): string => String(number).padStart(10, '0')

export type SegmentHead = { readonly bytes: Buffer; readonly key: Buffer | null }

export function newSegmentHead(number: number, masterKey: Buffer | null): SegmentHead {
  const bytes = Buffer.alloc(SEGMENT_HEAD_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(number, 8)
  bytes.writeUInt32LE(masterKey === null ? 0 : 1, 12)
  randomBytes(32).copy(bytes, 16)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 48)), 48)
  return { bytes, key: segmentKey(masterKey, bytes) }
}

const segmentKey = (masterKey: Buffer | null, head: Buffer): Buffer | null =>
  masterKey === null
    ? null
    : Buffer.from(hkdfSync('sha256', masterKey, head.subarray(16, 48), 'understudy journal segment', 32))

type OpenFile = { readonly handle: FileHandle; readonly key: Buffer | null }
type Slot = { readonly opening: Promise<OpenFile>; users: number }

/** Reads segments through a bounded number of open files. */
export class SegmentFiles {
  readonly #fs: FileSystem
  readonly #folder: string
  readonly #masterKey: Buffer | null
  readonly #openFiles: number
  readonly #slots = new Map<number, Slot>()

  constructor(fs: FileSystem, folder: string, masterKey: Buffer | null, openFiles: number) {
    this.#fs = fs
    this.#folder = folder
    this.#masterKey = masterKey
    this.#openFiles = openFiles
  }

  path(number: number): string {
    return `${this.#folder}/${segmentName(number)}`
  }

  /** May be shorter than asked for when the file is cut off: records and indexes then fail their check. */
  read(number: number, position: number, bytes: number): Promise<{ data: Buffer; key: Buffer | null }> {
    return this.#with(number, async ({ handle, key }) => {
      const data = Buffer.allocUnsafeSlow(bytes)
      const filled = await handle.read(data, position)
      return { data: data.subarray(0, filled), key }
    })
  }

  async readIndex(index: IndexRef): Promise<ReplicaMap> {
    const { data } = await this.read(index.segment, index.position, index.bytes)
    if (data.length !== index.bytes || crc32(data) !== index.crc)
      throw damaged({
        disk: null,
        offset: index.position,
        bytes: index.bytes,
        why: `the index in segment ${index.segment} does not match its checksum`,
      })
    return decodeMap(data)
  }

  /** Closes the file if it is open; before it is deleted. */
  async forget(number: number): Promise<void> {
    const slot = this.#slots.get(number)
    if (slot === undefined || slot.users > 0) return
    this.#slots.delete(number)
    await closeSlot(slot)
  }

  /** Closes what nobody reads at this moment. The next read opens it again. */
  async closeUnused(): Promise<void> {
    const unused = [...this.#slots].filter(([, { users }]) => users === 0)
    for (const [number] of unused) this.#slots.delete(number)
    await Promise.all(unused.map(([, slot]) => closeSlot(slot)))
  }

  async close(): Promise<void> {
    const slots = [...this.#slots.values()]
    this.#slots.clear()
    await Promise.all(slots.map(closeSlot))
  }

  async #with<Result>(number: number, work: (file: OpenFile) => Promise<Result>): Promise<Result> {
    const slot = this.#slots.get(number) ?? { opening: this.#open(number), users: 0 }
    // Last used is last in the map.
    this.#slots.delete(number)
    this.#slots.set(number, slot)
    slot.users += 1
    try {
      return await work(await slot.opening)
    } catch (error) {
      if (this.#slots.get(number) === slot && slot.users === 1) await this.#discard(number, slot)
      throw error
    } finally {
      slot.users -= 1
      await this.#evict()
    }
  }

  async #discard(number: number, slot: Slot): Promise<void> {
    this.#slots.delete(number)
    await closeSlot(slot)
  }

  async #open(number: number): Promise<OpenFile> {
    const handle = await this.#fs.open(this.path(number), 'read')
    try {
      const head = Buffer.alloc(SEGMENT_HEAD_BYTES)
      const filled = await handle.read(head, 0)
      const why = headDamage(head.subarray(0, filled), number)
      if (why !== null) throw damaged({ disk: null, offset: 0, bytes: SEGMENT_HEAD_BYTES, why })
      return { handle, key: segmentKey(this.#masterKey, head) }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async #evict(): Promise<void> {
    if (this.#slots.size <= this.#openFiles) return
    for (const [number, slot] of this.#slots) {
      if (slot.users > 0) continue
      this.#slots.delete(number)
      await closeSlot(slot)
      if (this.#slots.size <= this.#openFiles) return
    }
  }
}

async function closeSlot(slot: Slot): Promise<void> {
  const file = await slot.opening.catch(() => null)
  await file?.handle.close()
}

function headDamage(head: Buffer, number: number): string | null {
  if (head.length < SEGMENT_HEAD_BYTES || !head.subarray(0, 8).equals(MAGIC))
    return `segment ${number} is no segment file`
  if (crc32(head.subarray(0, 48)) !== head.readUInt32LE(48))
    return `the head of segment ${number} does not match its checksum`
  if (head.readUInt32LE(8) !== number) return `segment ${number} is another segment's file`
  return null
}
