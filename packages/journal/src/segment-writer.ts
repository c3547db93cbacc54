// Appends records to segment files, starting a new one when the last is full. Used by points and by reclaiming alike.
import { crc32 } from 'node:zlib'
import { invariant, present } from '@understudy/base/invariant'
import type { FileHandle } from '@understudy/block/file-system'
import { encodeMap, entryCount, type ReplicaMap } from './extent-map.ts'
import { encodeRecord, type PreparedRecord } from './record.ts'
import type { ReplicaCore } from './replica-core.ts'
import type { IndexRef } from './replica-state.ts'
import { SEGMENT_HEAD_BYTES } from './segment-files.ts'

type OpenSegment = {
  readonly number: number
  readonly handle: FileHandle
  readonly key: Buffer | null
  bytes: number
}

export type RecordLocation = { readonly segment: number; readonly position: number; readonly stored: number }

export class SegmentWriter {
  readonly #core: ReplicaCore
  readonly #segments: OpenSegment[] = []
  #turn: Promise<unknown> = Promise.resolve()

  constructor(core: ReplicaCore) {
    this.#core = core
  }

  get numbers(): readonly number[] {
    return this.#segments.map(({ number }) => number)
  }

  get sizes(): readonly { readonly number: number; readonly bytes: number }[] {
    return this.#segments.map(({ number, bytes }) => ({ number, bytes }))
  }

  get storedBytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Writes the records side by side into one segment. May run concurrently with itself. */
  async append(records: readonly PreparedRecord[]): Promise<RecordLocation[]> {
    const bytes = records.reduce((sum, { storedBytes }) => sum + storedBytes, 0)
    const { segment, position } = await this.#reserve(bytes)
    const parts: Buffer[] = []
    const locations: RecordLocation[] = []
    let at = position
    for (const record of records) {
      parts.push(...encodeRecord(record, { segment: segment.number, position: at, key: segment.key }))
      locations.push({ segment: segment.number, position: at, stored: record.storedBytes })
      at += record.storedBytes
    }
    await segment.handle.write(parts, position)
    return locations
  }

  /** Null when the map is empty: nothing has to be looked up then. */
  async appendIndex(map: ReplicaMap): Promise<IndexRef | null> {
    const entries = entryCount(map)
    if (entries === 0) return null
    const encoded = encodeMap(map)
    const { segment, position } = await this.#reserve(encoded.length)
    await segment.handle.write([encoded], position)
    return { segment: segment.number, position, bytes: encoded.length, crc: crc32(encoded), entries }
  }

  /** Everything appended is durable, names included. */
  async sync(): Promise<void> {
    if (this.#segments.length === 0) return
    await Promise.all([
      ...this.#segments.map(({ handle }) => handle.sync()),
      this.#core.deps.fs.syncFolder(this.#core.folder('segments')),
    ])
  }

  async close(): Promise<void> {
    await this.#turn
    await Promise.all(this.#segments.map(({ handle }) => handle.close()))
  }

  /** Space at the end of the last segment. What a failed write leaves there is never written over: its nonce is spent. */
  #reserve(bytes: number): Promise<{ segment: OpenSegment; position: number }> {
    const reserved = this.#turn.then(async () => {
      const segment = await this.#segmentWithRoom(bytes)
      const position = segment.bytes
      segment.bytes += bytes
      invariant(segment.bytes < 2 ** 32, 'positions in a segment have 32 bits')
      return { segment, position }
    })
    this.#turn = reserved.catch(() => {})
    return reserved
  }

  async #segmentWithRoom(bytes: number): Promise<OpenSegment> {
    const last = this.#segments.at(-1)
    const isFull = last === undefined || last.bytes + bytes > this.#core.deps.limits.segmentBytes
    // A block larger than a whole segment, as the index of a huge disk, gets one for itself.
    if (!isFull || last?.bytes === SEGMENT_HEAD_BYTES)
      return present(last, 'a segment that is not full is there')
    const { number, handle, head } = await this.#core.createSegment()
    const segment = { number, handle, key: head.key, bytes: SEGMENT_HEAD_BYTES }
    this.#segments.push(segment)
    await handle.write([head.bytes], 0)
    return segment
  }
}
