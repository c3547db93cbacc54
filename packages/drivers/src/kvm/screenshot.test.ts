import { inflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { portablePixmapToPng } from './screenshot.ts'

test('a pixmap becomes a PNG with the same pixels', () => {
  const pixels = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  const png = portablePixmapToPng(Buffer.concat([Buffer.from('P6\n3 2\n255\n'), pixels]))
  expect(png.readUInt32BE(16)).toBe(3)
  expect(png.readUInt32BE(20)).toBe(2)
  const start = png.indexOf('IDAT')
  const rows = inflateSync(png.subarray(start + 4, start + 4 + png.readUInt32BE(start - 4)))
  expect(Buffer.concat([rows.subarray(1, 10), rows.subarray(11, 20)])).toEqual(pixels)
})

test('what is not a pixmap is refused', () => {
  expect(() => portablePixmapToPng(Buffer.from('P5\n1 1\n255\n.'))).toThrow(RangeError)
})
