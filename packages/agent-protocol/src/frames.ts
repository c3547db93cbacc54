// What was read of a disk, or is to be written to one, as it goes through a stream. One frame after the other, until the stream ends:
//
//    0  u32  number of the read that it answers, or of the write that it is
//    4  u64  offset on the disk
//   12  u32  bytes of content
//   16  u8   codec: 0 raw, 1 zstd, 2 zeros | 3 bytes 0
//   20  u32  bytes of the payload
//   24  u32  crc32 of the content, begun at that number
//   28  payload
//
// A frame answers exactly what was asked: one that does not, or whose checksum is wrong, spoils the stream that it came in.
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { Outage } from '@understudy/base/errors'

export const FRAME_HEADER_BYTES = 28
/** Of one read. */
export const MOST_READ_BYTES = 1024 * 1024
const CODEC_RAW = 0
const CODEC_ZSTD = 1
const CODEC_ZEROS = 2
/** More than ZSTD_compressBound (zstd.h) of a read adds to it. */
const ZSTD_EXTRA_BYTES = 8192

export type Frame = { readonly read: number; readonly offset: number; readonly content: Buffer }

const params = { [constants.ZSTD_c_compressionLevel]: 1 }

/** As parts to write one after the other. */
export function encodeFrame({ read, offset, content }: Frame): readonly Buffer[] {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  const { codec, payload } = packed(content)
  header.writeUInt32LE(read, 0)
  header.writeBigUInt64LE(BigInt(offset), 4)
  header.writeUInt32LE(content.length, 12)
  header[16] = codec
  header.writeUInt32LE(payload.length, 20)
  header.writeUInt32LE(crc32(content, read), 24)
  return payload.length === 0 ? [header] : [header, payload]
}

function packed(content: Buffer): { readonly codec: number; readonly payload: Buffer } {
  if (isZero(content)) return { codec: CODEC_ZEROS, payload: Buffer.alloc(0) }
  const small = zstdCompressSync(content, { params, chunkSize: content.length + ZSTD_EXTRA_BYTES })
  // Where little is saved, unpacking would cost more.
  return small.length < content.length - (content.length >> 4)
    ? { codec: CODEC_ZSTD, payload: small }
    : { codec: CODEC_RAW, payload: content }
}

function isZero(content: Buffer): boolean {
  // A comparison with itself, one byte further on, runs at the speed of memory.
  return content[0] === 0 && content.subarray(1).equals(content.subarray(0, -1))
}

export type FrameHeader = {
  readonly read: number
  readonly offset: number
  readonly contentBytes: number
  readonly codec: number
  readonly payloadBytes: number
  readonly checksum: number
}

/** Throws Outage (`agent/bad-frame`) what no side ever writes. */
export function readFrameHeader(header: Buffer): FrameHeader {
  const read = header.readUInt32LE(0)
  const offset = Number(header.readBigUInt64LE(4))
  const contentBytes = header.readUInt32LE(12)
  const codec = header[16] ?? CODEC_RAW
  const payloadBytes = header.readUInt32LE(20)
  const checksum = header.readUInt32LE(24)
  if (header.readUIntLE(17, 3) !== 0 || codec > CODEC_ZEROS) throw badFrame('its kind is unknown')
  if (contentBytes === 0 || contentBytes > MOST_READ_BYTES) throw badFrame('its length is impossible')
  const most = codec === CODEC_ZEROS ? 0 : contentBytes
  if (payloadBytes > most || (codec === CODEC_RAW && payloadBytes !== contentBytes))
    throw badFrame('its length is impossible')
  return { read, offset, contentBytes, codec, payloadBytes, checksum }
}

/** Unpacks and checks. Throws Outage (`agent/bad-frame`) when it is not what was read. */
export function readFrameContent(header: FrameHeader, payload: Buffer): Buffer {
  const content = unpacked(header, payload)
  if (content.length !== header.contentBytes) throw badFrame('its length is wrong')
  if (crc32(content, header.read) !== header.checksum) throw badFrame('its checksum is wrong')
  return content
}

function unpacked({ codec, contentBytes }: FrameHeader, payload: Buffer): Buffer {
  if (codec === CODEC_RAW) return payload
  if (codec === CODEC_ZEROS) return Buffer.alloc(contentBytes)
  try {
    return zstdDecompressSync(payload, {
      maxOutputLength: contentBytes,
      chunkSize: Math.max(64, contentBytes),
    })
  } catch (cause) {
    throw badFrame('it cannot be unpacked', cause)
  }
}

export const badFrame = (why: string, cause?: unknown): Outage =>
  new Outage({
    code: 'agent/bad-frame',
    message: `Data of an agent was changed on its way, or by the agent: ${why}`,
    remedy:
      'It is asked for again. If it stays, check the memory of both computers and what lies between them.',
    cause,
  })

export type FrameSink = {
  /** Before its payload is read: throws where it answers nothing that was asked. */
  expect(header: FrameHeader): void
  /** The next one is not read before it has been taken. */
  take(frame: Frame): void | Promise<void>
}

/** Reads frames until the stream ends. Throws what is wrong with it, also an end in the middle of a frame. Holds one frame at a time. */
export async function readFrames(stream: AsyncIterable<Buffer>, sink: FrameSink): Promise<void> {
  let parts: Buffer[] = []
  let held = 0
  let header: FrameHeader | null = null
  const take = (bytes: number): Buffer => {
    const all = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
    parts = all.length > bytes ? [all.subarray(bytes)] : []
    held -= bytes
    return all.subarray(0, bytes)
  }
  const wanted = (): number => (header === null ? FRAME_HEADER_BYTES : header.payloadBytes)
  for await (const part of stream) {
    parts.push(part)
    held += part.length
    while (held >= wanted() && (held > 0 || header !== null)) {
      if (header === null) {
        header = readFrameHeader(take(FRAME_HEADER_BYTES))
        sink.expect(header)
        continue
      }
      const content = readFrameContent(header, take(header.payloadBytes))
      await sink.take({ read: header.read, offset: header.offset, content })
      header = null
    }
  }
  if (held > 0 || header !== null) throw badFrame('it ends too early')
}
