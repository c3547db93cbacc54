// One piece of a seed, able to prove that it is what was written, for this seed and at this place in it.
//
//    0  u32  'USF1'
//    4  u32  sequence number in the seed, from 0
//    8  u8   kind: 1 data, 2 zeros, 3 mark, 4 manifest | u8 codec: 0 raw, 1 zstd | u16 disk number
//   12  u32  bytes of the payload
//   16  u64  offset on the disk
//   24  u64  bytes of content
//   32  12   nonce, random: a frame that a crash has cut off is written anew under its number
//   44  16   tag of AES-256-GCM over the payload, and over the first 32 bytes as they are
//   60  payload
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { MiB } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'

export const FRAME_HEADER_BYTES = 60
const OPEN_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MAGIC = 0x31465355
/** What a frame holds at most: marks are bounded by it, too. */
export const LARGEST_CONTENT_BYTES = 64 * MiB

export type FrameKind = 'data' | 'zero' | 'mark' | 'manifest'
const kinds: readonly (FrameKind | null)[] = [null, 'data', 'zero', 'mark', 'manifest']

export type Frame = {
  readonly kind: FrameKind
  readonly disk: number
  readonly offset: number
  readonly bytes: number
  /** Empty for zeros. */
  readonly content: Buffer
}

export type FrameHeader = Omit<Frame, 'content'> & {
  readonly sequence: number
  readonly payloadBytes: number
  readonly packed: boolean
  readonly raw: Buffer
}

/** `frame.content` may change once it resolves. */
export async function encodeFrame(key: Buffer, sequence: number, frame: Frame): Promise<Buffer> {
  invariant(frame.content.length <= LARGEST_CONTENT_BYTES, 'what is written as a frame can be read as one')
  const packed = await compressed(frame.content)
  const payload = packed ?? frame.content
  const nonce = randomBytes(NONCE_BYTES)
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header.writeUInt32LE(MAGIC, 0)
  header.writeUInt32LE(sequence, 4)
  header[8] = kinds.indexOf(frame.kind)
  header[9] = packed === null ? 0 : 1
  header.writeUInt16LE(frame.disk, 10)
  header.writeUInt32LE(payload.length, 12)
  header.writeBigUInt64LE(BigInt(frame.offset), 16)
  header.writeBigUInt64LE(BigInt(frame.bytes), 24)
  nonce.copy(header, OPEN_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(header.subarray(0, OPEN_BYTES))
  const body = Buffer.concat([...(await inTurns(payload, (part) => cipher.update(part))), cipher.final()])
  cipher.getAuthTag().copy(header, OPEN_BYTES + NONCE_BYTES)
  return Buffer.concat([header, body])
}

/** A mark may have 64 MiB, which would hold everything else up for as long: others have their turn in between. */
const PART_BYTES = MiB

async function inTurns(payload: Buffer, work: (part: Buffer) => Buffer): Promise<readonly Buffer[]> {
  const done: Buffer[] = []
  for (let offset = 0; offset < payload.length; offset += PART_BYTES) {
    if (offset > 0) await nextTurn()
    done.push(work(payload.subarray(offset, offset + PART_BYTES)))
  }
  return done
}

const compress = promisify<Buffer, object, Buffer>(zstdCompress)
const decompress = promisify<Buffer, object, Buffer>(zstdDecompress)
const params = { [constants.ZSTD_c_compressionLevel]: 1 }

/** Null when it does not shrink by at least a sixteenth. */
async function compressed(content: Buffer): Promise<Buffer | null> {
  if (content.length === 0) return null
  const packed = await compress(content, { params })
  return packed.length < content.length - (content.length >> 4) ? packed : null
}

/** Null: that is no frame, or not the one that has its turn. Says nothing about its content. */
export function readHeader(raw: Buffer, sequence: number): FrameHeader | null {
  if (raw.length < FRAME_HEADER_BYTES || raw.readUInt32LE(0) !== MAGIC) return null
  const kind = kinds[raw[8] ?? 0] ?? null
  const header = {
    sequence: raw.readUInt32LE(4),
    packed: raw[9] === 1,
    disk: raw.readUInt16LE(10),
    payloadBytes: raw.readUInt32LE(12),
    offset: Number(raw.readBigUInt64LE(16)),
    bytes: Number(raw.readBigUInt64LE(24)),
    raw,
  }
  const { payloadBytes, bytes, offset } = header
  const fits = kind === 'zero' ? payloadBytes === 0 : Math.max(payloadBytes, bytes) <= LARGEST_CONTENT_BYTES
  if (kind === null || !fits || !Number.isSafeInteger(offset + bytes) || header.sequence !== sequence)
    return null
  return { kind, ...header }
}

/** Null: it is not what was written with this key. */
export async function openFrame(key: Buffer, header: FrameHeader, payload: Buffer): Promise<Buffer | null> {
  try {
    const nonce = header.raw.subarray(OPEN_BYTES, OPEN_BYTES + NONCE_BYTES)
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(header.raw.subarray(0, OPEN_BYTES))
    decipher.setAuthTag(header.raw.subarray(OPEN_BYTES + NONCE_BYTES, FRAME_HEADER_BYTES))
    const parts = await inTurns(payload, (part) => decipher.update(part))
    const body = Buffer.concat([...parts, decipher.final()])
    if (header.kind === 'zero') return body
    const content = header.packed ? await decompress(body, { maxOutputLength: header.bytes }) : body
    return content.length === header.bytes ? content : null
  } catch {
    return null
  }
}

/** Of a frame, or of its header: what tells it from any other that was ever written under its number. */
export const tagOf = (raw: Buffer): Buffer => raw.subarray(OPEN_BYTES + NONCE_BYTES, FRAME_HEADER_BYTES)
