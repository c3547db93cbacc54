// Turns the indexes of a point into the map of every disk, and holds on to the files that the map names.
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { chooseIndexes } from './choose-indexes.ts'
import { at, type ExtentMap, emptyMap, overlayAll, type ReplicaMap, trimmed } from './extent-map.ts'
import { isMissing } from './failures.ts'
import type { ReplicaCore } from './replica-core.ts'
import type { IndexRef, StoredPoint } from './replica-state.ts'

export type LoadedPoint = {
  readonly stored: StoredPoint
  /** One per disk of the point, in its order. */
  readonly maps: readonly { readonly number: number; readonly map: ExtentMap }[]
  release(): Promise<void>
}

/** Looks again when the writer, in another process, has merged what we knew. It does so rarely; twice in a row is not that. */
export async function loadPoint(core: ReplicaCore, id: PointId): Promise<LoadedPoint> {
  try {
    return await loadPointOnce(core, id)
  } catch (error) {
    if (!isMissing(error)) throw error
    await core.refresh()
    return await loadPointOnce(core, id)
  }
}

async function loadPointOnce(core: ReplicaCore, id: PointId): Promise<LoadedPoint> {
  const loading = core.beginLoading()
  try {
    const stored = core.findPoint(id)
    const { diskKeys } = core.state
    const first = core.state.layers[0]?.first ?? 1
    const content = await loadLayers(core, chooseIndexes(core.state, first, stored.sequence))
    const maps = stored.disks.map(({ key, bytes }) => {
      const number = diskKeys.indexOf(key)
      return { number, map: trimmed(content.get(number) ?? emptyMap, bytes, false) }
    })
    const { release } = core.retain(segmentsIn(maps.map(({ map }) => map)))
    return { stored, maps, release }
  } finally {
    loading.end()
  }
}

/** From old to new, laid one over the other. The caller keeps the files from going away. */
export async function loadLayers(core: ReplicaCore, indexes: readonly IndexRef[]): Promise<ReplicaMap> {
  const maps: ReplicaMap[] = []
  // A few at a time: the order matters, and the disk answers several as quickly as one.
  for (let start = 0; start < indexes.length; start += 8)
    maps.push(
      ...(await Promise.all(indexes.slice(start, start + 8).map((index) => core.files.readIndex(index)))),
    )
  return overlayAll(maps)
}

export function segmentsIn(maps: readonly ExtentMap[]): Set<number> {
  const segments = new Set<number>()
  let last = 0
  for (const map of maps)
    for (let index = 0; index < map.count; index += 1) {
      const segment = at(map.segment, index)
      if (segment !== last && segment !== 0) segments.add(segment)
      last = segment
    }
  return segments
}
