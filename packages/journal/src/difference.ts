// What may differ between two points of one disk, without reading any content.
import type { Extent, MappedExtent } from '@understudy/block/device'
import { coalesce, intersect } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { chooseIndexes } from './choose-indexes.ts'
import { at, emptyMap, type ReplicaMap } from './extent-map.ts'
import { loadLayers, loadPoint } from './load-point.ts'
import { mapRange } from './opened-point.ts'
import type { ReplicaCore } from './replica-core.ts'

/** Pieces of `to`'s disk, sorted; the kind is what `to` has there. Nothing when `to` has no such disk. */
export async function difference(
  core: ReplicaCore,
  disk: DiskKey,
  { from, to }: { readonly from: PointId; readonly to: PointId },
): Promise<MappedExtent[]> {
  const loading = core.beginLoading()
  try {
    const before = core.findPoint(from)
    const after = core.findPoint(to)
    const [older, newer] = before.sequence < after.sequence ? [before, after] : [after, before]
    const layers = await loadLayers(core, chooseIndexes(core.state, older.sequence + 1, newer.sequence))
    const { maps, stored, release } = await loadPoint(core, to)
    await release()
    const index = stored.disks.findIndex(({ key }) => key === disk)
    const map = maps[index]?.map
    if (map === undefined) return []
    const bytes = stored.disks[index]?.bytes ?? 0
    const beforeBytes = before.disks.find(({ key }) => key === disk)?.bytes ?? 0
    // Joined before anything else: a disk has millions of records, and written in a row they are one extent.
    const changed = coalesce(changedExtents(layers, core.state.diskKeys.indexOf(disk)))
    const grown = bytes > beforeBytes ? [{ offset: beforeBytes, bytes: bytes - beforeBytes }] : []
    const wanted = intersect(coalesce(sortedByOffset([...changed, ...grown])), [{ offset: 0, bytes }])
    return wanted.flatMap((extent) => [...mapRange(map, extent)])
  } finally {
    loading.end()
    await core.deleteDoomed()
  }
}

function* changedExtents(layers: ReplicaMap, disk: number): Generator<Extent> {
  const map = layers.get(disk) ?? emptyMap
  for (let index = 0; index < map.count; index += 1)
    yield { offset: at(map.offset, index), bytes: at(map.bytes, index) }
}

const sortedByOffset = (extents: Extent[]): Extent[] => extents.sort((a, b) => a.offset - b.offset)
