// The Network Block Device protocol as bytes: fixed newstyle negotiation, then requests and replies. All numbers are
// big-endian. Source: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
//
//   greeting        "NBDMAGIC" | "IHAVEOPT" | u16 handshake flags               server, then u32 client flags
//   option          "IHAVEOPT" | u32 option | u32 length | data                 client
//   option reply    u64 magic  | u32 option | u32 type | u32 length | data      server, one or more; ACK or ERR is last
//   request         u32 magic  | u16 flags | u16 command | u64 cookie | u64 offset | u32 length | data of a write
//   simple reply    u32 magic  | u32 error | u64 cookie | data of a read
//   reply chunk     u32 magic  | u16 flags | u16 type | u64 cookie | u32 length | payload      the flag DONE ends a reply
//     offset data   u64 offset | data                 offset hole   u64 offset | u32 bytes of zeros
//     block status  u32 context | (u32 bytes | u32 flags)...
//     error         u32 error | u16 length | message  (| u64 offset when the type is ERROR_OFFSET)

export const GREETING_MAGIC = Buffer.from('NBDMAGICIHAVEOPT', 'latin1')
export const OPTION_MAGIC = Buffer.from('IHAVEOPT', 'latin1')
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n
export const REQUEST_MAGIC = 0x25609513
export const SIMPLE_REPLY_MAGIC = 0x67446698
export const CHUNK_MAGIC = 0x668e33ef

export const GREETING_BYTES = 18
export const OPTION_HEADER_BYTES = 16
export const OPTION_REPLY_HEADER_BYTES = 20
export const REQUEST_BYTES = 28
export const SIMPLE_REPLY_BYTES = 16
export const CHUNK_HEADER_BYTES = 20

/** Names and messages: "MUST be no longer than 4096 bytes". */
export const LONGEST_STRING_BYTES = 4096

/** In the greeting (server) and in its answer (client). */
export const handshakeFlag = { fixedNewstyle: 1 << 0, noZeroes: 1 << 1 } as const

export const option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const

export const REPLY_IS_ERROR = 0x80000000
export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  platform: 0x80000004,
  tlsRequired: 0x80000005,
  unknown: 0x80000006,
  shutdown: 0x80000007,
  blockSizeRequired: 0x80000008,
  tooBig: 0x80000009,
} as const

export const info = { export: 0, name: 1, description: 2, blockSize: 3 } as const

export const transmissionFlag = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  rotational: 1 << 4,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendResize: 1 << 9,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const

export const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const

export const commandFlag = {
  /** Durable before the reply. */
  fua: 1 << 0,
  noHole: 1 << 1,
  /** "Don't fragment": the data of a read in one chunk. */
  df: 1 << 2,
  requestOne: 1 << 3,
  fastZero: 1 << 4,
} as const

export const CHUNK_DONE = 1
export const CHUNK_IS_ERROR = 0x8000
export const chunk = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const

export const errno = {
  notPermitted: 1,
  io: 5,
  noMemory: 12,
  invalid: 22,
  noSpace: 28,
  overflow: 75,
  notSupported: 95,
  shutdown: 108,
} as const

export const ALLOCATION_CONTEXT = 'base:allocation'
export const allocationFlag = { hole: 1 << 0, zero: 1 << 1 } as const

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

/** A string behind its length, as names and queries travel. */
export const lengthAndString = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  return Buffer.concat([u32(bytes.length), bytes])
}

export const toOption = (code: number, data: Buffer): Buffer => {
  const header = Buffer.allocUnsafe(OPTION_HEADER_BYTES)
  OPTION_MAGIC.copy(header)
  header.writeUInt32BE(code, 8)
  header.writeUInt32BE(data.length, 12)
  return Buffer.concat([header, data])
}

export const toOptionReply = (code: number, type: number, data: Buffer): Buffer => {
  const header = Buffer.allocUnsafe(OPTION_REPLY_HEADER_BYTES)
  header.writeBigUInt64BE(OPTION_REPLY_MAGIC)
  header.writeUInt32BE(code, 8)
  header.writeUInt32BE(type, 12)
  header.writeUInt32BE(data.length, 16)
  return Buffer.concat([header, data])
}

/** Offsets travel as u64. Ours are below 2^53, and two halves are several times faster than a BigInt. */
export const writeOffset = (bytes: Buffer, offset: number, at: number): void => {
  bytes.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), at)
  bytes.writeUInt32BE(offset % 0x1_0000_0000, at + 4)
}

/** May exceed what a number can hold exactly when the other side is wrong; every user checks it against the disk. */
export const readOffset = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
