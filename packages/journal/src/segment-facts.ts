// How much of each segment still shows. Pure.
import { at, type ReplicaMap } from './extent-map.ts'
import type { SegmentFact } from './replica-state.ts'

/** Bytes of content by segment that the map refers to. */
export function contentBySegment(map: ReplicaMap): Map<number, number> {
  const content = new Map<number, number>()
  for (const entries of map.values())
    for (let index = 0; index < entries.count; index += 1) {
      const segment = at(entries.segment, index)
      if (segment !== 0) content.set(segment, (content.get(segment) ?? 0) + at(entries.bytes, index))
    }
  return content
}

/** Of segments just written, in which everything shows. */
export function segmentFacts(
  sizes: readonly { readonly number: number; readonly bytes: number }[],
  map: ReplicaMap,
): SegmentFact[] {
  const content = contentBySegment(map)
  return sizes.map(({ number, bytes }) => {
    const contentBytes = content.get(number) ?? 0
    return { number, bytes, contentBytes, liveBytes: contentBytes }
  })
}
