// One piece of content in a segment file, able to prove that it is what was written, where and for which disk.
//
//    0  u32  crc32 of everything behind it, started at the segment's number
//    4  u32  bytes of the payload, the tag included
//    8  u16  disk number | u8 codec: 0 raw, 1 zstd | u8 1: AES-256-GCM
//   12  u32  bytes of content
//   16  u32 u32  offset on the disk, low and high half
//   24  payload | when encrypted: 16 bytes tag
//
// The nonce is the record's position in the file: positions are never reused, and every file has a key of its own.
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

export const RECORD_HEADER_BYTES = 24
const TAG_BYTES = 16
const CODEC_RAW = 0
const CODEC_ZSTD = 1

export type RecordContent = { readonly disk: number; readonly offset: number; readonly data: Buffer }

/** Content as it will lie in the file, before it knows where: only its length matters for that. */
export type PreparedRecord = RecordContent & {
  readonly payload: Buffer
  readonly codec: number
  readonly storedBytes: number
}

export function prepareRecord(content: RecordContent, compress: boolean, encrypted: boolean): PreparedRecord {
  const packed = compress ? compressed(content.data) : null
  const payload = packed ?? content.data
  return {
    ...content,
    payload,
    codec: packed === null ? CODEC_RAW : CODEC_ZSTD,
    storedBytes: RECORD_HEADER_BYTES + payload.length + (encrypted ? TAG_BYTES : 0),
  }
}

const params = { [constants.ZSTD_c_compressionLevel]: 1 }
/** More than ZSTD_compressBound (zstd.h) of a record adds to it: what comes out always fits into one buffer. */
const ZSTD_EXTRA_BYTES = 512

/** Null when it does not shrink by at least a sixteenth: then decoding it would cost more than it saves. */
function compressed(data: Buffer): Buffer | null {
  // Not larger than needed: from 128 KiB on the C library maps and unmaps memory at every call, which cost a sixth of all.
  const packed = zstdCompressSync(data, { params, chunkSize: data.length + ZSTD_EXTRA_BYTES })
  return packed.length < data.length - (data.length >> 4) ? packed : null
}

/** The place of a record: what its checksum, its nonce and its authenticated data are bound to. */
export type RecordPlace = { readonly segment: number; readonly position: number; readonly key: Buffer | null }

/** The record as parts to write one after the other. The content is not copied unless it is encrypted. */
export function encodeRecord(record: PreparedRecord, place: RecordPlace): Buffer[] {
  const header = Buffer.allocUnsafe(RECORD_HEADER_BYTES)
  header.writeUInt32LE(record.storedBytes - RECORD_HEADER_BYTES, 4)
  header.writeUInt16LE(record.disk, 8)
  header[10] = record.codec
  header[11] = place.key === null ? 0 : 1
  header.writeUInt32LE(record.data.length, 12)
  header.writeUInt32LE(record.offset % 2 ** 32, 16)
  header.writeUInt32LE(Math.floor(record.offset / 2 ** 32), 20)
  const payload = place.key === null ? record.payload : encrypted(record.payload, header, place, place.key)
  header.writeUInt32LE(crc32(payload, crc32(header.subarray(4), place.segment)), 0)
  return [header, payload]
}

function encrypted(payload: Buffer, header: Buffer, place: RecordPlace, key: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(place), { authTagLength: TAG_BYTES })
  cipher.setAAD(header.subarray(4))
  return Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()])
}

const nonceOf = ({ segment, position }: RecordPlace): Buffer => {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32LE(position, 0)
  nonce.writeUInt32LE(segment, 4)
  return nonce
}

export type DecodedRecord = RecordContent | { readonly damage: string }

/** Checks and unpacks what was read at `place`. Damage is an answer, not an exception: the caller knows what it spoils. */
export function decodeRecord(record: Buffer, place: RecordPlace): DecodedRecord {
  const damage = damageOf(record, place)
  if (damage !== null) return { damage }
  const header = record.subarray(0, RECORD_HEADER_BYTES)
  const bytes = header.readUInt32LE(12)
  try {
    const payload = decrypted(record.subarray(RECORD_HEADER_BYTES), header, place)
    const data =
      header[10] === CODEC_RAW
        ? payload
        : zstdDecompressSync(payload, { maxOutputLength: bytes, chunkSize: Math.max(64, bytes) })
    if (data.length !== bytes) return { damage: 'its length is wrong' }
    const offset = header.readUInt32LE(16) + header.readUInt32LE(20) * 2 ** 32
    return { disk: header.readUInt16LE(8), offset, data }
  } catch {
    return {
      damage: place.key === null ? 'it cannot be unpacked' : 'it is not what was written with this key',
    }
  }
}

/** The cheap part of the check: length and checksum. Needs no key. */
export function damageOf(record: Buffer, place: RecordPlace): string | null {
  if (record.length < RECORD_HEADER_BYTES) return 'it is cut off'
  if (record.length !== RECORD_HEADER_BYTES + record.readUInt32LE(4)) return 'its length is wrong'
  if (crc32(record.subarray(4), place.segment) !== record.readUInt32LE(0)) return 'its checksum is wrong'
  const isEncrypted = record[11] === 1
  if (isEncrypted !== (place.key !== null)) return 'it is not encrypted as the replica is'
  return null
}

function decrypted(payload: Buffer, header: Buffer, place: RecordPlace): Buffer {
  if (place.key === null) return payload
  const body = payload.subarray(0, payload.length - TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', place.key, nonceOf(place), { authTagLength: TAG_BYTES })
  decipher.setAAD(header.subarray(4))
  decipher.setAuthTag(payload.subarray(payload.length - TAG_BYTES))
  return Buffer.concat([decipher.update(body), decipher.final()])
}
