// Which grains of a disk were written: one bit each, so that memory is bounded by the disk's size and not by what happens to it.
import { KiB } from '@understudy/base/bytes'
import type { Extent } from '@understudy/block/device'

/** A megabyte of memory tracks half a terabyte. Smaller grains copy less and cost more reads. */
export const GRAIN_BYTES = 64 * KiB

export type GrainSet = {
  readonly diskBytes: number
  /** Of whole grains, cut at the end of the disk. */
  readonly changedBytes: number
  /** What lies beyond the end of the disk is left out. */
  add(extent: Extent): void
  /** Sorted, joined. */
  extents(): Extent[]
  /** Whole grains within, of which none was added; ascending, joined, one at a time. */
  gaps(within: Extent): Generator<Extent>
}

export function grainSet(diskBytes: number): GrainSet {
  const grains = Math.ceil(diskBytes / GRAIN_BYTES)
  const bits = new Uint8Array(Math.ceil(grains / 8))
  let marked = 0
  const has = (grain: number): boolean => ((bits[grain >> 3] ?? 0) & (1 << (grain & 7))) !== 0
  return {
    diskBytes,
    get changedBytes() {
      return Math.min(marked * GRAIN_BYTES, diskBytes)
    },
    add({ offset, bytes }) {
      const end = Math.min(grains, Math.ceil((offset + bytes) / GRAIN_BYTES))
      for (let grain = Math.floor(offset / GRAIN_BYTES); grain < end; grain += 1) {
        if (has(grain)) continue
        bits[grain >> 3] = (bits[grain >> 3] ?? 0) | (1 << (grain & 7))
        marked += 1
      }
    },
    extents() {
      const found: Extent[] = []
      for (let grain = 0; grain < grains; grain += 1) {
        if (bits[grain >> 3] === 0) {
          grain |= 7
          continue
        }
        if (!has(grain)) continue
        const first = grain
        while (grain + 1 < grains && has(grain + 1)) grain += 1
        const offset = first * GRAIN_BYTES
        found.push({ offset, bytes: Math.min(diskBytes, (grain + 1) * GRAIN_BYTES) - offset })
      }
      return found
    },
    *gaps({ offset, bytes }) {
      const end = Math.floor(Math.min(offset + bytes, diskBytes) / GRAIN_BYTES)
      for (let grain = Math.ceil(offset / GRAIN_BYTES); grain < end; grain += 1) {
        if (has(grain)) continue
        const first = grain
        while (grain + 1 < end && !has(grain + 1)) grain += 1
        yield { offset: first * GRAIN_BYTES, bytes: (grain + 1 - first) * GRAIN_BYTES }
      }
    },
  }
}
