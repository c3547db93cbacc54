// Reads everything that any point refers to and says what is damaged and which points that spoils.

import { Refusal } from '@understudy/base/errors'
import type { Extent } from '@understudy/block/device'
import { coalesce, subtract } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { DamagedRange, ScrubReport } from '@understudy/engine/ports/replica-store'
import {
  at,
  type Entry,
  type ExtentMap,
  emptyMap,
  endAt,
  entryAt,
  firstAfter,
  type ReplicaMap,
} from './extent-map.ts'
import { onDisk } from './failures.ts'
import { groupNeighbours, mismatch } from './read-records.ts'
import { decodeRecord } from './record.ts'
import { pointIdOf, type ReplicaCore } from './replica-core.ts'
import type { Layer } from './replica-state.ts'
import { type Throttle, throttle } from './throttle.ts'

type Damage = { readonly disk: number; readonly extent: Extent }

export async function scrub(
  core: ReplicaCore,
  options: { readonly bytesPerSecond: number; readonly signal?: AbortSignal },
): Promise<ScrubReport> {
  const pace = throttle(options.bytesPerSecond)
  const damage: DamagedRange[] = []
  let checkedBytes = 0
  // By sequence number, not by place in the list: layers are merged while we walk.
  for (let done = 0; ; ) {
    const layer = core.state.layers.find(({ last }) => last > done)
    if (layer === undefined) return { checkedBytes, damage }
    done = layer.last
    const held = core.retain(new Set(layer.segments.map(({ number }) => number)))
    try {
      const found = await onDisk(() => scrubLayer(core, layer, { pace, signal: options.signal }))
      checkedBytes += found.checkedBytes
      damage.push(...found.damage)
    } finally {
      await held.release()
    }
  }
}

type Pace = { readonly pace: Throttle; readonly signal: AbortSignal | undefined }

async function scrubLayer(core: ReplicaCore, layer: Layer, pace: Pace): Promise<ScrubReport> {
  if (layer.index === null) return { checkedBytes: 0, damage: [] }
  const map = await readIndexOrNull(core, layer)
  if (map === null) return { checkedBytes: layer.index.bytes, damage: lostLayer(core, layer) }
  let checkedBytes = layer.index.bytes
  const damage: Damage[] = []
  for (const [disk, entries] of map) {
    for (const group of groupNeighbours(recordsOf(entries))) {
      const bytes = group.reduce((sum, { stored }) => sum + stored, 0)
      await pace.pace.take(bytes, pace.signal)
      for (const { offset, bytes } of await damagedEntries(core, disk, group))
        damage.push({ disk, extent: { offset, bytes } })
      checkedBytes += bytes
    }
  }
  return { checkedBytes, damage: damage.length === 0 ? [] : await spoiledPoints(core, layer, damage) }
}

/** One at a time: the newest layer of a large disk has millions. */
function* recordsOf(entries: ExtentMap): Generator<Entry> {
  for (let index = 0; index < entries.count; index += 1)
    if (at(entries.segment, index) !== 0) yield entryAt(entries, index)
}

async function readIndexOrNull(core: ReplicaCore, layer: Layer): Promise<ReplicaMap | null> {
  try {
    return layer.index === null ? new Map() : await core.files.readIndex(layer.index)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'replica/damaged') return null
    throw error
  }
}

/** Without its index nothing of a layer can be found, in no point since. */
function lostLayer(core: ReplicaCore, layer: Layer): DamagedRange[] {
  const points = core.state.points.filter(({ sequence }) => sequence >= layer.last)
  return (points[0]?.disks ?? []).map(({ key, bytes }) => ({
    disk: key,
    offset: 0,
    bytes,
    points: points.map(({ sequence }) => pointIdOf(sequence)),
  }))
}

async function damagedEntries(core: ReplicaCore, disk: number, group: readonly Entry[]): Promise<Entry[]> {
  const first = group[0]
  const last = group.at(-1)
  if (first === undefined || last === undefined) return []
  const read = await readGroupOrNull(core, first, last)
  if (read === null) return [...group]
  return group.filter((entry) => {
    const start = entry.position - first.position
    const place = { segment: entry.segment, position: entry.position, key: read.key }
    const record = decodeRecord(read.data.subarray(start, start + entry.stored), place)
    return 'damage' in record || mismatch(record, disk, entry) !== null
  })
}

/** Null when the head of the file is damaged. A read error of the medium is an Outage and ends the scrub. */
async function readGroupOrNull(
  core: ReplicaCore,
  first: Entry,
  last: Entry,
): Promise<{ data: Buffer; key: Buffer | null } | null> {
  try {
    return await core.files.read(first.segment, first.position, last.position + last.stored - first.position)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'replica/damaged') return null
    throw error
  }
}

/** Goes up from the damaged layer: a point is spoiled as long as not all of the damage has been written over. */
async function spoiledPoints(
  core: ReplicaCore,
  layer: Layer,
  damage: readonly Damage[],
): Promise<DamagedRange[]> {
  const rests = damage.map(({ disk, extent }) => ({ disk, extent, rest: [extent], points: [] as PointId[] }))
  const kept = new Set(core.state.points.map(({ sequence }) => sequence))
  for (const above of core.state.layers.filter(({ last }) => last >= layer.last)) {
    const map = above.last === layer.last ? null : await readIndexOrNull(core, above)
    for (const one of rests) {
      if (map !== null) one.rest = subtract(one.rest, writtenIn(map, one.disk, one.extent))
      if (one.rest.length > 0 && kept.has(above.last)) one.points.push(pointIdOf(above.last))
    }
    if (rests.every(({ rest }) => rest.length === 0)) break
  }
  return rests.map(({ disk, extent, points }) => ({ disk: diskKeyOf(core, disk), ...extent, points }))
}

function writtenIn(map: ReplicaMap, disk: number, { offset, bytes }: Extent): Extent[] {
  const entries = map.get(disk) ?? emptyMap
  const written: Extent[] = []
  for (
    let index = firstAfter(entries, offset);
    index < entries.count && at(entries.offset, index) < offset + bytes;
    index += 1
  )
    written.push({
      offset: at(entries.offset, index),
      bytes: endAt(entries, index) - at(entries.offset, index),
    })
  return coalesce(written)
}

const diskKeyOf = (core: ReplicaCore, disk: number): DiskKey => core.state.diskKeys[disk] ?? ('' as DiskKey)
