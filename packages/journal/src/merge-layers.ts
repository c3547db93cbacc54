// Makes one layer of several: their indexes laid over each other, and the live rest of wasteful segments copied to new ones.
// Nothing is changed in place. Until the log names the new layer the old one counts, and afterwards the new one does: a crash
// in between costs the work, never a point. So it may be repeated at will.
import { MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { invariant, present } from '@understudy/base/invariant'
import { chooseIndexes } from './choose-indexes.ts'
import {
  at,
  type Entry,
  type ExtentMap,
  ExtentMapBuilder,
  endAt,
  entryAt,
  type ReplicaMap,
  trimmed,
} from './extent-map.ts'
import { loadLayers } from './load-point.ts'
import { type MergePlan, planRewrite, type RunPlan } from './plan-merge.ts'
import { type RecordSource, readRange } from './read-records.ts'
import { type PreparedRecord, prepareRecord } from './record.ts'
import type { ReplicaCore, Writer } from './replica-core.ts'
import { type Layer, type SegmentFact, segmentsOf } from './replica-state.ts'
import { contentBySegment, segmentFacts } from './segment-facts.ts'
import type { SegmentFiles } from './segment-files.ts'
import { SegmentWriter } from './segment-writer.ts'
import type { Throttle } from './throttle.ts'

export type MergeDeps = {
  readonly core: ReplicaCore
  readonly writer: Writer
  readonly throttle: Throttle
  readonly signal: AbortSignal
  /** Segments with a damaged record are left where they are: a repair may still need to know what is lost. */
  readonly immovable: Set<number>
}

export async function mergeLayers(deps: MergeDeps, plan: MergePlan): Promise<void> {
  const { core } = deps
  const layers = core.state.layers.slice(plan.start, plan.end + 1)
  const indexes = layers.flatMap(({ index }) => (index === null ? [] : [index]))
  await deps.throttle.take(
    indexes.reduce((sum, { bytes }) => sum + bytes, 0),
    deps.signal,
  )
  const merged = withoutWaste(core, await loadLayers(core, indexes), plan.folds)
  const facts = liveFacts(layers, merged)
  const rewrite = new Set(
    [...planRewrite(facts, core.deps.limits)].filter((number) => !deps.immovable.has(number)),
  )
  await withNewSegments(core, async (segments) => {
    const map = rewrite.size === 0 ? merged : await rewriteSegments(deps, merged, { rewrite, segments })
    const index = await segments.appendIndex(map)
    await segments.sync()
    const layer: Layer = {
      first: present(layers[0], 'a merge has layers').first,
      last: present(layers.at(-1), 'a merge has layers').last,
      index,
      segments: [
        ...facts.filter(({ number, liveBytes }) => liveBytes > 0 && !rewrite.has(number)),
        ...segmentFacts(segments.sizes, map),
      ],
    }
    let before = new Set<number>()
    await core.commit(deps.writer, () => {
      const spanned = core.state.points.some(
        ({ sequence }) => sequence >= layer.first && sequence < layer.last,
      )
      invariant(
        !spanned,
        'a merge spans no point that stays: its content could not be told from the next any more',
      )
      before = segmentsOf(core.state)
      return { kind: 'merge', layer, moved: rewrite.size > 0 }
    })
    const after = segmentsOf(core.state)
    core.doom([...before].filter((number) => !after.has(number)))
  })
  await core.deleteDoomed()
}

/** The index of several layers in one, made to be read quickly. */
export async function buildRun(deps: MergeDeps, plan: RunPlan): Promise<void> {
  const { core } = deps
  const indexes = chooseIndexes(core.state, plan.first, plan.last)
  await deps.throttle.take(
    indexes.reduce((sum, { bytes }) => sum + bytes, 0),
    deps.signal,
  )
  const map = await loadLayers(core, indexes)
  await withNewSegments(core, async (segments) => {
    const index = await segments.appendIndex(map)
    if (index === null) return
    await segments.sync()
    await core.commit(deps.writer, () => ({
      kind: 'run',
      run: { ...plan, index, bytes: segments.storedBytes },
    }))
  })
}

/** New files that are kept when the work succeeds and dropped when it does not. */
async function withNewSegments(
  core: ReplicaCore,
  work: (segments: SegmentWriter) => Promise<void>,
): Promise<void> {
  const segments = new SegmentWriter(core)
  try {
    await work(segments)
    core.keepSegments(segments.numbers)
  } catch (error) {
    core.dropSegments(segments.numbers)
    throw error
  } finally {
    await segments.close()
  }
}

/** Under the oldest point nothing lies, so zeros need no entry, nor do disks that no point has any more. */
function withoutWaste(core: ReplicaCore, map: ReplicaMap, folds: boolean): ReplicaMap {
  if (!folds) return map
  const { diskKeys, points } = core.state
  const needed = new Set(points.flatMap(({ disks }) => disks.map(({ key }) => diskKeys.indexOf(key))))
  return new Map(
    [...map]
      .filter(([disk]) => needed.has(disk))
      .map(([disk, entries]) => [disk, trimmed(entries, Number.POSITIVE_INFINITY, true)]),
  )
}

function liveFacts(layers: readonly Layer[], map: ReplicaMap): SegmentFact[] {
  const live = contentBySegment(map)
  return layers.flatMap(({ segments }) =>
    segments.map((segment) => ({ ...segment, liveBytes: live.get(segment.number) ?? 0 })),
  )
}

type Rewrite = {
  readonly rewrite: ReadonlySet<number>
  readonly segments: SegmentWriter
  readonly source: RecordSource
}

async function rewriteSegments(
  deps: MergeDeps,
  map: ReplicaMap,
  { rewrite, segments }: { readonly rewrite: ReadonlySet<number>; readonly segments: SegmentWriter },
): Promise<ReplicaMap> {
  const source = await readBeforehand(deps, rewrite)
  const moved = new Map<number, ExtentMap>()
  for (const [number, entries] of map)
    moved.set(number, await rewriteDisk(deps, { number, entries }, { rewrite, segments, source }))
  return moved
}

/** Together at most this much is read as whole files: small segments hold small records, in another order than the disk's. */
const BEFOREHAND_BYTES = 64 * MiB

async function readBeforehand(
  { core, immovable }: MergeDeps,
  rewrite: ReadonlySet<number>,
): Promise<RecordSource> {
  const sizes = new Map(
    core.state.layers.flatMap(({ segments }) => segments.map(({ number, bytes }) => [number, bytes])),
  )
  const whole = new Map<number, { readonly data: Buffer; readonly key: Buffer | null }>()
  let budget = BEFOREHAND_BYTES
  for (const number of rewrite) {
    const bytes = sizes.get(number) ?? 0
    if (bytes > Math.min(budget, core.deps.limits.smallSegmentBytes)) continue
    budget -= bytes
    const file = await core.files.read(number, 0, bytes).catch((error: unknown) => {
      if (isDamage(error)) immovable.add(number)
      throw error
    })
    whole.set(number, file)
  }
  const read: SegmentFiles['read'] = async (number, position, bytes) => {
    const file = whole.get(number)
    if (file === undefined) return await core.files.read(number, position, bytes)
    return { data: file.data.subarray(position, position + bytes), key: file.key }
  }
  return { files: { read }, cache: core.cache }
}

/** In the order of the disk: entries that stay as they are, and pieces of content that get a new place. */
type Piece = { readonly entry: Entry } | { readonly offset: number; readonly bytes: number }

/** Content that lies side by side on the disk is read and packed together, whatever records it came in. */
const PIECE_BYTES = MiB
/** Pieces are read side by side and written in one go, as many as make this much. */
const TOGETHER_BYTES = 4 * MiB
const PIECES_TOGETHER = 256

async function rewriteDisk(
  deps: MergeDeps,
  disk: { readonly number: number; readonly entries: ExtentMap },
  work: Rewrite,
): Promise<ExtentMap> {
  const builder = new ExtentMapBuilder(disk.entries.count)
  let pieces: Piece[] = []
  let bytes = 0
  for (const piece of piecesOf(disk.entries, work.rewrite)) {
    pieces.push(piece)
    if ('bytes' in piece) bytes += piece.bytes
    if (bytes < TOGETHER_BYTES && pieces.length < PIECES_TOGETHER) continue
    await movePieces(deps, { ...disk, pieces, bytes }, { ...work, builder })
    pieces = []
    bytes = 0
  }
  await movePieces(deps, { ...disk, pieces, bytes }, { ...work, builder })
  return builder.finish()
}

function* piecesOf(entries: ExtentMap, rewrite: ReadonlySet<number>): Generator<Piece> {
  for (let index = 0; index < entries.count; ) {
    if (!rewrite.has(at(entries.segment, index))) {
      yield { entry: entryAt(entries, index) }
      index += 1
      continue
    }
    const offset = at(entries.offset, index)
    let end = offset
    while (
      index < entries.count &&
      rewrite.has(at(entries.segment, index)) &&
      at(entries.offset, index) === end &&
      endAt(entries, index) - offset <= PIECE_BYTES
    ) {
      end = endAt(entries, index)
      index += 1
    }
    yield { offset, bytes: end - offset }
  }
}

type Moving = {
  readonly number: number
  readonly entries: ExtentMap
  readonly pieces: readonly Piece[]
  readonly bytes: number
}

async function movePieces(
  deps: MergeDeps,
  disk: Moving,
  to: Rewrite & { readonly builder: ExtentMapBuilder },
): Promise<void> {
  await deps.throttle.take(2 * disk.bytes, deps.signal)
  const contents = await Promise.all(
    disk.pieces.map((piece) =>
      'bytes' in piece ? readPiece(deps, disk, { source: to.source, ...piece }) : null,
    ),
  )
  const records = disk.pieces.map((piece, index) =>
    'bytes' in piece
      ? packPiece(deps.core, disk.number, { offset: piece.offset, data: contents[index] ?? Buffer.alloc(0) })
      : [],
  )
  const all = records.flat()
  const locations = all.length === 0 ? [] : await to.segments.append(all)
  let next = 0
  disk.pieces.forEach((piece, index) => {
    if ('entry' in piece) pushEntry(to.builder, piece.entry)
    for (const record of records[index] ?? []) {
      const { segment, position, stored } = present(locations[next], 'every record has a place')
      to.builder.push(record.offset, record.data.length, segment, position, stored)
      next += 1
    }
  })
}

const pushEntry = (builder: ExtentMapBuilder, { offset, bytes, segment, position, stored }: Entry): void =>
  builder.push(offset, bytes, segment, position, stored)

async function readPiece(
  { core, immovable }: MergeDeps,
  { number, entries }: Moving,
  {
    source,
    offset,
    bytes,
  }: { readonly source: RecordSource; readonly offset: number; readonly bytes: number },
): Promise<Buffer> {
  const key = core.state.diskKeys[number] ?? ''
  try {
    return await readRange(source, { key, number, map: entries }, { offset, bytes })
  } catch (error) {
    if (isDamage(error)) markImmovable(immovable, { entries, offset, bytes })
    throw error
  }
}

function packPiece(
  core: ReplicaCore,
  disk: number,
  { offset, data }: { readonly offset: number; readonly data: Buffer },
): PreparedRecord[] {
  const { recordBytes } = core.deps.limits
  const records: PreparedRecord[] = []
  for (let done = 0; done < data.length; ) {
    const bytes = Math.min(data.length - done, recordBytes - ((offset + done) % recordBytes))
    const content = { disk, offset: offset + done, data: data.subarray(done, done + bytes) }
    records.push(prepareRecord(content, core.deps.facts.compress, core.deps.masterKey !== null))
    done += bytes
  }
  return records
}

const isDamage = (error: unknown): boolean => error instanceof Refusal && error.code === 'replica/damaged'

function markImmovable(
  immovable: Set<number>,
  {
    entries,
    offset,
    bytes,
  }: { readonly entries: ExtentMap; readonly offset: number; readonly bytes: number },
): void {
  for (let index = 0; index < entries.count; index += 1)
    if (at(entries.offset, index) >= offset && endAt(entries, index) <= offset + bytes)
      immovable.add(at(entries.segment, index))
}
