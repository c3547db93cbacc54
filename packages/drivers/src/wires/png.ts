// PNG, RFC 2083: a signature, then chunks with a length, a type, their data and a checksum.
import { crc32, deflateSync } from 'node:zlib'

export const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

export type Picture = {
  readonly width: number
  readonly height: number
  /** Rows from top to bottom without gaps: three bytes a pixel (red, green, blue); with a palette one byte, the place in it. */
  readonly pixels: Buffer
  /** Three bytes a colour. */
  readonly palette?: Buffer
}

/** 8 bits a channel, deflated, not interlaced; no row is filtered. */
export function encodePng({ width, height, pixels, palette }: Picture): Buffer {
  const rowBytes = width * (palette === undefined ? 3 : 1)
  const rows = Buffer.alloc((rowBytes + 1) * height)
  for (let row = 0; row < height; row += 1)
    pixels.copy(rows, row * (rowBytes + 1) + 1, row * rowBytes, (row + 1) * rowBytes)
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, palette === undefined ? 2 : 3, 0, 0, 0], 8)
  return Buffer.concat([
    PNG_SIGNATURE,
    chunk('IHDR', header),
    ...(palette === undefined ? [] : [chunk('PLTE', palette)]),
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
