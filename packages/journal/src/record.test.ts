import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { KiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import { decodeRecord, encodeRecord, prepareRecord, type RecordPlace } from './record.ts'

const content = { disk: 3, offset: 2 ** 40 + 4 * KiB, data: Buffer.alloc(64 * KiB, 'some content ') }
const plain: RecordPlace = { segment: 7, position: 4711, key: null }
const secret: RecordPlace = { ...plain, key: randomBytes(32) }

const encode = (place: RecordPlace, compress: boolean): Buffer =>
  Buffer.concat(encodeRecord(prepareRecord(content, compress, place.key !== null), place))

test.each([
  ['plain', plain, false],
  ['compressed', plain, true],
  ['encrypted', secret, false],
  ['compressed and encrypted', secret, true],
])('a %s record comes back as it was, and says its length beforehand', (_, place, compress) => {
  const record = encode(place, compress)
  expect(record.length).toBe(prepareRecord(content, compress, place.key !== null).storedBytes)
  expect(decodeRecord(record, place)).toEqual(content)
})

test('content that does not shrink is kept as it is', () => {
  const noise = { ...content, data: randomBytes(8 * KiB) }
  expect(prepareRecord(noise, true, false).payload).toBe(noise.data)
})

test('a change of any single bit is noticed', () => {
  const record = encode(plain, true)
  for (let at = 0; at < record.length; at += 1) {
    const changed = Buffer.from(record)
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
    expect(decodeRecord(changed, plain)).toHaveProperty('damage')
  }
})

test('a record in another file, or cut off, is noticed', () => {
  const record = encode(plain, false)
  expect(decodeRecord(record, { ...plain, segment: 8 })).toHaveProperty('damage')
  expect(decodeRecord(record.subarray(0, 1000), plain)).toHaveProperty('damage')
  expect(decodeRecord(record.subarray(0, 10), plain)).toHaveProperty('damage')
})

test('a forger who mends the checksum of an encrypted record is noticed: content, offset, disk and place are authenticated', () => {
  const record = encode(secret, false)
  const forge = (at: number): Buffer => {
    const forged = Buffer.from(record)
    forged[at] = (forged[at] ?? 0) ^ 1
    forged.writeUInt32LE(crc32(forged.subarray(4), secret.segment), 0)
    return forged
  }
  for (const at of [8, 10, 12, 16, 20, 24, record.length - 1])
    expect(decodeRecord(forge(at), secret)).toHaveProperty('damage')
  expect(decodeRecord(record, { ...secret, position: 4712 })).toHaveProperty('damage')
  expect(decodeRecord(record, { ...secret, key: randomBytes(32) })).toHaveProperty('damage')
  expect(decodeRecord(encode(plain, false), secret)).toHaveProperty('damage')
})
