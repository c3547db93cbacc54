// What the frames of a seed add up to while it is written: its mark, and what of every disk is safe.
import type { Extent } from '@understudy/block/device'
import { intersect, subtract, union } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { SeedMark, StaleExtents } from '@understudy/engine/ports/seed-folders'

/** As it lies in a frame: disks by number, which a disk keeps as long as the seed lives. */
export type MarkRecord = SeedMark & {
  readonly keys: readonly DiskKey[]
  readonly stale: 'all' | readonly (readonly [disk: number, offset: number, bytes: number])[]
}

export type SeedState = {
  mark: SeedMark | null
  keys: readonly DiskKey[]
  readonly safe: Map<DiskKey, Extent[]>
}

export const newState = (): SeedState => ({ mark: null, keys: [], safe: new Map() })

export function toRecord(state: SeedState, mark: SeedMark, stale: StaleExtents | 'all'): MarkRecord {
  const keys = [...new Set([...state.keys, ...mark.disks.map(({ key }) => key)])]
  const { checkpoint, disks } = mark
  if (stale === 'all') return { checkpoint, disks, keys, stale }
  const flat = [...stale].flatMap(([key, extents]) =>
    extents.map(({ offset, bytes }) => [keys.indexOf(key), offset, bytes] as const),
  )
  return { checkpoint, disks, keys, stale: flat }
}

export function applyMark(state: SeedState, { checkpoint, disks, keys, stale }: MarkRecord): void {
  state.mark = { checkpoint, disks }
  state.keys = keys
  if (stale === 'all') {
    state.safe.clear()
    return
  }
  for (const { key, bytes } of disks) {
    const number = keys.indexOf(key)
    const gone = stale
      .filter(([disk]) => disk === number)
      .map(([, offset, length]) => ({ offset, bytes: length }))
    const kept = subtract(state.safe.get(key) ?? [], gone)
    state.safe.set(key, intersect(kept, [{ offset: 0, bytes }]))
  }
  // A disk that leaves and comes back is another one.
  for (const key of state.safe.keys()) if (disks.every((disk) => disk.key !== key)) state.safe.delete(key)
}

export function applyContent(state: SeedState, key: DiskKey, { offset, bytes }: Extent): void {
  const safe = state.safe.get(key) ?? []
  const last = safe.at(-1)
  const end = last ? last.offset + last.bytes : 0
  // Nearly always it follows what was written last: a long list is not copied for that.
  if (last && end === offset) safe[safe.length - 1] = { ...last, bytes: last.bytes + bytes }
  else if (end < offset || !last) safe.push({ offset, bytes })
  state.safe.set(key, last && offset < end ? union(safe, [{ offset, bytes }]) : safe)
}
