// Finding zeros in what was read. A replica that stores zeros as zeros costs the disk's size instead of its content.
import { KiB } from '@understudy/base/bytes'
import type { MappedExtent } from './device.ts'

/** The grain of everything we keep: a changed page of a guest's file system is 4 KiB. */
export const GRAIN_BYTES = 4 * KiB

const zeros = Buffer.alloc(256 * KiB)

/** Whether every byte is zero. The comparison is memcmp: it leaves at the first difference and runs at memory speed. */
export function isZero(data: Uint8Array): boolean {
  // Most data differs in its first byte, and a look here costs a fraction of a call into the comparison.
  if (data.length > 0 && (data[0] !== 0 || data[data.length - 1] !== 0)) return false
  for (let at = 0; at < data.length; at += zeros.length) {
    const bytes = Math.min(zeros.length, data.length - at)
    if (zeros.compare(data, at, at + bytes, 0, bytes) !== 0) return false
  }
  return true
}

/**
 * `data` was read at `offset`: its runs of data and of zeros, in order, without gaps, at disk offsets. Runs change only at
 * multiples of `grainBytes` of the disk, so a partial grain at either end counts as a grain of its own.
 */
export function zeroRuns(data: Buffer, offset: number, grainBytes = GRAIN_BYTES): MappedExtent[] {
  if (isZero(data)) return data.length === 0 ? [] : [{ offset, bytes: data.length, kind: 'zero' }]
  const runs: MappedExtent[] = []
  let start = 0
  let kind = kindOfGrain(data, 0, firstGrainEnd(data, offset, grainBytes))
  for (let at = firstGrainEnd(data, offset, grainBytes); at < data.length; ) {
    const end = Math.min(at + grainBytes, data.length)
    const next = kindOfGrain(data, at, end)
    if (next !== kind) {
      runs.push({ offset: offset + start, bytes: at - start, kind })
      start = at
      kind = next
    }
    at = end
  }
  runs.push({ offset: offset + start, bytes: data.length - start, kind })
  return runs
}

const firstGrainEnd = (data: Buffer, offset: number, grainBytes: number): number =>
  Math.min(data.length, grainBytes - (offset % grainBytes))

const kindOfGrain = (data: Buffer, start: number, end: number): 'data' | 'zero' => {
  if (data[start] !== 0 || data[end - 1] !== 0) return 'data'
  return isZero(data.subarray(start, end)) ? 'zero' : 'data'
}
