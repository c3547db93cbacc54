// Appends records to segment files, starting a new one when the last is full. Used by points and by reclaiming alike.
import { crc32 } from 'node:zlib'
import { MiB } from '@understudy/base/bytes'
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
  readonly queue: QueuedWrite[]
  isFlushing: boolean
  /** Written since the last sync behind the copy began. */
  unsyncedBytes: number
  /** Under way behind the copy; it never rejects. */
  syncing: Promise<void> | null
  /** A system reports a failed write-out once: no later sync of this file may hide it. */
  syncFailure: { readonly error: unknown } | null
}

type QueuedWrite = {
  readonly parts: readonly Buffer[]
  readonly position: number
  readonly bytes: number
  resolve(): void
  reject(error: unknown): void
}

/** Writes that wait for the same file go out together up to this size: hundreds of 4 KiB in one call. */
const TOGETHER_BYTES = 4 * MiB

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
    await enqueue(segment, { parts, position, bytes })
    this.#syncBehind(segment, bytes)
    return locations
  }

  /** Null when the map is empty: nothing has to be looked up then. */
  async appendIndex(map: ReplicaMap): Promise<IndexRef | null> {
    const entries = entryCount(map)
    if (entries === 0) return null
    const encoded = encodeMap(map)
    const { segment, position } = await this.#reserve(encoded.length)
    await enqueue(segment, { parts: [encoded], position, bytes: encoded.length })
    return { segment: segment.number, position, bytes: encoded.length, crc: crc32(encoded), entries }
  }

  /** Everything appended is durable, names included. */
  async sync(): Promise<void> {
    if (this.#segments.length === 0) return
    await Promise.all([
      ...this.#segments.map(syncSegment),
      this.#core.deps.fs.syncFolder(this.#core.folder('segments')),
    ])
  }

  async close(): Promise<void> {
    await this.#turn
    await Promise.all(
      this.#segments.map(async ({ handle, syncing }) => {
        await syncing
        await handle.close()
      }),
    )
  }

  /** Keeps the medium busy while the next content is still on its way, instead of idle first and waited for at the end. */
  #syncBehind(segment: OpenSegment, bytes: number): void {
    throwSyncFailure(segment)
    segment.unsyncedBytes += bytes
    if (segment.syncing !== null || segment.unsyncedBytes < this.#core.deps.limits.syncBehindBytes) return
    segment.unsyncedBytes = 0
    segment.syncing = segment.handle
      .sync()
      .catch((error: unknown) => {
        segment.syncFailure = { error }
      })
      .then(() => {
        segment.syncing = null
      })
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
    const segment: OpenSegment = {
      number,
      handle,
      key: head.key,
      bytes: SEGMENT_HEAD_BYTES,
      queue: [],
      isFlushing: false,
      unsyncedBytes: 0,
      syncing: null,
      syncFailure: null,
    }
    this.#segments.push(segment)
    await enqueue(segment, { parts: [head.bytes], position: 0, bytes: SEGMENT_HEAD_BYTES })
    return segment
  }
}

async function syncSegment(segment: OpenSegment): Promise<void> {
  await segment.syncing
  throwSyncFailure(segment)
  await segment.handle.sync()
}

function throwSyncFailure({ syncFailure }: OpenSegment): void {
  if (syncFailure !== null) throw syncFailure.error
}

/** Resolves when the operating system has it. */
function enqueue(
  segment: OpenSegment,
  write: { readonly parts: readonly Buffer[]; readonly position: number; readonly bytes: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    segment.queue.push({ ...write, resolve, reject })
    if (!segment.isFlushing) void flush(segment)
  })
}

/** Never rejects: each write is told its own fate. */
async function flush(segment: OpenSegment): Promise<void> {
  segment.isFlushing = true
  for (
    let together = takeTogether(segment.queue);
    together.length > 0;
    together = takeTogether(segment.queue)
  ) {
    const parts = together.flatMap((write) => write.parts)
    try {
      await segment.handle.write(parts, together[0]?.position ?? 0)
      for (const { resolve } of together) resolve()
    } catch (error) {
      for (const { reject } of together) reject(error)
    }
  }
  segment.isFlushing = false
}

/** From the front of the queue, as long as they follow each other in the file. */
function takeTogether(queue: QueuedWrite[]): QueuedWrite[] {
  let count = 0
  let bytes = 0
  for (const write of queue) {
    const first = queue[0]
    const follows = first !== undefined && write.position === first.position + bytes
    if (count > 0 && (!follows || bytes + write.bytes > TOGETHER_BYTES)) break
    bytes += write.bytes
    count += 1
  }
  return queue.splice(0, count)
}
