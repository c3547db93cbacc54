// What each 4 KiB of a disk must be. For every disk there is a second page blob with 8 bytes a grain, which gets its snapshots
// together with the first:
//
//   0  checksum of content and place, never 0       4  number of the point that wrote it (its last 32 bits)
//
// Eight zero bytes say: this grain reads as zeros. So the sums of a sparse disk are sparse, and two points hold the same in a
// grain exactly when they hold the same eight bytes or both read as zeros there.
import { crc32 } from 'node:zlib'
import type { Extent } from '@understudy/block/device'
import { GRAIN_BYTES, isZero } from '@understudy/block/zero-detection'
import { virtualBytes } from './vhd-footer.ts'

export const SUM_BYTES = 8
/** One page of Azure holds the sums of this many grains: of 256 KiB of disk. */
export const SUMS_PER_PAGE = 512 / SUM_BYTES

/** Rounded up to whole pages by the rounding to whole MiB. */
export const sumsBytes = (diskBytes: number): number => (virtualBytes(diskBytes) / GRAIN_BYTES) * SUM_BYTES

/** Where the sums of a range of whole grains lie. */
export const sumsOf = ({ offset, bytes }: Extent): Extent => ({
  offset: (offset / GRAIN_BYTES) * SUM_BYTES,
  bytes: (bytes / GRAIN_BYTES) * SUM_BYTES,
})

export type Summing = {
  /** Starts every checksum, so that what belongs to another blob or another place is found out. */
  readonly seed: number
}

export const summingFor = (blob: string): Summing => ({ seed: crc32(blob) })

/** Of a whole grain that is not zero. */
export function grainSum({ seed }: Summing, grain: number, data: Buffer): number {
  const place = (seed ^ Math.imul(grain + 1, 0x9e3779b1)) >>> 0
  return crc32(data, place) || 1
}

/** `data` starts at `offset`, a whole grain; `sums` are the eight bytes of each. The first grain that does not fit, or null. */
export function findWrongGrain(
  summing: Summing,
  { offset, data, sums }: { readonly offset: number; readonly data: Buffer; readonly sums: Buffer },
): number | null {
  for (let at = 0; at < data.length; at += GRAIN_BYTES) {
    const grain = (offset + at) / GRAIN_BYTES
    const content = data.subarray(at, at + GRAIN_BYTES)
    const wanted = sums.readUInt32LE((at / GRAIN_BYTES) * SUM_BYTES)
    const fits = wanted === 0 ? isZero(content) : wanted === grainSum(summing, grain, content)
    if (!fits) return grain
  }
  return null
}
