// Azure keeps the screen of a machine as a Windows bitmap; everybody else wants PNG (RFC 2083).
//
//   bitmap: "BM"   10 offset of the pixels   18 width   22 height (negative: from the top)   28 bits a pixel   30 compression (0: none)
//   rows of blue, green, red [, unused], each padded to four bytes, usually from the bottom
import { crc32, deflateSync } from 'node:zlib'

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
  const rows = Buffer.alloc((width * 3 + 1) * height)
  for (let row = 0; row < height; row += 1) {
    const from = start + (signedHeight > 0 ? height - 1 - row : row) * rowBytes
    for (let column = 0; column < width; column += 1) {
      const pixel = from + column * pixelBytes
      const to = row * (width * 3 + 1) + 1 + column * 3
      for (const channel of [0, 1, 2]) rows[to + channel] = bitmap[pixel + 2 - channel] ?? 0
    }
  }
  const size = Buffer.alloc(13)
  size.writeUInt32BE(width, 0)
  size.writeUInt32BE(height, 4)
  // 8 bits a channel, RGB, deflate, adaptive filters, not interlaced.
  size.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', size),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const checked = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(checked.length + 8)
  framed.writeUInt32BE(data.length, 0)
  checked.copy(framed, 4)
  framed.writeUInt32BE(crc32(checked), checked.length + 4)
  return framed
}
