// One replica as this process knows it, shared by all who have it open: its state, its files, who may write, and which files
// must stay because somebody reads them.
import type { Clock } from '@understudy/base/instant'
import { invariant, present } from '@understudy/base/invariant'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type {
  PointAnnotations,
  PointId,
  RecoveryPoint,
} from '@understudy/domain/recovery-points/recovery-point'
import { newerWriter, notFound, pointNotFound } from '@understudy/engine/ports/replica-failures'
import { claimEpoch, newestEpoch } from './epochs.ts'
import { isMissing, isTaken, onDisk } from './failures.ts'
import type { JournalLimits } from './limits.ts'
import { loadAnnotations, loadHolds } from './point-marks.ts'
import { RecordCache } from './record-cache.ts'
import {
  applyChange,
  type Change,
  emptyState,
  type ReplicaState,
  type StoredPoint,
  segmentsOf,
} from './replica-state.ts'
import { newSegmentHead, SegmentFiles, type SegmentHead, segmentName } from './segment-files.ts'
import { LogWriter, loadState } from './state-log.ts'

export type ReplicaFacts = {
  readonly id: ReplicaId
  readonly machineName: string
  readonly compress: boolean
  readonly encrypt: boolean
}

export type CoreDeps = {
  readonly fs: FileSystem
  readonly folder: string
  readonly facts: ReplicaFacts
  readonly masterKey: Buffer | null
  readonly clock: Clock
  readonly limits: JournalLimits
}

/** The one handle that may write, and whether it has a point open. */
export type Writer = { readonly epoch: number; pointOpen: boolean }

export const pointIdOf = (sequence: number): PointId => String(sequence).padStart(12, '0') as PointId
export const sequenceOf = (id: PointId): number => Number(id)

export class ReplicaCore {
  readonly deps: CoreDeps
  readonly files: SegmentFiles
  readonly cache: RecordCache
  state: ReplicaState = emptyState()
  writer: Writer | null = null
  #annotations = new Map<PointId, PointAnnotations>()
  #holds = new Map<PointId, readonly string[]>()
  #log: LogWriter | null = null
  #lost = false
  #deleted = false
  #loaded = ''
  #turn: Promise<unknown> = Promise.resolve()
  #points: readonly RecoveryPoint[] | null = null
  // Files in use, and files to delete once they are not.
  #writing = new Set<number>()
  #retained = new Map<number, number>()
  #doomed = new Map<number, number>()
  #doubtful = new Set<number>()
  #loading = new Set<{ readonly version: number }>()
  #version = 0

  constructor(deps: CoreDeps) {
    this.deps = deps
    this.files = new SegmentFiles(deps.fs, `${deps.folder}/segments`, deps.masterKey, deps.limits.openFiles)
    this.cache = new RecordCache(deps.limits.cacheBytes)
  }

  get machineName(): string {
    return this.deps.facts.machineName
  }

  folder(name: 'epochs' | 'log' | 'segments' | 'holds' | 'annotations'): string {
    return `${this.deps.folder}/${name}`
  }

  // --- opening

  /** Takes in what other processes have done since, unless this process is the writer and still the newest. */
  async refresh(): Promise<void> {
    await this.#inTurn(async () => {
      const { fs } = this.deps
      const isOwner = this.#log !== null && !this.#lost
      if (isOwner && (await newestEpoch(fs, this.folder('epochs'))) <= (this.writer?.epoch ?? 0))
        return this.#reloadMarks()
      if (isOwner) {
        this.#lost = true
        this.#loaded = ''
      }
      await this.#reload()
    })
  }

  async openForWriting(epoch: number): Promise<Writer> {
    return await this.#inTurn(async () => {
      const { fs } = this.deps
      await claimEpoch(fs, this.folder('epochs'), { epoch, machineName: this.machineName })
      const continues = this.#log !== null && !this.#lost && this.writer?.epoch === epoch
      if (!continues) await this.#takeOver(epoch)
      else await this.#reloadMarks()
      const writer = { epoch, pointOpen: false }
      this.writer = writer
      return writer
    })
  }

  async #takeOver(epoch: number): Promise<void> {
    await this.#log?.close()
    this.#log = null
    this.writer = null
    this.#loaded = ''
    await this.#reload()
    // Whoever was deciding about them has been overtaken: what it still writes is read by nobody.
    this.state.leaving = []
    // A number that ever named a file names no other: a predecessor that still lives deletes its own files by number.
    const found = (await this.deps.fs.list(this.folder('segments'))).map(Number)
    this.state.segment = found.reduce((highest, number) => Math.max(highest, number), this.state.segment)
    const log = new LogWriter(this.deps.fs, this.folder('log'), epoch)
    await log.pack(this.state)
    this.#log = log
    this.#lost = false
    for (const number of this.#doubtful) this.#writing.delete(number)
    this.#doubtful.clear()
    await this.#sweep(found)
  }

  async #reload(): Promise<void> {
    const { state, name, bytes } = await loadState(this.deps.fs, this.folder('log'))
    const loaded = `${name} ${bytes}`
    if (loaded !== this.#loaded) this.state = state
    this.#loaded = loaded
    await this.#reloadMarks()
  }

  async refreshMarks(): Promise<void> {
    await this.#inTurn(() => this.#reloadMarks())
  }

  async #reloadMarks(): Promise<void> {
    const { fs } = this.deps
    this.#annotations = await loadAnnotations(fs, this.folder('annotations'))
    this.#holds = await loadHolds(fs, this.folder('holds'))
    this.#points = null
  }

  /** What no sealed point and nobody in this process needs is left over from a crash. */
  async #sweep(found: readonly number[]): Promise<void> {
    const needed = segmentsOf(this.state)
    for (const number of found) {
      const inUse =
        needed.has(number) ||
        this.#writing.has(number) ||
        this.#doomed.has(number) ||
        this.#retained.has(number)
      if (!inUse) await this.#unlinkSegment(number)
    }
  }

  // --- points

  /** Unfinished copies among them. */
  everyPoint(): readonly RecoveryPoint[] {
    this.#points ??= this.state.points.map((point) => this.recoveryPoint(point))
    return this.#points
  }

  /** A seal every few seconds must not cost a look at every point there is. */
  #updatePoints(change: Change): void {
    const isSeal = change.kind === 'seal' || change.kind === 'seal-unfinished'
    if (isSeal && this.#points !== null)
      this.#points = [...(this.#points ?? []), this.recoveryPoint(change.point)]
    else if (change.kind !== 'run' && change.kind !== 'merge') this.#points = null
  }

  recoveryPoint(stored: StoredPoint): RecoveryPoint {
    const { sequence, ...facts } = stored
    const id = pointIdOf(sequence)
    return { ...facts, id, annotations: this.#annotations.get(id) ?? {}, heldBy: this.#holds.get(id) ?? [] }
  }

  isHeld(id: PointId): boolean {
    return (this.#holds.get(id)?.length ?? 0) > 0
  }

  hasPoint(id: PointId): boolean {
    const sequence = sequenceOf(id)
    return this.state.points.some((point) => point.sequence === sequence)
  }

  /** Whether it goes is being decided at this moment. */
  isLeaving(id: PointId): boolean {
    return this.state.leaving.includes(sequenceOf(id))
  }

  findPoint(id: PointId): StoredPoint {
    const sequence = sequenceOf(id)
    const found = this.state.points.find((point) => point.sequence === sequence)
    if (found === undefined) throw pointNotFound(id)
    return found
  }

  // --- changes

  checkWriter(writer: Writer | null): Writer {
    if (this.#deleted) throw notFound(this.deps.facts.id)
    if (writer === null || writer !== this.writer || this.#lost) throw newerWriter(this.machineName)
    return writer
  }

  /** Early, before a whole cycle is written in vain. What counts is the look after the seal. */
  async checkEpoch(writer: Writer): Promise<void> {
    const newest = await onDisk(() => newestEpoch(this.deps.fs, this.folder('epochs')))
    if (newest > writer.epoch) this.#lost = true
    this.checkWriter(writer)
  }

  releaseWriter(writer: Writer): void {
    if (this.writer === writer) this.writer = null
  }

  /** Durable and acknowledged when it resolves, and no newer writer can have missed it. One at a time. */
  async commit(writer: Writer, makeChange: () => Change | null): Promise<void> {
    await this.#inTurn(async () => {
      this.checkWriter(writer)
      const log = present(this.#log, 'a writer has a log')
      if (!log.isUsable || log.isDue(this.deps.limits.logBytes)) await this.#pack(log)
      const change = makeChange()
      if (change === null) return
      await log.append(change)
      if ((await this.#epochAfter(log)) > writer.epoch) {
        this.#lost = true
        throw newerWriter(this.machineName)
      }
      applyChange(this.state, change)
      this.#updatePoints(change)
    })
  }

  /** An answer that fails leaves the change in doubt, as a failed append does: it is in the log, but nobody was told. */
  async #epochAfter(log: LogWriter): Promise<number> {
    try {
      return await newestEpoch(this.deps.fs, this.folder('epochs'))
    } catch (error) {
      await log.close()
      throw error
    }
  }

  async #pack(log: LogWriter): Promise<void> {
    await log.pack(this.state)
    // Now it is settled that the changes in doubt have not happened.
    const settled = [...this.#doubtful]
    this.#doubtful.clear()
    this.doom(settled)
  }

  /** One change of state at a time. A failure does not stop those behind it. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(() => onDisk(work))
    this.#turn = result.catch(() => {})
    return result
  }

  // --- files

  /** A new segment file. It belongs to nobody until a change names it; see `keepSegments` and `dropSegments`. */
  async createSegment(): Promise<{ number: number; handle: FileHandle; head: SegmentHead }> {
    for (;;) {
      this.state.segment += 1
      const number = this.state.segment
      const head = newSegmentHead(number, this.deps.masterKey)
      try {
        this.#writing.add(number)
        const handle = await this.deps.fs.open(this.files.path(number), 'create')
        return { number, handle, head }
      } catch (error) {
        this.#writing.delete(number)
        // A writer of an older epoch may have left it. The sweep takes it; we take the next.
        if (!isTaken(error)) throw error
      }
    }
  }

  /** They are named by a change now. */
  keepSegments(numbers: readonly number[]): void {
    for (const number of numbers) this.#writing.delete(number)
  }

  /** No change names them. While the log's end is in doubt one might, and they stay. */
  dropSegments(numbers: readonly number[]): void {
    const inDoubt = this.#lost || this.#log === null || !this.#log.isUsable
    if (!inDoubt) this.keepSegments(numbers)
    if (inDoubt) for (const number of numbers) this.#doubtful.add(number)
    else this.doom(numbers)
  }

  /** To be deleted as soon as nobody reads them. After a crash the sweep does it. */
  doom(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#version += 1
      this.#writing.delete(number)
      this.#doomed.set(number, this.#version)
    }
  }

  /** While this is held no file of the present state goes away. For the short time until it is known which are needed. */
  beginLoading(): { end(): void } {
    const loading = { version: this.#version }
    this.#loading.add(loading)
    return { end: () => void this.#loading.delete(loading) }
  }

  retain(numbers: ReadonlySet<number>): { release(): Promise<void> } {
    for (const number of numbers) this.#retained.set(number, (this.#retained.get(number) ?? 0) + 1)
    let held = true
    return {
      release: async () => {
        if (!held) return
        held = false
        for (const number of numbers) this.#letGo(number)
        await this.deleteDoomed()
      },
    }
  }

  /**
   * Gives back what reading has left behind, unless a point is open. A process keeps a thousand replicas open for their next
   * cycle: files and records that each of them read in passing would add up.
   */
  async rest(): Promise<void> {
    if (this.#retained.size > 0) return
    this.cache.clear()
    await this.files.closeUnused()
  }

  #letGo(number: number): void {
    const users = present(this.#retained.get(number), 'a retained file has users') - 1
    if (users === 0) this.#retained.delete(number)
    else this.#retained.set(number, users)
  }

  async deleteDoomed(): Promise<void> {
    const oldest = Math.min(Number.POSITIVE_INFINITY, ...[...this.#loading].map(({ version }) => version))
    for (const [number, version] of [...this.#doomed]) {
      if (version > oldest || this.#retained.has(number) || this.#lost) continue
      this.#doomed.delete(number)
      await this.files.forget(number)
      await this.#unlinkSegment(number)
    }
  }

  async #unlinkSegment(number: number): Promise<void> {
    try {
      await this.deps.fs.unlink(`${this.folder('segments')}/${segmentName(number)}`)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  /** Its folder is gone. Whoever still has it open is refused from now on. */
  markDeleted(): void {
    this.#deleted = true
  }

  async close(): Promise<void> {
    await this.#turn
    invariant(this.#loading.size === 0, 'nobody loads from a replica that is closed')
    const log = this.#log
    this.#log = null
    this.writer = null
    await log?.close()
    await this.files.close()
  }
}
