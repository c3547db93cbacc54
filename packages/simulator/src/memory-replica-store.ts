// The model of a replica store: every point is a whole copy of every disk. Slow, large and obviously right.
import type { Clock, Instant } from '@understudy/base/instant'
import { invariant, present } from '@understudy/base/invariant'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { RetentionTier } from '@understudy/domain/protection/policy'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type {
  CutId,
  PointDisk,
  PointFacts,
  PointId,
  RecoveryPoint,
} from '@understudy/domain/recovery-points/recovery-point'
import {
  baseNotNewest,
  newerWriter,
  notFound,
  pointNotFound,
  pointOpen,
  readOnly,
} from '@understudy/engine/ports/replica-failures'
import type {
  OpenedPoint,
  PointWriter,
  Replica,
  ReplicaSpec,
  ReplicaStore,
} from '@understudy/engine/ports/replica-store'
import { type DiskImage, imageReader, type MemoryDisk, memoryDisk, memoryDiskFrom } from './memory-disk.ts'

type StoredPoint = { point: RecoveryPoint; readonly images: ReadonlyMap<DiskKey, DiskImage> }

type StoredReplica = {
  readonly spec: ReplicaSpec
  epoch: number
  sequence: number
  points: StoredPoint[]
  /** The handle that may write, and its unfinished point. A newer handle takes both away. */
  writer: { readonly handle: object; open: boolean } | null
}

const FREE_BYTES = 2 ** 40

/** Keep the object to simulate a restart of the process: what was sealed is in it, what was not is gone with its writer. */
export function memoryReplicaStore(clock: Clock): ReplicaStore {
  const replicas = new Map<ReplicaId, StoredReplica>()
  return {
    encrypts: true,
    async createReplica(spec) {
      if (!replicas.has(spec.id))
        replicas.set(spec.id, { spec, epoch: 0, sequence: 0, points: [], writer: null })
    },
    async openReplica(id, epoch) {
      const stored = replicas.get(id)
      if (!stored) throw notFound(id)
      const handle = {}
      if (epoch !== null) {
        if (epoch < stored.epoch) throw newerWriter(stored.spec.machineName)
        stored.epoch = epoch
        stored.writer = { handle, open: false }
      }
      return openedReplica({ stored, handle, epoch, clock, exists: () => replicas.get(id) === stored })
    },
    exists: async (id) => replicas.has(id),
    async deleteReplica(id) {
      replicas.delete(id)
    },
    list: async () => [...replicas.keys()],
    freeBytes: async () => FREE_BYTES,
  }
}

type Handle = {
  readonly stored: StoredReplica
  readonly handle: object
  readonly epoch: number | null
  readonly clock: Clock
  exists(): boolean
}

function openedReplica(owner: Handle): Replica {
  const { stored } = owner
  const find = (id: PointId): StoredPoint => {
    const found = stored.points.find(({ point }) => point.id === id)
    if (!found) throw pointNotFound(id)
    return found
  }
  const change = (id: PointId, fields: Partial<RecoveryPoint>): RecoveryPoint => {
    const found = find(id)
    found.point = { ...found.point, ...fields }
    return found.point
  }
  const whole = (): RecoveryPoint[] =>
    stored.points.map(({ point }) => point).filter(({ unfinished }) => unfinished === undefined)
  return {
    id: stored.spec.id,
    points: whole,
    unfinished: () => {
      const newest = stored.points.at(-1)?.point
      return newest?.unfinished === undefined ? null : newest
    },
    async beginPoint(base, disks) {
      const writer = checkWriter(owner)
      if (writer.open) throw pointOpen(stored.spec.machineName)
      const newest = stored.points.at(-1)
      if (base !== (newest?.point.id ?? null)) throw baseNotNewest(stored.spec.machineName, base)
      writer.open = true
      return pointWriter(owner, writer, newest ?? null, disks)
    },
    openPoint: async (id) => openedPoint(find(id)),
    async *difference(disk, from, to, signal) {
      signal?.throwIfAborted()
      yield* differenceOf(find(from).images.get(disk), find(to).images.get(disk))
    },
    annotate: async (id, annotations) =>
      change(id, { annotations: { ...find(id).point.annotations, ...annotations } }),
    async hold(id, holder) {
      change(id, { heldBy: [...new Set([...find(id).point.heldBy, holder])] })
    },
    async unhold(id, holder) {
      // Releasing what is gone is done already.
      if (!stored.points.some(({ point }) => point.id === id)) return
      change(id, { heldBy: find(id).point.heldBy.filter((other) => other !== holder) })
    },
    async expire(tiers, now, signal, shares = new Map()) {
      signal?.throwIfAborted()
      checkWriter(owner)
      const kept = new Set(
        pointsToKeep(
          stored.points.map(({ point }) => point),
          tiers,
          now,
          shares,
        ),
      )
      const before = stored.points.length
      stored.points = stored.points.filter(({ point }) => kept.has(point.id))
      return { removed: before - stored.points.length }
    },
    usage: async () => ({
      storedBytes: stored.points.reduce((sum, { point }) => sum + point.storedBytes, 0),
      pointCount: whole().length,
      oldestInstant: whole()[0]?.instant ?? null,
      newestInstant: whole().at(-1)?.instant ?? null,
      freeBytes: FREE_BYTES,
    }),
    async scrub({ signal }) {
      signal?.throwIfAborted()
      const checkedBytes = stored.points.reduce((sum, { point }) => sum + point.storedBytes, 0)
      return { checkedBytes, damage: [] }
    },
    async close() {
      if (stored.writer?.handle === owner.handle) stored.writer = null
    },
  }
}

function checkWriter({ stored, handle, epoch, exists }: Handle): { open: boolean } {
  if (!exists()) throw notFound(stored.spec.id)
  if (epoch === null) throw readOnly(stored.spec.machineName)
  if (epoch < stored.epoch || stored.writer?.handle !== handle) throw newerWriter(stored.spec.machineName)
  return stored.writer
}

function pointWriter(
  owner: Handle,
  writer: { open: boolean },
  base: StoredPoint | null,
  pointDisks: readonly PointDisk[],
): PointWriter {
  const { stored, clock } = owner
  const disks = new Map(pointDisks.map(({ key, bytes }) => [key, diskFrom(base?.images.get(key), bytes)]))
  let state: 'open' | 'sealed' | 'aborted' = 'open'
  let changedBytes = base?.point.unfinished === undefined ? 0 : base.point.changedBytes
  const disk = (key: DiskKey): MemoryDisk => {
    invariant(state === 'open', 'a point is written before it is sealed or aborted')
    return present(disks.get(key), `disk ${key} belongs to the point`)
  }
  return {
    async write(key, offset, data, signal) {
      await disk(key).write(offset, data, signal)
      changedBytes += data.length
    },
    async zero(key, offset, bytes, signal) {
      await disk(key).zero(offset, bytes, signal)
      changedBytes += bytes
    },
    async seal(facts) {
      invariant(state === 'open', 'a point is sealed once')
      checkWriter(owner)
      state = 'sealed'
      writer.open = false
      const images = new Map([...disks].map(([key, content]) => [key, content.image()]))
      const point = sealedPoint(stored, facts, { disks: pointDisks, changedBytes, at: clock.now() })
      stored.points = [...stored.points, { point, images }]
      return point
    },
    async abort() {
      if (state !== 'open') return
      state = 'aborted'
      writer.open = false
    },
  }
}

function sealedPoint(
  stored: StoredReplica,
  facts: PointFacts,
  written: { readonly disks: readonly PointDisk[]; readonly changedBytes: number; readonly at: Instant },
): RecoveryPoint {
  stored.sequence += 1
  return {
    ...facts,
    id: String(stored.sequence).padStart(12, '0') as PointId,
    sealedAt: written.at,
    disks: written.disks,
    changedBytes: written.changedBytes,
    storedBytes: written.changedBytes,
    annotations: {},
    heldBy: [],
  }
}

const diskFrom = (image: DiskImage | undefined, bytes: number): MemoryDisk =>
  image ? memoryDiskFrom(image, bytes) : memoryDisk(bytes)

function openedPoint({ point, images }: StoredPoint): OpenedPoint {
  const disks = point.disks.map(({ key, bytes }) => ({
    key,
    bytes,
    reader: imageReader(present(images.get(key), `point ${point.id} has disk ${key}`)),
  }))
  return { point, disks, close: async () => {} }
}

/** Compares every grain. A disk that one of the points lacks differs wholly. */
async function* differenceOf(
  from: DiskImage | undefined,
  to: DiskImage | undefined,
): AsyncGenerator<MappedExtent> {
  const longer = Math.max(from?.bytes ?? 0, to?.bytes ?? 0)
  const grainOf = (reader: BlockReader | null, offset: number): Promise<Buffer> | null =>
    reader === null || offset >= reader.bytes
      ? null
      : reader.read(offset, Math.min(GRAIN_BYTES, reader.bytes - offset))
  const left = from ? imageReader(from) : null
  const right = to ? imageReader(to) : null
  for (let offset = 0; offset < longer; offset += GRAIN_BYTES) {
    const [a, b] = await Promise.all([grainOf(left, offset), grainOf(right, offset)])
    if (a === null || b === null || !a.equals(b))
      yield { offset, bytes: Math.min(GRAIN_BYTES, longer - offset), kind: 'data' }
  }
}

/**
 * The ids of the points that stay: the newest, those held or pinned, and per tier one point of each step of `everySeconds`: of those
 * whose cut most machines have the oldest. Steps are counted from 1970, so the choice does not wander while time goes on.
 */
export function pointsToKeep(
  points: readonly RecoveryPoint[],
  tiers: readonly RetentionTier[],
  now: Instant,
  shares: ReadonlyMap<CutId, number> = new Map(),
): readonly PointId[] {
  const share = ({ group }: RecoveryPoint): number => (group && shares.get(group.cut)) ?? 1
  const steps = new Map<string, RecoveryPoint[]>()
  for (const point of points) {
    if (point.unfinished !== undefined) continue
    const tier = tiers.find(({ forSeconds }) => (now - point.instant) / 1000 < forSeconds)
    if (!tier) continue
    const step = `${tier.everySeconds}/${tier.everySeconds === 0 ? point.id : Math.floor(point.instant / 1000 / tier.everySeconds)}`
    steps.set(step, [...(steps.get(step) ?? []), point])
  }
  const best = new Set(
    [...steps.values()].map((step) => step.find((point) => share(point) === Math.max(...step.map(share)))),
  )
  return points
    .filter(
      (point, index) =>
        index === points.length - 1 ||
        point.heldBy.length > 0 ||
        point.annotations.pinned === true ||
        best.has(point),
    )
    .map(({ id }) => id)
}
