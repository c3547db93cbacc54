import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Extent } from './device.ts'
import { align, coalesce, intersect, sorted, split, subtract, totalBytes, union } from './extents.ts'

// The model: a disk of 96 bytes as a list of booleans. Slow and obviously right.
const DISK_BYTES = 96
type Bitmap = boolean[]

const bitmapOf = (extents: readonly Extent[]): Bitmap => {
  const bits: Bitmap = Array.from({ length: DISK_BYTES }, () => false)
  for (const { offset, bytes } of extents) bits.fill(true, offset, offset + bytes)
  return bits
}
const extentsOf = (bits: Bitmap): Extent[] => {
  const found: Extent[] = []
  for (let at = 0; at < bits.length; ) {
    const offset = at
    while (at < bits.length && bits[at] === bits[offset]) at += 1
    if (bits[offset]) found.push({ offset, bytes: at - offset })
  }
  return found
}
const combine = (a: readonly Extent[], b: readonly Extent[], rule: (x: boolean, y: boolean) => boolean) => {
  const other = bitmapOf(b)
  return extentsOf(bitmapOf(a).map((bit, at) => rule(bit, other[at] === true)))
}

const anyExtent = fc
  .tuple(fc.nat(DISK_BYTES - 1), fc.integer({ min: 1, max: 24 }))
  .map(([offset, bytes]): Extent => ({ offset, bytes: Math.min(bytes, DISK_BYTES - offset) }))
const anyMess = fc.array(anyExtent, { maxLength: 12 })
const anySorted = anyMess.map((extents) => extentsOf(bitmapOf(extents)))

const runs = { numRuns: 500 }

describe('extents agree with a bitmap', () => {
  test('sorted covers exactly what any mess of extents covers', () => {
    fc.assert(
      fc.property(anyMess, (mess) => {
        expect(sorted(mess)).toEqual(extentsOf(bitmapOf(mess)))
      }),
      runs,
    )
  })
  test('union, intersect and subtract are or, and, and-not', () => {
    fc.assert(
      fc.property(anySorted, anySorted, (a, b) => {
        expect(union(a, b)).toEqual(combine(a, b, (x, y) => x || y))
        expect(intersect(a, b)).toEqual(combine(a, b, (x, y) => x && y))
        expect(subtract(a, b)).toEqual(combine(a, b, (x, y) => x && !y))
      }),
      runs,
    )
  })
  test('coalesce with a gap fills exactly the gaps that are no longer than allowed', () => {
    fc.assert(
      fc.property(anySorted, fc.nat(10), (extents, gap) => {
        const bits = bitmapOf(extents)
        for (const hole of extentsOf(bits.map((bit) => !bit))) {
          const inside = hole.offset > 0 && hole.offset + hole.bytes < DISK_BYTES
          if (inside && hole.bytes <= gap) bits.fill(true, hole.offset, hole.offset + hole.bytes)
        }
        expect(coalesce(extents, gap)).toEqual(extentsOf(bits))
      }),
      runs,
    )
  })
  test('split changes no byte and keeps every piece small', () => {
    fc.assert(
      fc.property(anySorted, fc.integer({ min: 1, max: 20 }), (extents, maximum) => {
        const pieces = split(extents, maximum)
        expect(pieces.every((piece) => piece.bytes > 0 && piece.bytes <= maximum)).toBe(true)
        expect(totalBytes(pieces)).toBe(totalBytes(extents))
        expect(coalesce(pieces)).toEqual(extents)
      }),
      runs,
    )
  })
  test('align covers exactly the grains that are touched, and stops at the end of the disk', () => {
    fc.assert(
      fc.property(anySorted, fc.integer({ min: 1, max: 16 }), (extents, grain) => {
        const bits = bitmapOf([])
        bitmapOf(extents).forEach((bit, at) => {
          if (bit) bits.fill(true, at - (at % grain), at - (at % grain) + grain)
        })
        expect(align(extents, grain, DISK_BYTES)).toEqual(extentsOf(bits.slice(0, DISK_BYTES)))
      }),
      runs,
    )
  })
})
