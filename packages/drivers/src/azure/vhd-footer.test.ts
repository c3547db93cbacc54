import { GiB, MiB, TiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import { vhdBytes, vhdFooter, virtualBytes } from './vhd-footer.ts'

test('a footer says size, kind and geometry as the specification wants, and sums itself up', () => {
  const footer = vhdFooter(2 * GiB, Buffer.alloc(16, 7))
  expect(footer.toString('ascii', 0, 8)).toBe('conectix')
  expect(footer.readUInt32BE(60), 'fixed').toBe(2)
  expect([footer.readBigUInt64BE(40), footer.readBigUInt64BE(48)]).toEqual([2n ** 31n, 2n ** 31n])
  // From a 2 GiB image that qemu-img made (-o subformat=fixed,force_size=on is not needed for the geometry).
  expect([footer.readUInt16BE(56), footer[58], footer[59]]).toEqual([4161, 16, 63])
  let sum = 0
  for (const [at, byte] of footer.entries()) if (at < 64 || at > 67) sum += byte
  expect(footer.readUInt32BE(64)).toBe(~sum >>> 0)
})

test.each([
  [MiB, [30, 4, 17]],
  [512 * MiB, [1040, 16, 63]],
  [8 * TiB - MiB, [65535, 16, 255]],
])('the geometry of %i bytes is that of the specification', (size, expected) => {
  const footer = vhdFooter(size, Buffer.alloc(16))
  expect([footer.readUInt16BE(56), footer[58], footer[59]]).toEqual(expected)
})

test('a disk takes whole MiB and one page for the footer', () => {
  expect(virtualBytes(MiB + 512)).toBe(2 * MiB)
  expect(vhdBytes(MiB)).toBe(MiB + 512)
})
