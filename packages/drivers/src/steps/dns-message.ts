// DNS messages, as far as an update and its check need them (RFC 1035 section 4, RFC 2136).
//
//   header    id(2) flags(2) counts of four sections(4 x 2)      flags: QR(1) Opcode(4) AA TC RD RA Z(3) RCODE(4)
//   question  name type(2) class(2)                              of an update: the zone
//   record    name type(2) class(2) ttl(4) length(2) data        three sections of them

export const TYPE = { A: 1, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, TSIG: 250, ANY: 255 } as const
export const CLASS = { IN: 1, ANY: 255 } as const
export const OPCODE = { QUERY: 0, UPDATE: 5 } as const

/** What cannot be written or read as DNS. */
export class DnsFormatError extends Error {
  override readonly name = 'DnsFormatError'
}

export type DnsQuestion = { readonly name: Buffer; readonly type: number }
export type DnsRecord = {
  /** Uncompressed, lower case. */
  readonly name: Buffer
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly data: Buffer
  /** Where the record and its data begin in the message. */
  readonly at: number
  readonly dataAt: number
}
export type DnsMessage = {
  readonly bytes: Buffer
  readonly id: number
  readonly isAnswer: boolean
  readonly opcode: number
  readonly rcode: number
  readonly answers: readonly DnsRecord[]
  readonly authorities: readonly DnsRecord[]
  readonly additional: readonly DnsRecord[]
}

/** Fully qualified, the dot at the end or not: length and label, again and again, and a zero. Lower case, as signatures want it. */
export function encodeName(name: string): Buffer {
  const bare = name.trim().replace(/\.$/, '')
  const labels = bare === '' ? [] : bare.split('.')
  const parts = labels.map((label) => {
    const text = Buffer.from(label.toLowerCase(), 'latin1')
    if (text.length === 0 || text.length > 63 || !/^[\x21-\x7e]+$/.test(label) || label.includes('\\'))
      throw new DnsFormatError(`"${name}" is no name that DNS can have`)
    return Buffer.concat([Buffer.of(text.length), text])
  })
  const whole = Buffer.concat([...parts, Buffer.of(0)])
  if (whole.length > 255) throw new DnsFormatError(`"${name}" is too long for a name of DNS`)
  return whole
}

export type NewRecord = Pick<DnsRecord, 'name' | 'type' | 'class' | 'ttl' | 'data'>

export const encodeRecord = ({ name, type, class: group, ttl, data }: NewRecord): Buffer => {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(group, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([name, fixed, data])
}

/** One question, and records in the authority section: in an update that is where the changes stand. */
export function encodeMessage(
  id: number,
  opcode: number,
  question: DnsQuestion,
  updates: readonly NewRecord[],
): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(opcode << 11, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(updates.length, 8)
  const asked = Buffer.alloc(4)
  asked.writeUInt16BE(question.type, 0)
  asked.writeUInt16BE(CLASS.IN, 2)
  return Buffer.concat([header, question.name, asked, ...updates.map(encodeRecord)])
}

/** DnsFormatError for anything that is no whole message. */
export function parseMessage(bytes: Buffer): DnsMessage {
  try {
    return parse(bytes)
  } catch (error) {
    if (error instanceof RangeError) throw new DnsFormatError('it ends in the middle')
    throw error
  }
}

function parse(bytes: Buffer): DnsMessage {
  const flags = bytes.readUInt16BE(2)
  let at = 12
  for (let left = bytes.readUInt16BE(4); left > 0; left -= 1) at = readName(bytes, at).end + 4
  const section = (count: number): DnsRecord[] => {
    const records: DnsRecord[] = []
    for (let left = count; left > 0; left -= 1) {
      const { record, end } = readRecord(bytes, at)
      records.push(record)
      at = end
    }
    return records
  }
  return {
    bytes,
    id: bytes.readUInt16BE(0),
    isAnswer: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    rcode: flags & 0xf,
    answers: section(bytes.readUInt16BE(6)),
    authorities: section(bytes.readUInt16BE(8)),
    additional: section(bytes.readUInt16BE(10)),
  }
}

function readRecord(bytes: Buffer, at: number): { record: DnsRecord; end: number } {
  const { name, end: fixed } = readName(bytes, at)
  const dataAt = fixed + 10
  const end = dataAt + bytes.readUInt16BE(fixed + 8)
  if (end > bytes.length) throw new DnsFormatError('it ends in the middle')
  const record = {
    name,
    type: bytes.readUInt16BE(fixed),
    class: bytes.readUInt16BE(fixed + 2),
    ttl: bytes.readUInt32BE(fixed + 4),
    data: bytes.subarray(dataAt, end),
    at,
    dataAt,
  }
  return { record, end }
}

/** A pointer leads only backwards and a name has an end, so no circle of them goes on for ever. */
export function readName(bytes: Buffer, at: number): { readonly name: Buffer; readonly end: number } {
  const parts: Buffer[] = []
  let place = at
  let end: number | null = null
  let total = 1
  for (;;) {
    const length = bytes.readUInt8(place)
    if (length === 0) {
      const name = Buffer.from(
        Buffer.concat([...parts, Buffer.of(0)])
          .toString('latin1')
          .toLowerCase(),
        'latin1',
      )
      return { name, end: end ?? place + 1 }
    }
    if (length >= 0xc0) {
      const target = bytes.readUInt16BE(place) & 0x3fff
      end ??= place + 2
      if (target >= place) throw new DnsFormatError('a name in it leads in a circle')
      place = target
      continue
    }
    total += length + 1
    if (length > 63 || total > 255 || place + 1 + length > bytes.length)
      throw new DnsFormatError('a name in it cannot be read')
    parts.push(bytes.subarray(place, place + 1 + length))
    place += 1 + length
  }
}

/** For people. */
export function nameText(name: Buffer): string {
  const labels: string[] = []
  for (let at = 0; at < name.length; ) {
    const length = name.readUInt8(at)
    if (length === 0) break
    labels.push(name.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return `${labels.join('.')}.`
}
