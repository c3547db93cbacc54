// Makes one layer of several: their indexes laid over each other, and the live rest of wasteful segments copied to new ones.
// Nothing is changed in place. Until the log names the new layer the old one counts, and afterwards the new one does: a crash
// in between costs the work, never a point. So it may be repeated at will.
import { MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
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
import { readRange } from './read-records.ts'
import { type PreparedRecord, prepareRecord } from './record.ts'
import type { ReplicaCore, Writer } from './replica-core.ts'
import { type Layer, type SegmentFact, segmentsOf } from './replica-state.ts'
import { contentBySegment, segmentFacts } from './segment-facts.ts'
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

type Rewrite = { readonly rewrite: ReadonlySet<number>; readonly segments: SegmentWriter }

async function rewriteSegments(deps: MergeDeps, map: ReplicaMap, work: Rewrite): Promise<ReplicaMap> {
  const moved = new Map<number, ExtentMap>()
  for (const [number, entries] of map) moved.set(number, await rewriteDisk(deps, { number, entries }, work))
  return moved
}

/** Content that lies side by side on the disk is read, packed and written together, whatever pieces it came in. */
const COPY_BYTES = MiB

async function rewriteDisk(
  deps: MergeDeps,
  disk: { readonly number: number; readonly entries: ExtentMap },
  work: Rewrite,
): Promise<ExtentMap> {
  const { number, entries } = disk
  const builder = new ExtentMapBuilder(entries.count)
  for (let index = 0; index < entries.count; ) {
    if (!work.rewrite.has(at(entries.segment, index))) {
      pushEntry(builder, entryAt(entries, index))
      index += 1
      continue
    }
    const offset = at(entries.offset, index)
    let end = offset
    while (
      index < entries.count &&
      work.rewrite.has(at(entries.segment, index)) &&
      at(entries.offset, index) === end &&
      endAt(entries, index) - offset <= COPY_BYTES
    ) {
      end = endAt(entries, index)
      index += 1
    }
    await copyContent(
      deps,
      { number, entries, offset, bytes: end - offset },
      { builder, segments: work.segments },
    )
  }
  return builder.finish()
}

const pushEntry = (builder: ExtentMapBuilder, { offset, bytes, segment, position, stored }: Entry): void =>
  builder.push(offset, bytes, segment, position, stored)

async function copyContent(
  { core, throttle, signal, immovable }: MergeDeps,
  from: {
    readonly number: number
    readonly entries: ExtentMap
    readonly offset: number
    readonly bytes: number
  },
  to: { readonly builder: ExtentMapBuilder; readonly segments: SegmentWriter },
): Promise<void> {
  await throttle.take(2 * from.bytes, signal)
  const key = core.state.diskKeys[from.number] ?? ''
  const data = await readRange(core, { key, number: from.number, map: from.entries }, from).catch(
    (error: unknown) => {
      if (error instanceof Refusal && error.code === 'replica/damaged') markImmovable(immovable, from)
      throw error
    },
  )
  const { recordBytes } = core.deps.limits
  const records: PreparedRecord[] = []
  for (let done = 0; done < data.length; ) {
    const bytes = Math.min(data.length - done, recordBytes - ((from.offset + done) % recordBytes))
    const content = { disk: from.number, offset: from.offset + done, data: data.subarray(done, done + bytes) }
    records.push(prepareRecord(content, core.deps.facts.compress, core.deps.masterKey !== null))
    done += bytes
  }
  const locations = await to.segments.append(records)
  records.forEach((record, index) => {
    const { segment, position, stored } = present(locations[index], 'every record has a place')
    to.builder.push(record.offset, record.data.length, segment, position, stored)
  })
}

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
