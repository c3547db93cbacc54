// What the log of a replica says, as one value, and how each change of it applies. Pure.
//
// A layer is what changed between two moments of the replica: `(first - 1, last]` in sequence numbers. The layers lie one on
// the other without gaps; the content of a point is all layers up to the one that ends at it. Dropping a point removes its
// entry only; its layer stays until it is merged with the next one, which changes the content of no other point.
// A run is the index of several neighbouring layers in one, made to be read quickly; it may be lost without harm.
import { InvariantError } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointDisk, PointFacts } from '@understudy/domain/recovery-points/recovery-point'

/** Where an index lies. */
export type IndexRef = {
  readonly segment: number
  readonly position: number
  readonly bytes: number
  readonly crc: number
  readonly entries: number
}

/** `contentBytes`: what its records hold, unpacked. `liveBytes`: what of that still shows in some point, as of the last merge. */
export type SegmentFact = {
  readonly number: number
  readonly bytes: number
  readonly contentBytes: number
  readonly liveBytes: number
}

export type Layer = {
  readonly first: number
  readonly last: number
  /** Null: nothing changed. */
  readonly index: IndexRef | null
  readonly segments: readonly SegmentFact[]
}

export type Run = {
  readonly first: number
  readonly last: number
  readonly index: IndexRef
  readonly bytes: number
}

export type StoredPoint = PointFacts & {
  readonly sequence: number
  readonly sealedAt: number
  readonly disks: readonly PointDisk[]
  readonly changedBytes: number
  readonly storedBytes: number
}

export type ReplicaState = {
  /** A disk's number in records and indexes is its place in this list. */
  diskKeys: DiskKey[]
  /** From old to new. */
  points: StoredPoint[]
  /** Points that are to be removed unless they are held: still there, and whoever wants to hold one waits until it is decided. */
  leaving: readonly number[]
  layers: Layer[]
  runs: Run[]
  /** The last one given out; never given out again, also after its point has gone. */
  sequence: number
  segment: number
}

export type Change =
  | { readonly kind: 'counters'; readonly sequence: number; readonly segment: number }
  | { readonly kind: 'disks'; readonly keys: readonly DiskKey[] }
  | { readonly kind: 'layer'; readonly layer: Layer }
  /** An unfinished copy has kinds of its own: a version that knows none must not take it for a recovery point. */
  | { readonly kind: 'point' | 'unfinished'; readonly point: StoredPoint }
  | {
      readonly kind: 'seal' | 'seal-unfinished'
      readonly point: StoredPoint
      readonly layer: Layer
      readonly disks: readonly DiskKey[]
    }
  | { readonly kind: 'leave'; readonly sequences: readonly number[] }
  /** Of the points that were leaving these go, and the others stay. */
  | { readonly kind: 'remove'; readonly sequences: readonly number[] }
  /** Only in logs of before points were leaving first: a holder had come while they were being removed. */
  | { readonly kind: 'restore'; readonly points: readonly StoredPoint[] }
  /** Takes the place of the layers it spans. `moved`: records lie elsewhere now, so indexes made before are wrong. */
  | { readonly kind: 'merge'; readonly layer: Layer; readonly moved: boolean }
  | { readonly kind: 'run'; readonly run: Run }

export const emptyState = (): ReplicaState => ({
  diskKeys: [],
  points: [],
  leaving: [],
  layers: [],
  runs: [],
  sequence: 0,
  segment: 0,
})

export function applyChange(state: ReplicaState, change: Change): void {
  switch (change.kind) {
    case 'counters':
      state.sequence = Math.max(state.sequence, change.sequence)
      state.segment = Math.max(state.segment, change.segment)
      return
    case 'disks':
      state.diskKeys = [...change.keys]
      return
    case 'layer':
      addLayer(state, change.layer)
      return
    case 'point':
    case 'unfinished':
      addPoint(state, change.point)
      return
    case 'seal':
    case 'seal-unfinished':
      state.diskKeys = [...change.disks]
      addLayer(state, change.layer)
      addPoint(state, change.point)
      return
    case 'leave':
      state.leaving = [...change.sequences]
      return
    case 'remove': {
      const gone = new Set(change.sequences)
      state.leaving = []
      state.points = state.points.filter(({ sequence }) => !gone.has(sequence))
      return
    }
    case 'restore':
      state.points = [...state.points, ...change.points].sort((a, b) => a.sequence - b.sequence)
      return
    case 'merge':
      mergeLayers(state, change)
      return
    case 'run':
      noteSegment(state, change.run.index.segment)
      state.runs.push(change.run)
      return
  }
  throw new InvariantError(`the journal knows no change of the kind ${JSON.stringify(change)}`)
}

function addLayer(state: ReplicaState, layer: Layer): void {
  const below = state.layers.at(-1)
  invariant(below === undefined || layer.first === below.last + 1, 'layers lie one on the other without gaps')
  state.layers.push(layer)
  for (const { number } of layer.segments) noteSegment(state, number)
}

function addPoint(state: ReplicaState, point: StoredPoint): void {
  state.points.push(point)
  state.sequence = Math.max(state.sequence, point.sequence)
}

function mergeLayers(
  state: ReplicaState,
  { layer, moved }: { readonly layer: Layer; readonly moved: boolean },
): void {
  const start = state.layers.findIndex(({ first }) => first === layer.first)
  const end = state.layers.findIndex(({ last }) => last === layer.last)
  invariant(start >= 0 && end >= start, 'a merged layer spans whole layers')
  state.layers.splice(start, end - start + 1, layer)
  for (const { number } of layer.segments) noteSegment(state, number)
  state.runs = state.runs.filter((run) => runSurvives(run, layer, moved))
}

/** Its ends must still be ends of layers, and no record that it knows may have moved. */
function runSurvives(run: Run, layer: Layer, moved: boolean): boolean {
  if (run.last < layer.first || run.first > layer.last) return true
  const spansLayer = run.first <= layer.first && run.last >= layer.last
  return spansLayer && !moved
}

function noteSegment(state: ReplicaState, number: number): void {
  state.segment = Math.max(state.segment, number)
}

/** The changes that lead from nothing to this state. */
export function* changesOf(state: ReplicaState): Generator<Change> {
  yield { kind: 'counters', sequence: state.sequence, segment: state.segment }
  yield { kind: 'disks', keys: state.diskKeys }
  for (const layer of state.layers) yield { kind: 'layer', layer }
  for (const point of state.points)
    yield { kind: point.unfinished === undefined ? 'point' : 'unfinished', point }
  if (state.leaving.length > 0) yield { kind: 'leave', sequences: state.leaving }
  for (const run of state.runs) yield { kind: 'run', run }
}

/** Every segment file that the state needs. */
export function segmentsOf(state: ReplicaState): Set<number> {
  const numbers = new Set<number>()
  for (const { segments } of state.layers) for (const { number } of segments) numbers.add(number)
  for (const { index } of state.runs) numbers.add(index.segment)
  return numbers
}

export function storedBytesOf(state: ReplicaState): number {
  let bytes = 0
  for (const { segments } of state.layers) for (const segment of segments) bytes += segment.bytes
  for (const run of state.runs) bytes += run.bytes
  return bytes
}
