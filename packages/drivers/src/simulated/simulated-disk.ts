// A disk in three layers: what was written and is kept in a file, what the guest writes and is calculated, and below
// both what it started from: generated content, a recovery point, or zeros.

import { Outage } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import { coalesce, union } from '@understudy/block/extents'
import { isZero } from '@understudy/block/zero-detection'
import type { DiskKey } from '@understudy/domain/machines/machine'
import {
  type ChurnedDisk,
  GRAIN_BYTES,
  grainsOfWrites,
  newestWrite,
  readStamp,
  type Stamp,
  stampGrain,
  writeGeneratedGrain,
} from './generated-content.ts'
import type { GrainIndex, NewGrain, WrittenGrain, WrittenGrains } from './written-grains.ts'

/** `point`: reads a recovery point through a reader that somebody must offer after a restart. */
export type DiskOrigin = 'generated' | 'point' | 'zeros'

/** What of a disk is kept in the site's state file. */
export type DiskState = {
  readonly key: DiskKey
  bytes: number
  origin: DiskOrigin
  /** What its guest is, or null for a disk without one. Generated disks carry it in their first grain. */
  readonly stamp: Stamp | null
  /** Of generated content. */
  readonly originSeed: string
  /** Of what the guest writes: every copy of a machine writes its own. */
  readonly churnSeed: string
}

export type SimulatedDisk = {
  readonly state: DiskState
  readonly written: WrittenGrains
  /** Of an origin `point`. Null until it is offered. */
  point: BlockReader | null
  /** One write after the other: each may have to read before. */
  queue: Promise<void>
}

/** The content of a disk when its guest had made so many writes. Never changes. */
export type DiskImage = {
  readonly bytes: number
  readonly origin: DiskOrigin
  readonly point: BlockReader | null
  readonly churn: ChurnedDisk
  readonly originSeed: string
  readonly stamp: Stamp | null
  readonly writes: number
  readonly index: GrainIndex
  readonly written: WrittenGrains
}

export function imageOf({ state, written, point }: SimulatedDisk, writes: number): DiskImage {
  const usedGrains = state.stamp?.usedGrains ?? 0
  return {
    bytes: state.bytes,
    origin: state.origin,
    point,
    churn: { seed: state.churnSeed, usedGrains },
    originSeed: state.originSeed,
    stamp: state.stamp,
    writes,
    index: written.index(),
    written,
  }
}

export function imageReader(image: DiskImage): BlockReader {
  return {
    bytes: image.bytes,
    read: (offset, bytes, signal) => readImage(image, offset, bytes, signal),
    map: (range, signal) => mapImage(image, range, signal),
    close: async () => {},
  }
}

const grainCount = (bytes: number): number => Math.ceil(bytes / GRAIN_BYTES)

/** Where a grain's content comes from. */
type GrainSource =
  | { readonly kind: 'written'; readonly grain: WrittenGrain }
  | { readonly kind: 'churned'; readonly version: number }
  | { readonly kind: 'origin' }

function sourceOf(image: DiskImage, grain: number): GrainSource {
  const written = image.index.get(grain)
  const version = newestWrite(image.churn, grain, image.writes)
  if (written && written.afterWrites >= version) return { kind: 'written', grain: written }
  return version > 0 ? { kind: 'churned', version } : { kind: 'origin' }
}

async function readImage(
  image: DiskImage,
  offset: number,
  bytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  signal?.throwIfAborted()
  invariant(offset >= 0 && bytes >= 0 && offset + bytes <= image.bytes, 'the range lies inside the disk')
  const first = Math.floor(offset / GRAIN_BYTES)
  const end = grainCount(offset + bytes)
  const content = Buffer.alloc((end - first) * GRAIN_BYTES)
  for (let grain = first; grain < end; ) {
    const source = sourceOf(image, grain)
    const at = (grain - first) * GRAIN_BYTES
    if (source.kind === 'origin') {
      const next = endOfOriginRun(image, grain, end)
      await readOrigin(image, { grain, end: next, content, at }, signal)
      grain = next
      continue
    }
    if (source.kind === 'churned')
      writeGeneratedGrain(content, at, { seed: image.churn.seed, index: grain, version: source.version })
    else if (source.grain.fileOffset !== null)
      (await image.written.read(source.grain.fileOffset)).copy(content, at)
    grain += 1
  }
  const start = offset - first * GRAIN_BYTES
  return content.subarray(start, start + bytes)
}

function endOfOriginRun(image: DiskImage, from: number, limit: number): number {
  let end = from + 1
  while (end < limit && sourceOf(image, end).kind === 'origin') end += 1
  return end
}

type OriginRun = {
  readonly grain: number
  readonly end: number
  readonly content: Buffer
  readonly at: number
}

async function readOrigin(image: DiskImage, run: OriginRun, signal?: AbortSignal): Promise<void> {
  if (image.origin === 'zeros') return
  if (image.origin === 'generated') {
    const end = Math.min(run.end, image.stamp?.usedGrains ?? 0)
    for (let grain = run.grain; grain < end; grain += 1) {
      const at = run.at + (grain - run.grain) * GRAIN_BYTES
      if (grain === 0 && image.stamp) stampGrain(image.stamp).copy(run.content, at)
      else writeGeneratedGrain(run.content, at, { seed: image.originSeed, index: grain, version: 0 })
    }
    return
  }
  if (image.point === null) throw notOffered()
  const offset = run.grain * GRAIN_BYTES
  const bytes = Math.min(run.end * GRAIN_BYTES, image.point.bytes) - offset
  if (bytes > 0) (await image.point.read(offset, bytes, signal)).copy(run.content, run.at)
}

const notOffered = (): Outage =>
  new Outage({
    code: 'simulated/point-not-attached',
    message: 'The simulated machine still reads from its recovery point, which is not attached',
    remedy: 'Understudy attaches it again when it goes on with the run.',
  })

/** What may differ from zeros: used and churned grains, written ones, and what the point has. */
async function* mapImage(
  image: DiskImage,
  range: Extent,
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  signal?.throwIfAborted()
  const end = range.offset + range.bytes
  let at = range.offset
  for (const { offset, bytes } of await dataOf(image, range, signal)) {
    const from = Math.max(offset, range.offset)
    const to = Math.min(offset + bytes, end)
    if (to <= from) continue
    if (from > at) yield { offset: at, bytes: from - at, kind: 'zero' }
    yield { offset: from, bytes: to - from, kind: 'data' }
    at = to
  }
  if (at < end) yield { offset: at, bytes: end - at, kind: 'zero' }
}

async function dataOf(image: DiskImage, range: Extent, signal?: AbortSignal): Promise<Extent[]> {
  const usedBytes = Math.min(image.bytes, image.churn.usedGrains * GRAIN_BYTES)
  const used = usedBytes > 0 ? [{ offset: 0, bytes: usedBytes }] : []
  const written = grainsToExtents(
    [...image.index].filter(([, { fileOffset }]) => fileOffset !== null).map(([grain]) => grain),
    image.bytes,
  )
  const known = union(used, written)
  return image.origin === 'point' ? union(known, await dataOfPoint(image.point, range, signal)) : known
}

async function dataOfPoint(
  point: BlockReader | null,
  range: Extent,
  signal: AbortSignal | undefined,
): Promise<Extent[]> {
  if (point === null) throw notOffered()
  const end = Math.min(range.offset + range.bytes, point.bytes)
  const inside = { offset: range.offset, bytes: end - range.offset }
  if (inside.bytes <= 0) return []
  if (!point.map) return [inside]
  const data: Extent[] = []
  for await (const extent of point.map(inside, signal)) if (extent.kind === 'data') data.push(extent)
  return coalesce(data)
}

export function grainsToExtents(grains: Iterable<number>, diskBytes: number): Extent[] {
  const extents = [...grains]
    .sort((a, b) => a - b)
    .map((grain) => ({
      offset: grain * GRAIN_BYTES,
      bytes: Math.min(GRAIN_BYTES, diskBytes - grain * GRAIN_BYTES),
    }))
  return coalesce(extents.filter(({ bytes }) => bytes > 0))
}

/** What a checkpoint remembers of a disk. */
export type DiskMark = { readonly bytes: number; readonly writes: number; readonly mutation: number }

/** What may differ between the mark and the image; everything when there is no mark. */
export function changedSince(image: DiskImage, mark: DiskMark | null): Extent[] {
  if (mark === null) return [{ offset: 0, bytes: image.bytes }]
  const churned = grainsToExtents(grainsOfWrites(image.churn, mark.writes, image.writes), image.bytes)
  const written = grainsToExtents(
    [...image.index].filter(([, { mutation }]) => mutation > mark.mutation).map(([grain]) => grain),
    image.bytes,
  )
  const grown = image.bytes > mark.bytes ? [{ offset: mark.bytes, bytes: image.bytes - mark.bytes }] : []
  return union(union(churned, written), grown)
}

/** With what the disk knows to be zeros marked as such. */
export async function* mapExtents(
  image: DiskImage,
  extents: readonly Extent[],
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  for (const extent of extents) yield* mapImage(image, extent, signal)
}

export type DiskWrite = { readonly offset: number; readonly data: Buffer }

/**
 * Writes from outside the guest, or for it. `writes`: how many the guest has made; `mutation`: this write's number. A
 * failed write leaves the disk as it was.
 */
export function writeDisk(
  disk: SimulatedDisk,
  { offset, data }: DiskWrite,
  marks: { readonly writes: number; readonly mutation: number },
): Promise<void> {
  return inTurn(disk, async () => {
    invariant(offset >= 0 && offset + data.length <= disk.state.bytes, 'the range lies inside the disk')
    const first = Math.floor(offset / GRAIN_BYTES)
    const end = grainCount(offset + data.length)
    const image = imageOf(disk, marks.writes)
    const grains: NewGrain[] = []
    for (let grain = first; grain < end; grain += 1) {
      const start = grain * GRAIN_BYTES
      const [from, to] = [Math.max(offset, start), Math.min(offset + data.length, start + GRAIN_BYTES)]
      const content = Buffer.alloc(GRAIN_BYTES)
      if (to - from < GRAIN_BYTES)
        (await readImage(image, start, Math.min(GRAIN_BYTES, disk.state.bytes - start))).copy(content)
      data.copy(content, from - start, from - offset, to - offset)
      grains.push({
        grain,
        content: isZero(content) ? null : content,
        afterWrites: marks.writes,
        mutation: marks.mutation,
      })
    }
    await disk.written.append(grains)
  })
}

/**
 * Copies what lies in `range` from the disk's point to the disk itself, where nothing was written yet. The content stays
 * the same, so it is no change.
 */
export function fillFromPoint(disk: SimulatedDisk, range: Extent, signal?: AbortSignal): Promise<void> {
  return inTurn(disk, async () => {
    if (disk.state.origin !== 'point') return
    if (disk.point === null) throw notOffered()
    const index = disk.written.index()
    const bytes = Math.min(range.bytes, disk.point.bytes - range.offset)
    const data = bytes > 0 ? await disk.point.read(range.offset, bytes, signal) : Buffer.alloc(0)
    const grains: NewGrain[] = []
    for (let at = 0; at < data.length; at += GRAIN_BYTES) {
      const grain = (range.offset + at) / GRAIN_BYTES
      const content = Buffer.alloc(GRAIN_BYTES)
      data.copy(content, 0, at, Math.min(at + GRAIN_BYTES, data.length))
      if (!index.has(grain) && !isZero(content)) grains.push({ grain, content, afterWrites: 0, mutation: 0 })
    }
    await disk.written.append(grains)
  })
}

/** The point is not needed any more: what is not written is zeros. */
export function detachFromPoint(disk: SimulatedDisk): void {
  if (disk.state.origin !== 'point') return
  disk.state.origin = 'zeros'
  disk.point = null
}

export function resizeDisk(disk: SimulatedDisk, bytes: number): void {
  disk.state.bytes = bytes
  disk.written.cut(grainCount(bytes))
}

/** What the disk says about its guest. */
export async function stampOf(reader: BlockReader, signal?: AbortSignal): Promise<Stamp | null> {
  if (reader.bytes < GRAIN_BYTES) return null
  return readStamp(await reader.read(0, GRAIN_BYTES, signal))
}

async function inTurn(disk: SimulatedDisk, work: () => Promise<void>): Promise<void> {
  const before = disk.queue
  const mine = before.then(work)
  // The next one must not fail because this one did.
  disk.queue = mine.catch(() => {})
  await mine
}
