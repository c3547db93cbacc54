// Signatures of DNS messages (RFC 8945). The record stands last in the additional section; its data:
//
//   algorithm name | time signed(6) | fudge(2) | MAC size(2) MAC | original id(2) | error(2) | other length(2) other
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { TsigKey } from '@understudy/domain/recovery-plans/step-action'
import {
  CLASS,
  DnsFormatError,
  type DnsMessage,
  encodeName,
  encodeRecord,
  readName,
  TYPE,
} from './dns-message.ts'

export type TsigSecret = Pick<TsigKey, 'name' | 'algorithm'> & { readonly key: Buffer }

/** RFC 8945, section 10: 300 s are recommended. */
const FUDGE_SECONDS = 300

export type Signed = { readonly bytes: Buffer; readonly mac: Buffer }

export function sign(message: Buffer, secret: TsigSecret, nowSeconds: number): Signed {
  const variables = { time: nowSeconds, fudge: FUDGE_SECONDS, error: 0, other: Buffer.alloc(0) }
  const mac = macOf([message, timers(secret, variables)], secret)
  const data = Buffer.concat([
    encodeName(secret.algorithm),
    uint48(nowSeconds),
    uint16(FUDGE_SECONDS),
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ])
  const record = encodeRecord({
    name: encodeName(secret.name),
    type: TYPE.TSIG,
    class: CLASS.ANY,
    ttl: 0,
    data,
  })
  const bytes = Buffer.concat([message, record])
  bytes.writeUInt16BE(bytes.readUInt16BE(10) + 1, 10)
  return { bytes, mac }
}

/**
 * `unsigned`: it has no signature, so anybody may have written it. `told`: the server told in the signature's place why it cannot
 * sign: its words, but unsigned. `forged`: it is not from who has the key.
 */
export type Check =
  | { readonly kind: 'good'; readonly error: number; readonly serverSeconds: number | null }
  | { readonly kind: 'told'; readonly error: number }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'forged'; readonly why: string }

/** Of an answer to the request that was signed with `requestMac`. */
export function check(answer: DnsMessage, secret: TsigSecret, requestMac: Buffer, nowSeconds: number): Check {
  const record = answer.additional.at(-1)
  if (record?.type !== TYPE.TSIG) return { kind: 'unsigned' }
  const tsig = parseTsig(answer.bytes, record.dataAt, record.dataAt + record.data.length)
  if (tsig.mac.length === 0) return { kind: 'told', error: tsig.error }
  if (!record.name.equals(encodeName(secret.name)) || !tsig.algorithm.equals(encodeName(secret.algorithm)))
    return { kind: 'forged', why: 'it is signed with another key' }
  const message = Buffer.from(answer.bytes.subarray(0, record.at))
  message.writeUInt16BE(tsig.originalId, 0)
  message.writeUInt16BE(message.readUInt16BE(10) - 1, 10)
  const mac = macOf([uint16(requestMac.length), requestMac, message, timers(secret, tsig)], secret)
  if (mac.length !== tsig.mac.length || !timingSafeEqual(mac, tsig.mac))
    return { kind: 'forged', why: 'its signature is wrong' }
  const serverSeconds = tsig.other.length === 6 ? tsig.other.readUIntBE(0, 6) : null
  // An answer that says BADTIME carries our own time.
  if (tsig.error === 0 && Math.abs(tsig.time - nowSeconds) > tsig.fudge)
    return { kind: 'good', error: BADTIME, serverSeconds: tsig.time }
  return { kind: 'good', error: tsig.error, serverSeconds }
}

export const BADSIG = 16
export const BADKEY = 17
export const BADTIME = 18

type Variables = {
  readonly time: number
  readonly fudge: number
  readonly error: number
  readonly other: Buffer
}

/** RFC 8945, section 4.3.3: of the record what is not the signature itself. */
const timers = ({ name, algorithm }: TsigSecret, { time, fudge, error, other }: Variables): Buffer =>
  Buffer.concat([
    encodeName(name),
    uint16(CLASS.ANY),
    Buffer.alloc(4),
    encodeName(algorithm),
    uint48(time),
    uint16(fudge),
    uint16(error),
    uint16(other.length),
    other,
  ])

const macOf = (parts: readonly Buffer[], { algorithm, key }: TsigSecret): Buffer =>
  createHmac(algorithm.replace('hmac-', ''), key).update(Buffer.concat(parts)).digest()

function parseTsig(bytes: Buffer, from: number, to: number) {
  const { name: algorithm, end: at } = readName(bytes, from)
  if (at + 16 > to) throw new DnsFormatError('its signature ends in the middle')
  const macAt = at + 10
  const afterMac = macAt + bytes.readUInt16BE(at + 8)
  const otherAt = afterMac + 6
  if (otherAt > to || otherAt + bytes.readUInt16BE(afterMac + 4) > to)
    throw new DnsFormatError('its signature ends in the middle')
  return {
    algorithm,
    time: bytes.readUIntBE(at, 6),
    fudge: bytes.readUInt16BE(at + 6),
    mac: bytes.subarray(macAt, afterMac),
    originalId: bytes.readUInt16BE(afterMac),
    error: bytes.readUInt16BE(afterMac + 2),
    other: bytes.subarray(otherAt, otherAt + bytes.readUInt16BE(afterMac + 4)),
  }
}

const uint16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
const uint48 = (value: number): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(value, 0, 6)
  return bytes
}
