import { KiB, MiB } from '@understudy/base/bytes'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GRAIN_BYTES, isZero, zeroRuns } from './zero-detection.ts'

test('one byte anywhere makes a buffer non-zero', () => {
  const data = Buffer.alloc(MiB + 4097)
  expect(isZero(data)).toBe(true)
  expect(isZero(Buffer.alloc(0))).toBe(true)
  for (const at of [0, 1, 4095, 256 * KiB - 1, 256 * KiB, 700_001, MiB + 4096]) {
    data[at] = 1
    expect(isZero(data)).toBe(false)
    data[at] = 0
  }
})

test('runs cover the buffer without gaps, alternate, and call a grain zero exactly when all of it is', () => {
  const anyGrains = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 })
  const anyStart = fc.constantFrom(0, 512, 3584, 4096, 1_000_448)
  fc.assert(
    fc.property(anyGrains, anyStart, fc.nat(4095), (grains, offset, position) => {
      const data = Buffer.alloc(grains.length * 2048)
      grains.forEach((filled, index) => {
        if (filled) data[index * 2048 + (position % 2048)] = 1
      })
      const runs = zeroRuns(data, offset)
      let at = offset
      runs.forEach((run, index) => {
        expect(run.offset).toBe(at)
        expect(run.kind).not.toBe(runs[index - 1]?.kind)
        if (index > 0) expect(run.offset % GRAIN_BYTES).toBe(0)
        for (let start = run.offset; start < run.offset + run.bytes; ) {
          const end = Math.min(run.offset + run.bytes, start - (start % GRAIN_BYTES) + GRAIN_BYTES)
          const grain = data.subarray(start - offset, end - offset)
          expect(run.kind === 'zero').toBe(grain.every((byte) => byte === 0))
          start = end
        }
        at += run.bytes
      })
      expect(at).toBe(offset + data.length)
    }),
  )
})
