// What a handle knows of a replica: its head and its points, as they were last seen.
import { randomUUID } from 'node:crypto'
import { invariant } from '@understudy/base/invariant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { newerWriter, notFound, pointNotFound } from '@understudy/engine/ports/replica-failures'
import { incarnationFolder } from './blob-names.ts'
import { damaged, wentBack } from './failures.ts'
import type { AzureLimits } from './limits.ts'
import {
  listManifests,
  loadManifest,
  pointIdOf,
  type StoredPoint,
  sequenceOf,
  toRecoveryPoint,
} from './manifests.ts'
import {
  changeHead,
  type Head,
  isSealed,
  loadHead,
  newestSealed,
  type SeenHead,
  withoutEmptyRuns,
} from './replica-head.ts'
import type { StorageCalls } from './storage-calls.ts'

export type StateDeps = {
  readonly calls: StorageCalls
  readonly id: ReplicaId
  readonly limits: AzureLimits
  readonly clock: { now(): number }
  pageDiff(): Promise<boolean>
}

/**
 * Numbers that a takeover leaves out. The predecessor may have used the next one without success; and a storage that has gone back in
 * time may have forgotten some that were given out.
 */
const SKIPPED_NUMBERS = 1000

/** Every writer that comes in between has a head of its own, and seals every few seconds at most. */
const CLAIM_TRIES = 20

/** A look at the head is one request, a seal that may come in between many. */
const LOOK_TRIES = 20

export class ReplicaState {
  readonly deps: StateDeps
  #seen: SeenHead
  /** Ascending. */
  #points = new Map<number, StoredPoint>()
  #listed: readonly RecoveryPoint[] | null = null
  /** The answer to a change of the head was lost. */
  #inDoubt = false
  /** A change of the head that is on its way. An expiry looks at the head beside a cycle, and must not take its change for another's. */
  #changing: Promise<unknown> | null = null
  /** The highest number that a manifest was written under. Whether it arrived or not, no other gets it. */
  #attempted = 0
  /** Null: open for reading. */
  #owner: string | null = null

  constructor(deps: StateDeps, seen: SeenHead) {
    this.deps = deps
    this.#seen = seen
  }

  get head(): Head {
    return this.#seen.head
  }
  get machineName(): string {
    return this.head.machineName
  }
  get folder(): string {
    return incarnationFolder(this.deps.id, this.head.incarnation)
  }

  // --- points

  /** Unfinished copies among them. */
  everyPoint(): readonly RecoveryPoint[] {
    this.#listed ??= [...this.#points.values()].map(toRecoveryPoint)
    return this.#listed
  }
  stored(): readonly StoredPoint[] {
    return [...this.#points.values()]
  }
  newest(): StoredPoint | null {
    const newest = newestSealed(this.head)
    return newest === null ? null : (this.#points.get(newest) ?? null)
  }
  /** Also a point that a writer in another process has sealed since. */
  async find(id: PointId): Promise<StoredPoint> {
    if (!this.#points.has(sequenceOf(id))) await this.refresh()
    const found = this.#points.get(sequenceOf(id))
    if (found === undefined) throw pointNotFound(id)
    return found
  }
  replacePoint(point: StoredPoint): void {
    this.#points.set(point.manifest.sequence, point)
    this.#listed = null
  }
  forgetPoint(sequence: number): void {
    this.#points.delete(sequence)
    this.#listed = null
  }

  /** Reads head and points anew. The head first: what it calls sealed has had its manifest before. */
  async refresh(): Promise<void> {
    const before = this.#seen
    const seen = await loadHead(this.deps.calls, this.deps.id)
    if (seen === null || seen.head.incarnation !== this.head.incarnation) throw notFound(this.deps.id)
    const points = await this.#load(seen)
    // What was sealed here meanwhile is newer than what was read.
    if (this.#seen === before) this.#adopt(seen, points)
  }

  async #load(seen: SeenHead): Promise<Map<number, StoredPoint>> {
    const points = new Map<number, StoredPoint>()
    for await (const point of listManifests(this.deps.calls, this.folder))
      if (isSealed(seen.head, point.manifest.sequence)) points.set(point.manifest.sequence, point)
    const newest = newestSealed(seen.head)
    if (newest !== null && !points.has(newest)) await this.#checkNewest(newest, seen)
    return points
  }

  #adopt(seen: SeenHead, points: Map<number, StoredPoint>): void {
    this.#seen = seen
    this.#points = points
    this.#listed = null
  }

  /** The newest point never expires. Another writer may have sealed a newer one since the head was read, and dropped this. */
  async #checkNewest(newest: number, seen: SeenHead): Promise<void> {
    const now = await loadHead(this.deps.calls, this.deps.id)
    if (now === null) throw notFound(this.deps.id)
    if (now.etag !== seen.etag) return
    const found = await loadManifest(this.deps.calls, this.folder, newest)
    if (found === null)
      throw damaged({
        disk: null,
        offset: 0,
        bytes: 0,
        why: `the manifest of its newest point ${pointIdOf(newest)} was deleted`,
      })
  }

  /** Notes and holders as they are on the medium now. */
  async refreshMarks(): Promise<void> {
    // A point that is sealed meanwhile is in no list yet.
    const before = [...this.#points.keys()]
    const there = new Set<number>()
    for await (const point of listManifests(this.deps.calls, this.folder)) {
      there.add(point.manifest.sequence)
      if (this.#points.has(point.manifest.sequence)) this.#points.set(point.manifest.sequence, point)
    }
    for (const sequence of before) if (!there.has(sequence)) this.#points.delete(sequence)
    this.#listed = null
  }

  // --- writing

  nextNumber(): number {
    return Math.max(this.head.next, this.#attempted + 1)
  }
  noteAttempt(sequence: number): void {
    this.#attempted = Math.max(this.#attempted, sequence)
  }

  /** From now on nobody with an older epoch can seal anything. */
  async claim(epoch: number): Promise<void> {
    for (let tries = 0; tries < CLAIM_TRIES; tries += 1) {
      const seen = await loadHead(this.deps.calls, this.deps.id)
      if (seen === null) throw notFound(this.deps.id)
      if (seen.head.epoch > epoch) throw newerWriter(seen.head.machineName)
      const { head } = seen
      const owner = randomUUID()
      const next = head.next + SKIPPED_NUMBERS
      const claimed = await changeHead(this.deps.calls, this.deps.id, seen, { ...head, epoch, owner, next })
      if (claimed === null) continue
      this.#owner = owner
      this.#adopt(claimed, await this.#load(claimed))
      return
    }
    throw wentBack(this.machineName)
  }

  /** Throws unless the head is the one this handle wrote last. Costs one request, and another where a change came in between. */
  async checkOwner(): Promise<void> {
    for (let tries = 0; tries < LOOK_TRIES; tries += 1) {
      await this.#changed()
      // Whoever has looked at the newer points knows the newer head, and owns it no more for that.
      if (this.head.owner !== this.#owner) throw newerWriter(this.machineName)
      if (this.#inDoubt) return await this.#change(() => this.#settle())
      const seen = this.#seen
      const now = await loadHead(this.deps.calls, this.deps.id)
      if (now === null || now.head.incarnation !== this.head.incarnation) throw notFound(this.deps.id)
      if (now.etag === seen.etag) return
      await this.#changed()
      // Only against a head that stood still here meanwhile does the difference tell of somebody else.
      if (this.#seen === seen && !this.#inDoubt) throw this.#overtakenBy(now.head)
    }
    throw wentBack(this.machineName)
  }

  /** Resolves when no change of the head is on its way, however the last one ended. */
  async #changed(): Promise<void> {
    while (this.#changing !== null) await this.#changing.catch(() => {})
  }

  /** One after the other. */
  async #change<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.#changing !== null) await this.#changing.catch(() => {})
    const changing = work().finally(() => {
      this.#changing = null
    })
    this.#changing = changing
    return await changing
  }

  /** The head is not what we left. Either another has claimed it, or the storage has forgotten what we did. */
  #overtakenBy({ epoch, owner }: Head): Error {
    const isForgotten = owner === this.#owner || epoch < this.head.epoch
    return isForgotten ? wentBack(this.machineName) : newerWriter(this.machineName)
  }

  /** After a lost answer: either the change has happened, or a newer state of the head makes sure that it never will. */
  async #settle(): Promise<void> {
    // Settled by another caller while this one waited.
    if (!this.#inDoubt) return
    const { calls, id } = this.deps
    const next = { ...this.head, next: this.head.next + 1 }
    const settled = await changeHead(calls, id, this.#seen, next)
    if (settled !== null) {
      this.#seen = settled
      this.#inDoubt = false
      return
    }
    const now = await loadHead(calls, id)
    if (now === null) throw notFound(id)
    if (now.head.owner !== this.#owner) throw this.#overtakenBy(now.head)
    // Only we write under our name: it did happen.
    this.#adopt(now, await this.#load(now))
    this.#inDoubt = false
  }

  /** Makes the point part of the replica: the one moment at which it comes to be. Its manifest is there. */
  async commit(point: StoredPoint, change: (head: Head) => Head): Promise<void> {
    await this.#change(() => this.#commit(point, change))
  }

  async #commit(point: StoredPoint, change: (head: Head) => Head): Promise<void> {
    invariant(!this.#inDoubt, 'doubt is settled before the next point')
    if (this.head.owner !== this.#owner) throw newerWriter(this.machineName)
    const live = [...this.#points.keys(), point.manifest.sequence]
    const wanted = withoutEmptyRuns(change(this.head), live)
    let changed: SeenHead | null
    try {
      changed = await changeHead(this.deps.calls, this.deps.id, this.#seen, wanted)
    } catch (error) {
      this.#inDoubt = true
      throw error
    }
    if (changed === null) {
      const now = await loadHead(this.deps.calls, this.deps.id)
      if (now === null) throw notFound(this.deps.id)
      throw this.#overtakenBy(now.head)
    }
    this.#seen = changed
    this.#points.set(point.manifest.sequence, point)
    this.#listed = null
  }
}
