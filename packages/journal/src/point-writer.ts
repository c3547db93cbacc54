// A recovery point while it is written. Content goes to segment files that nobody knows of; `seal` makes them durable and then
// names them in the log, for all disks in one line.
import { KiB, MiB } from '@understudy/base/bytes'
import type { Instant } from '@understudy/base/instant'
import { invariant, present } from '@understudy/base/invariant'
import { zeroRuns } from '@understudy/block/zero-detection'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointDisk, PointFacts, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { unfinishedOf } from '@understudy/domain/recovery-points/unfinished'
import type { PointWriter } from '@understudy/engine/ports/replica-store'
import { type ExtentMap, ExtentMapBuilder, fromWrites, type ReplicaMap } from './extent-map.ts'
import { diskFull, onDisk } from './failures.ts'
import { type PreparedRecord, prepareRecord } from './record.ts'
import type { ReplicaCore, Writer } from './replica-core.ts'
import type { StoredPoint } from './replica-state.ts'
import { segmentFacts } from './segment-facts.ts'
import { SegmentWriter } from './segment-writer.ts'

/** Encoded and written in one go: large enough for the disk, small enough not to hold the event loop. */
const BATCH_BYTES = 512 * KiB
const ROOM_CHECK_BYTES = 64 * MiB

type DiskBeingWritten = { readonly number: number; readonly bytes: number; readonly writes: ExtentMapBuilder }

export async function beginPoint(
  core: ReplicaCore,
  writer: Writer,
  disks: readonly PointDisk[],
): Promise<JournalPointWriter> {
  await checkRoom(core)
  return new JournalPointWriter(core, writer, disks)
}

/** Some room stays free, or a full disk could not even be relieved by folding. */
async function checkRoom(core: ReplicaCore): Promise<void> {
  const { fs, folder, limits } = core.deps
  if (limits.reservedBytes > 0 && (await onDisk(() => fs.freeBytes(folder))) < limits.reservedBytes)
    throw diskFull()
}

export class JournalPointWriter implements PointWriter {
  readonly #core: ReplicaCore
  readonly #writer: Writer
  readonly #pointDisks: readonly PointDisk[]
  readonly #diskKeys: DiskKey[]
  readonly #disks = new Map<DiskKey, DiskBeingWritten>()
  readonly #segments: SegmentWriter
  #state: 'open' | 'sealing' | 'sealed' | 'aborted' = 'open'
  #changedBytes = 0
  readonly #running = new Set<Promise<unknown>>()
  #isDropped = false
  #uncheckedBytes = 0
  #incompressible = 0

  constructor(core: ReplicaCore, writer: Writer, disks: readonly PointDisk[]) {
    this.#core = core
    this.#writer = writer
    this.#pointDisks = disks.map(({ key, bytes }) => ({ key, bytes }))
    this.#segments = new SegmentWriter(core)
    this.#diskKeys = [...core.state.diskKeys]
    for (const disk of this.#pointDisks) this.#disks.set(disk.key, this.#begin(disk))
  }

  async write(disk: DiskKey, offset: number, data: Buffer, signal?: AbortSignal): Promise<void> {
    const target = this.#target(disk, offset, data.length)
    await this.#counted(async () => {
      for (let done = 0; done < data.length; ) {
        signal?.throwIfAborted()
        invariant(this.#state === 'open', 'a point is written before it is sealed or aborted')
        const bytes = Math.min(BATCH_BYTES, data.length - done)
        await this.#writeBatch(target, offset + done, data.subarray(done, done + bytes))
        done += bytes
      }
      this.#changedBytes += data.length
    })
  }

  async zero(disk: DiskKey, offset: number, bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const target = this.#target(disk, offset, bytes)
    if (bytes === 0) return
    target.writes.pushZeros(offset, bytes)
    this.#changedBytes += bytes
  }

  async seal(facts: PointFacts): Promise<RecoveryPoint> {
    invariant(this.#state === 'open', 'a point is sealed once')
    invariant(this.#running.size === 0, 'every write has resolved before its point is sealed')
    this.#core.checkWriter(this.#writer)
    this.#state = 'sealing'
    const sealing = this.#sealNow(facts)
    this.#running.add(sealing.catch(() => {}))
    return await sealing
  }

  /** While a seal is under way its outcome counts: what may be in the log is not dropped. */
  async abort(): Promise<void> {
    if (this.#state === 'open') this.#state = 'aborted'
    while (this.#running.size > 0) await this.#settleRunning()
    if (this.#state === 'sealed' || this.#isDropped) return
    this.#isDropped = true
    this.#state = 'aborted'
    this.#writer.pointOpen = false
    await this.#segments.close().catch(() => {})
    this.#core.dropSegments(this.#segments.numbers)
    await onDisk(() => this.#core.deleteDoomed())
  }

  async #settleRunning(): Promise<void> {
    const running = [...this.#running]
    await Promise.allSettled(running)
    for (const one of running) this.#running.delete(one)
  }

  async #sealNow(facts: PointFacts): Promise<RecoveryPoint> {
    const map = this.#map()
    const index = await onDisk(async () => {
      const written = await this.#segments.appendIndex(map)
      await this.#segments.sync()
      return written
    })
    const segments = segmentFacts(this.#segments.sizes, map)
    const sealed: StoredPoint[] = []
    await this.#core.commit(this.#writer, () => {
      const sequence = this.#core.state.sequence + 1
      const below = this.#core.state.layers.at(-1)?.last ?? 0
      const stored = this.#pointOf(facts, sequence, this.#core.deps.clock.now())
      sealed.push(stored)
      const layer = { first: below + 1, last: sequence, index, segments }
      const kind = stored.unfinished === undefined ? 'seal' : 'seal-unfinished'
      return { kind, point: stored, layer, disks: this.#diskKeys }
    })
    this.#state = 'sealed'
    this.#writer.pointOpen = false
    this.#core.keepSegments(this.#segments.numbers)
    await this.#segments.close()
    return this.#core.recoveryPoint(present(sealed[0], 'a sealed point is stored'))
  }

  /** What a disk reads as beyond what its base has is zeros, whatever older points kept there. */
  #begin({ key, bytes }: PointDisk): DiskBeingWritten {
    invariant(bytes > 0 && bytes % 512 === 0, 'the size of a disk is a multiple of 512')
    const isNew = !this.#diskKeys.includes(key)
    if (isNew) this.#diskKeys.push(key)
    const disk = { number: this.#diskKeys.indexOf(key), bytes, writes: new ExtentMapBuilder() }
    const before = this.#core.state.points.at(-1)?.disks.find((other) => other.key === key)?.bytes ?? 0
    if (!isNew && bytes > before) disk.writes.pushZeros(before, bytes - before)
    return disk
  }

  #target(key: DiskKey, offset: number, bytes: number): DiskBeingWritten {
    invariant(this.#state === 'open', 'a point is written before it is sealed or aborted')
    const disk = present(this.#disks.get(key), `disk ${key} belongs to the point`)
    invariant(offset >= 0 && bytes >= 0 && offset + bytes <= disk.bytes, `a write lies inside disk ${key}`)
    return disk
  }

  async #counted(work: () => Promise<void>): Promise<void> {
    const running = onDisk(work)
    const settled = running.catch(() => {})
    this.#running.add(settled)
    try {
      await running
    } finally {
      this.#running.delete(settled)
    }
  }

  async #writeBatch(disk: DiskBeingWritten, offset: number, data: Buffer): Promise<void> {
    const records: PreparedRecord[] = []
    const zeros: { readonly offset: number; readonly bytes: number }[] = []
    for (const run of zeroRuns(data, offset)) {
      if (run.kind === 'zero') zeros.push(run)
      else
        records.push(
          ...this.#prepare(
            disk,
            run.offset,
            data.subarray(run.offset - offset, run.offset - offset + run.bytes),
          ),
        )
    }
    await this.#checkRoomFor(records)
    const locations = records.length === 0 ? [] : await this.#segments.append(records)
    // Entered only now: an entry that is pushed later wins, and a later write begins after this one has resolved.
    for (const zero of zeros) disk.writes.pushZeros(zero.offset, zero.bytes)
    records.forEach((record, index) => {
      const { segment, position, stored } = present(locations[index], 'every record has a place')
      disk.writes.push(record.offset, record.data.length, segment, position, stored)
    })
  }

  /** Cut at multiples of the record size, so that small reads stay cheap and a rewrite of one part leaves the others whole. */
  #prepare(disk: DiskBeingWritten, offset: number, data: Buffer): PreparedRecord[] {
    const { limits, masterKey } = this.#core.deps
    const records: PreparedRecord[] = []
    for (let done = 0; done < data.length; ) {
      const bytes = Math.min(data.length - done, limits.recordBytes - ((offset + done) % limits.recordBytes))
      const content = { disk: disk.number, offset: offset + done, data: data.subarray(done, done + bytes) }
      const record = prepareRecord(content, this.#worthCompressing(), masterKey !== null)
      this.#incompressible = record.payload.length < bytes ? 0 : this.#incompressible + 1
      records.push(record)
      done += bytes
    }
    return records
  }

  /**
   * Among content that does not shrink (media, archives, encrypted disks) fewer and fewer records are tried: trying costs
   * as much as everything else together. The first that shrinks ends it.
   */
  #worthCompressing(): boolean {
    if (!this.#core.deps.facts.compress) return false
    const every = this.#incompressible < 8 ? 1 : this.#incompressible < 64 ? 8 : 64
    return this.#incompressible % every === 0
  }

  /** Asked again every 64 MiB: another replica may have filled the disk meanwhile. */
  async #checkRoomFor(records: readonly PreparedRecord[]): Promise<void> {
    for (const { storedBytes } of records) this.#uncheckedBytes += storedBytes
    if (this.#uncheckedBytes < ROOM_CHECK_BYTES) return
    this.#uncheckedBytes = 0
    await checkRoom(this.#core)
  }

  #map(): ReplicaMap {
    const map = new Map<number, ExtentMap>()
    for (const { number, writes } of this.#disks.values()) map.set(number, fromWrites(writes.finish()))
    return map
  }

  #pointOf(facts: PointFacts, sequence: number, sealedAt: Instant): StoredPoint {
    const base = unfinishedOf(this.#core.everyPoint())
    const { instant, consistency, consistencyNote, checkpoint, cycle, group, unfinished } = facts
    return {
      instant,
      consistency,
      consistencyNote,
      checkpoint,
      cycle,
      ...(group ? { group } : {}),
      ...(unfinished === undefined ? {} : { unfinished }),
      sequence,
      sealedAt,
      disks: this.#pointDisks,
      changedBytes: this.#changedBytes + (base?.changedBytes ?? 0),
      storedBytes: this.#segments.storedBytes + (base?.storedBytes ?? 0),
    }
  }
}
