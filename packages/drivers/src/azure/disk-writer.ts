// One disk of a point that is being written: gathers grains, sends them in large requests, keeps their sums.
import { roundDown, roundUp } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'
import type { Extent } from '@understudy/block/device'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import { ChangedSums } from './changed-sums.ts'
import { grainSum, type Summing, summingFor, sumsOf } from './grain-sums.ts'
import { type AzureLimits, REQUEST_BYTES } from './limits.ts'
import type { LivePages } from './live-pages.ts'
import type { StoredDisk } from './manifests.ts'
import { type Batch, PendingWindows, type Rooms } from './pending-windows.ts'
import type { RequestSlots } from './request-slots.ts'
import type { SnapshotRef } from './storage-calls.ts'
import { virtualBytes } from './vhd-footer.ts'

export type LiveDisk = { readonly content: LivePages; readonly sums: LivePages }

export type DiskWriterDeps = {
  readonly disk: { readonly key: StoredDisk['key']; readonly bytes: number; readonly blob: string }
  /** The number of the point. */
  readonly sequence: number
  readonly slots: RequestSlots
  /** Shared by all disks of the point, as the slots are. */
  readonly rooms: Rooms
  readonly limits: AzureLimits
  /** Aborts what is on its way when the point is given up. */
  readonly signal: AbortSignal
  /** Opens the blobs for writing; asked for once, at the first write. */
  open(): Promise<LiveDisk>
}

export class DiskWriter {
  readonly #deps: DiskWriterDeps
  readonly #summing: Summing
  readonly #pending: PendingWindows
  readonly #sums = new ChangedSums()
  /** Windows that hold pages, while the blob is new: elsewhere there is nothing to clear. */
  readonly #filled = new Set<number>()
  #live: Promise<LiveDisk> | null = null
  #partial: Promise<void> = Promise.resolve()
  #partialCount = 0
  #changedBytes = 0
  #sumTurn: Promise<void> = Promise.resolve()
  #isFlushing = false

  constructor(deps: DiskWriterDeps) {
    this.#deps = deps
    this.#pending = new PendingWindows(deps.rooms)
    this.#summing = summingFor(deps.disk.blob)
  }

  get disk(): DiskWriterDeps['disk'] {
    return this.#deps.disk
  }
  get isTouched(): boolean {
    return this.#live !== null
  }
  /** Bytes that were written or zeroed. */
  get changedBytes(): number {
    return this.#changedBytes
  }

  live(): Promise<LiveDisk> {
    this.#live ??= this.#deps.open()
    return this.#live
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#checkRange(offset, data.length)
    await this.live()
    await this.#inTurn(offset, data.length, async () => {
      await this.#eachPart(offset, data.length, {
        // Copied: the caller uses its buffer for something else afterwards.
        whole: ({ offset: start, bytes }) =>
          this.#pending.write(start, data.subarray(start - offset, start - offset + bytes)),
        part: async (start, end) => this.#patch(start, data.subarray(start - offset, end - offset)),
      })
    })
    this.#changedBytes += data.length
    await this.#relieve()
  }

  async zero(offset: number, bytes: number): Promise<void> {
    this.#checkRange(offset, bytes)
    await this.live()
    await this.#inTurn(offset, bytes, async () => {
      await this.#eachPart(offset, bytes, {
        whole: (range) => this.#zeroGrains(range),
        part: async (start, end) => this.#patch(start, Buffer.alloc(end - start)),
      })
    })
    this.#changedBytes += bytes
    await this.#relieve()
  }

  #checkRange(offset: number, bytes: number): void {
    const isInside = offset >= 0 && bytes > 0 && offset + bytes <= this.disk.bytes
    invariant(
      isInside && offset % 512 === 0 && bytes % 512 === 0,
      'whole sectors inside the disk are written',
    )
  }

  /**
   * Parts of grains are read, changed and kept again; while that goes on no other write may come between. Whole grains wait for
   * nobody else.
   */
  async #inTurn(offset: number, bytes: number, work: () => Promise<void>): Promise<void> {
    const end = offset + bytes
    const isWhole = offset % GRAIN_BYTES === 0 && (end % GRAIN_BYTES === 0 || end === this.disk.bytes)
    while (this.#partialCount > 0 && isWhole) await this.#partial
    if (isWhole) return await work()
    this.#partialCount += 1
    const mine = this.#partial.then(work).finally(() => {
      this.#partialCount -= 1
    })
    this.#partial = mine.catch(() => {})
    await mine
  }

  async #eachPart(
    offset: number,
    bytes: number,
    todo: {
      whole(range: Extent): void
      part(start: number, end: number): Promise<void>
    },
  ): Promise<void> {
    // Behind the end of the disk its last grain reads as zeros, for good.
    const end = offset + bytes === this.disk.bytes ? roundUp(offset + bytes, GRAIN_BYTES) : offset + bytes
    const first = roundUp(offset, GRAIN_BYTES)
    const last = roundDown(end, GRAIN_BYTES)
    const dataEnd = offset + bytes
    if (first > last) return await todo.part(offset, dataEnd)
    if (offset < first) await todo.part(offset, first)
    const wholeEnd = Math.min(last, roundDown(dataEnd, GRAIN_BYTES))
    if (first < wholeEnd) todo.whole({ offset: first, bytes: wholeEnd - first })
    if (wholeEnd < dataEnd && wholeEnd >= first) await todo.part(wholeEnd, dataEnd)
  }

  /** `data` is part of one grain. */
  async #patch(offset: number, data: Buffer): Promise<void> {
    const grain = Math.floor(offset / GRAIN_BYTES)
    const start = grain * GRAIN_BYTES
    const content = this.#pending.read(grain) ?? (await this.#readLive({ offset: start, bytes: GRAIN_BYTES }))
    data.copy(content, offset - start)
    this.#pending.write(start, content)
  }

  async #readLive(range: Extent): Promise<Buffer> {
    const { content } = await this.live()
    // What was sent before may still wait for a connection.
    await this.#deps.slots.waitBelow(0)
    return Buffer.from(await content.read(range, this.#deps.signal))
  }

  /** The disk was larger: what lies behind its end must not come back when it grows again. */
  async clearBehindEnd(largerBytes: number): Promise<void> {
    const { bytes } = this.disk
    await this.live()
    const tail = bytes % GRAIN_BYTES
    if (tail > 0) await this.#patch(bytes, Buffer.alloc(GRAIN_BYTES - tail))
    const end = Math.min(roundUp(largerBytes, GRAIN_BYTES), virtualBytes(bytes))
    const start = roundUp(bytes, GRAIN_BYTES)
    if (start < end) this.#pending.zero({ offset: start, bytes: end - start })
  }

  /** Whole windows are cleared at once, in one request; what is left at the ends waits for neighbours. */
  #zeroGrains({ offset, bytes }: Extent): void {
    const first = roundUp(offset, REQUEST_BYTES)
    const last = roundDown(offset + bytes, REQUEST_BYTES)
    if (first >= last) {
      this.#pending.zero({ offset, bytes })
      return
    }
    this.#pending.zero({ offset, bytes: first - offset })
    this.#pending.zero({ offset: last, bytes: offset + bytes - last })
    this.#clearWindows({ offset: first, bytes: last - first })
  }

  #clearWindows(range: Extent): void {
    this.#pending.drop(range)
    const sums = sumsOf(range)
    this.#sums.drop(sums)
    this.#startSums(async ({ sums: blob }) => {
      if (!blob.isFresh || blob.writtenBytes > 0) await blob.clear(sums.offset, sums.bytes, this.#deps.signal)
    })
    this.#startClear(range)
  }

  // --- sending

  async #relieve(): Promise<void> {
    const { slots, limits } = this.#deps
    this.#sendAll(this.#pending.takeFull())
    if (this.#pending.bytes >= limits.gatherBytes) this.#sendAll(this.#pending.takeAll())
    if (this.#sums.pageCount >= limits.sumPages && !this.#isFlushing) this.#flushSums()
    await slots.waitBelow(limits.bufferBytes)
  }

  /** They do not overlap. Zeros first: in a new blob they are nothing to do where nothing has been sent yet. */
  #sendAll(batches: readonly Batch[]): void {
    for (const batch of batches) if (batch.data === 'zero') this.#send(batch)
    for (const batch of batches) if (batch.data !== 'zero') this.#send(batch)
  }

  #send(batch: Batch): void {
    const { data, offset, bytes } = batch
    if (data === 'zero') {
      for (let at = 0; at < bytes; at += GRAIN_BYTES)
        this.#sums.set((offset + at) / GRAIN_BYTES, 0, this.#deps.sequence)
      this.#startClear({ offset, bytes })
      return
    }
    for (let at = 0; at < bytes; at += GRAIN_BYTES) {
      const grain = (offset + at) / GRAIN_BYTES
      const sum = grainSum(this.#summing, grain, data.subarray(at, at + GRAIN_BYTES))
      this.#sums.set(grain, sum, this.#deps.sequence)
    }
    // Filled from now on, and not only when it has arrived: a clearing that comes later must not be left out.
    this.#filled.add(Math.floor(offset / REQUEST_BYTES))
    this.#deps.slots.start(bytes, async () => {
      const { content } = await this.live()
      await content.put(offset, data, this.#deps.signal)
      batch.arrived()
    })
  }

  #startClear(range: Extent): void {
    const needed = this.#isFilled(range)
    this.#deps.slots.start(0, async () => {
      const { content } = await this.live()
      if (needed || !content.isFresh) await content.clear(range.offset, range.bytes, this.#deps.signal)
    })
  }

  #isFilled({ offset, bytes }: Extent): boolean {
    const first = Math.floor(offset / REQUEST_BYTES)
    const end = Math.ceil((offset + bytes) / REQUEST_BYTES)
    if (end - first > this.#filled.size)
      return [...this.#filled].some((window) => window >= first && window < end)
    for (let window = first; window < end; window += 1) if (this.#filled.has(window)) return true
    return false
  }

  #flushSums(): void {
    this.#isFlushing = true
    this.#startSums(async ({ sums }) => {
      this.#isFlushing = false
      await this.#sums.flush(sums, this.#deps.signal)
    })
  }

  /** One after the other: a page of sums that is read, completed and written must not meet another. */
  #startSums(work: (live: LiveDisk) => Promise<void>): void {
    const mine = this.#sumTurn.then(async () => work(await this.live()))
    this.#sumTurn = mine.catch(() => {})
    this.#deps.slots.start(0, () => mine)
  }

  /** Everything is on its way when this returns; `slots` tell when it has arrived. */
  sendRest(): void {
    if (!this.isTouched) return
    this.#sendAll(this.#pending.takeAll())
    this.#flushSums()
  }

  /** The disk as it is now. Everything has arrived. */
  async seal(): Promise<StoredDisk> {
    const { content, sums } = await this.live()
    const [contentTaken, sumsTaken] = await Promise.all([content.seal(), sums.seal()])
    const strip = ({ snapshot, etag }: SnapshotRef) => ({ snapshot, etag })
    return { ...this.disk, content: strip(contentTaken), sums: strip(sumsTaken) }
  }

  async storedBytes(): Promise<number> {
    const { content, sums } = await this.live()
    return content.writtenBytes + sums.writtenBytes
  }
}
