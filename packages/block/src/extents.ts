// Algebra over extents: which parts of a disk. Pure. Everywhere below, "sorted" means ascending by offset, without
// overlaps and without touching neighbours; every function returns sorted lists and all but `sorted` expect them.

import { roundDown, roundUp } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'
import type { Extent, MappedExtent } from './device.ts'

const endOf = (extent: Extent): number => extent.offset + extent.bytes

/** Any extents, in any order and overlapping, as a sorted list of what they cover. */
export function sorted(extents: Iterable<Extent>): Extent[] {
  return coalesce([...extents].sort((a, b) => a.offset - b.offset))
}

/**
 * Joins extents that overlap or touch, or lie at most `maximumGapBytes` apart: one larger request is cheaper than two
 * small ones. The input is ascending by offset and may overlap.
 */
export function coalesce(extents: Iterable<Extent>, maximumGapBytes = 0): Extent[] {
  const joined: Extent[] = []
  let offset = 0
  let end = -1
  for (const extent of extents) {
    if (extent.bytes <= 0) continue
    invariant(extent.offset >= offset, 'extents to coalesce are ascending')
    if (end >= 0 && extent.offset <= end + maximumGapBytes) {
      end = Math.max(end, endOf(extent))
      continue
    }
    if (end >= 0) joined.push({ offset, bytes: end - offset })
    offset = extent.offset
    end = endOf(extent)
  }
  if (end >= 0) joined.push({ offset, bytes: end - offset })
  return joined
}

/** What lies in one of them or in both. */
export function union(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  return coalesce(mergeByOffset(a, b))
}

/** What lies in both. */
export function intersect(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  const common: Extent[] = []
  let ia = 0
  let ib = 0
  for (;;) {
    const ea = a[ia]
    const eb = b[ib]
    if (ea === undefined || eb === undefined) return common
    const offset = Math.max(ea.offset, eb.offset)
    const end = Math.min(endOf(ea), endOf(eb))
    if (end > offset) common.push({ offset, bytes: end - offset })
    if (endOf(ea) < endOf(eb)) ia += 1
    else ib += 1
  }
}

/** What lies in `a` and not in `b`. */
export function subtract(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  const rest: Extent[] = []
  let ib = 0
  for (const extent of a) {
    let offset = extent.offset
    const end = endOf(extent)
    for (let hole = b[ib]; hole !== undefined && hole.offset < end; hole = b[ib]) {
      if (hole.offset > offset) rest.push({ offset, bytes: hole.offset - offset })
      offset = Math.max(offset, endOf(hole))
      // A hole that goes on past this extent may also cut the next one.
      if (endOf(hole) > end) break
      ib += 1
    }
    if (offset < end) rest.push({ offset, bytes: end - offset })
  }
  return rest
}

/** The same extents cut into pieces of at most `maximumBytes`. The pieces touch, so the result is not "sorted". */
export function split(extents: Iterable<Extent>, maximumBytes: number): Extent[] {
  invariant(maximumBytes > 0, 'pieces have a size')
  const pieces: Extent[] = []
  for (const extent of extents) {
    for (let offset = extent.offset; offset < endOf(extent); offset += maximumBytes)
      pieces.push({ offset, bytes: Math.min(maximumBytes, endOf(extent) - offset) })
  }
  return pieces
}

/** Grown outwards to whole grains, but never past the end of the disk. */
export function align(
  extents: Iterable<Extent>,
  grainBytes: number,
  diskBytes = Number.MAX_SAFE_INTEGER,
): Extent[] {
  const grown: Extent[] = []
  for (const extent of extents) {
    const offset = roundDown(extent.offset, grainBytes)
    grown.push({ offset, bytes: Math.min(roundUp(endOf(extent), grainBytes), diskBytes) - offset })
  }
  return coalesce(grown)
}

export function totalBytes(extents: Iterable<Extent>): number {
  let bytes = 0
  for (const extent of extents) bytes += extent.bytes
  return bytes
}

function* mergeByOffset(a: readonly Extent[], b: readonly Extent[]): Generator<Extent> {
  let ia = 0
  let ib = 0
  for (;;) {
    const ea = a[ia]
    const eb = b[ib]
    if (ea !== undefined && (eb === undefined || ea.offset <= eb.offset)) {
      yield ea
      ia += 1
    } else if (eb !== undefined) {
      yield eb
      ib += 1
    } else return
  }
}

/** What of the extents lies below `end`, in their order. */
export async function* below(
  extents: AsyncIterable<MappedExtent>,
  end: number,
): AsyncGenerator<MappedExtent> {
  for await (const extent of extents) {
    const bytes = Math.min(extent.bytes, end - extent.offset)
    if (bytes > 0) yield { ...extent, bytes }
  }
}
