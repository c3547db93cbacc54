// Azure keeps the screen of a machine as a Windows bitmap; everybody else wants PNG.
//
//   bitmap: "BM"   10 offset of the pixels   18 width   22 height (negative: from the top)   28 bits a pixel   30 compression (0: none)
//   rows of blue, green, red [, unused], each padded to four bytes, usually from the bottom
import { encodePng } from '../../wires/png.ts'

/** Null: not a bitmap that can be read. */
export function bitmapToPng(bitmap: Buffer): Buffer | null {
  if (bitmap.length < 54 || bitmap.toString('latin1', 0, 2) !== 'BM') return null
  const [start, width, signedHeight] = [
    bitmap.readUInt32LE(10),
    bitmap.readInt32LE(18),
    bitmap.readInt32LE(22),
  ]
  const pixelBytes = bitmap.readUInt16LE(28) / 8
  const compression = bitmap.readUInt32LE(30)
  const height = Math.abs(signedHeight)
  const rowBytes = Math.ceil((width * pixelBytes) / 4) * 4
  const isKnown = (pixelBytes === 3 || pixelBytes === 4) && (compression === 0 || compression === 3)
  if (!isKnown || width <= 0 || height === 0 || start + rowBytes * height > bitmap.length) return null
  const pixels = Buffer.alloc(width * 3 * height)
  for (let row = 0; row < height; row += 1) {
    const from = start + (signedHeight > 0 ? height - 1 - row : row) * rowBytes
    for (let column = 0; column < width; column += 1) {
      const pixel = from + column * pixelBytes
      const to = (row * width + column) * 3
      for (const channel of [0, 1, 2]) pixels[to + channel] = bitmap[pixel + 2 - channel] ?? 0
    }
  }
  return encodePng({ width, height, pixels })
}
