// The server's half of the negotiation. The client is not trusted: every length is checked before it is used.
import type net from 'node:net'
import tls from 'node:tls'
import { KiB, MiB } from '@understudy/base/bytes'
import type { BlockDevice, BlockReader } from '../device.ts'
import { type ByteQueue, byteQueue } from './byte-queue.ts'
import {
  ALLOCATION_CONTEXT,
  GREETING_MAGIC,
  handshakeFlag,
  info,
  LONGEST_STRING_BYTES,
  lengthAndString,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  option,
  optionReply,
  toOptionReply,
  transmissionFlag,
  u32,
  writeOffset,
} from './protocol.ts'

export type NbdExport = {
  readonly name: string
  readonly description: string
  readonly reader: BlockReader
  /** Null when the export is read-only. */
  readonly device: BlockDevice | null
}

/** One client. `socket` changes once, when it asks for TLS. */
export type Peer = { socket: net.Socket; readonly queue: ByteQueue }

export type Agreed = {
  readonly served: NbdExport
  readonly structured: boolean
  readonly allocation: boolean
}

/** PEM. Clients must show a certificate that `ca` has signed. */
export type NbdServerTls = {
  readonly ca: string | Buffer
  readonly cert: string | Buffer
  readonly key: string | Buffer
}

/** The client left, or broke the rules so badly that there is no answer. */
export class Goodbye extends Error {}

/** Data and length limits that clients must keep: any alignment, and what they may assume when nothing is said. */
export const SERVER_SIZES = { minimum: 1, preferred: 4 * KiB, maximum: 32 * MiB }
export const ALLOCATION_NUMBER = 1

const LONGEST_OPTION_BYTES = 16 * LONGEST_STRING_BYTES
/** Beyond this the socket is paused until the session has caught up. */
const QUEUE_BYTES = 4 * MiB

export function openPeer(socket: net.Socket): Peer {
  const peer: Peer = {
    socket,
    queue: byteQueue(() => {
      if (peer.socket.isPaused() && (peer.queue.waiting || peer.queue.bytes < QUEUE_BYTES))
        peer.socket.resume()
    }),
  }
  listen(peer)
  return peer
}

function listen({ socket, queue }: Peer): void {
  socket.on('data', (data) => {
    queue.push(data)
    // Whoever waits for a large write needs it all; nobody else needs more than this.
    if (queue.bytes > QUEUE_BYTES && !queue.waiting) socket.pause()
  })
  socket.on('error', (error) => queue.fail(new Goodbye(error.message)))
  socket.on('close', () => queue.fail(new Goodbye('closed by the client')))
}

/** Null when the client only looked around. Throws Goodbye when it is gone or beyond answering. */
export async function serveHandshake(
  peer: Peer,
  exports: ReadonlyMap<string, NbdExport>,
  tlsOptions: NbdServerTls | undefined,
): Promise<Agreed | null> {
  const flags = handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes
  peer.socket.write(Buffer.concat([GREETING_MAGIC, Buffer.from([0, flags])]))
  const clientFlags = (await peer.queue.take(4)).readUInt32BE(0)
  if ((clientFlags & ~flags) !== 0) throw new Goodbye('unknown client flags')
  const state: HandshakeState = {
    paddingBytes: (clientFlags & handshakeFlag.noZeroes) === 0 ? 124 : 0,
    structured: false,
    allocationFor: null,
    encrypted: false,
  }

  for (;;) {
    const header = await peer.queue.take(OPTION_HEADER_BYTES)
    if (!header.subarray(0, 8).equals(OPTION_MAGIC)) throw new Goodbye('an option has a wrong magic number')
    const code = header.readUInt32BE(8)
    const bytes = header.readUInt32BE(12)
    if (bytes > LONGEST_OPTION_BYTES) throw new Goodbye('an option is too long')
    const data = Buffer.from(await peer.queue.take(bytes))

    const reply = (type: number, body: Buffer = Buffer.alloc(0)): void => {
      peer.socket.write(toOptionReply(code, type, body))
    }
    if (code === option.abort) {
      reply(optionReply.ack)
      return null
    }
    if (code === option.startTls) {
      await serveStartTls(peer, state, tlsOptions, data, reply)
      continue
    }
    if (tlsOptions !== undefined && !state.encrypted) {
      if (code === option.exportName) throw new Goodbye('an export was asked for without TLS')
      reply(optionReply.tlsRequired, Buffer.from('this server accepts encrypted connections only'))
      continue
    }
    const served = serveOption(peer, state, exports, code, data, reply)
    if (served !== null)
      return { served, structured: state.structured, allocation: state.allocationFor === served.name }
  }
}

type HandshakeState = {
  readonly paddingBytes: number
  structured: boolean
  /** The export for which the client has selected base:allocation. */
  allocationFor: string | null
  encrypted: boolean
}
type Reply = (type: number, body?: Buffer) => void

/** Answers one option. Returns the export when that ends the negotiation. */
function serveOption(
  peer: Peer,
  state: HandshakeState,
  exports: ReadonlyMap<string, NbdExport>,
  code: number,
  data: Buffer,
  reply: Reply,
): NbdExport | null {
  switch (code) {
    case option.exportName: {
      const served = exports.get(data.toString())
      if (served === undefined) throw new Goodbye('unknown export')
      peer.socket.write(Buffer.concat([sizeAndFlags(served, state), Buffer.alloc(state.paddingBytes)]))
      return served
    }
    case option.list: {
      if (data.length > 0) reply(optionReply.invalid)
      else {
        for (const name of exports.keys()) reply(optionReply.server, lengthAndString(name))
        reply(optionReply.ack)
      }
      return null
    }
    case option.structuredReply: {
      if (data.length > 0) reply(optionReply.invalid)
      else {
        state.structured = true
        reply(optionReply.ack)
      }
      return null
    }
    case option.info:
    case option.go:
      return serveInfo(state, exports, code, data, reply)
    case option.listMetaContext:
    case option.setMetaContext:
      serveContexts(state, exports, code, data, reply)
      return null
    default:
      reply(optionReply.unsupported)
      return null
  }
}

function serveInfo(
  state: HandshakeState,
  exports: ReadonlyMap<string, NbdExport>,
  code: number,
  data: Buffer,
  reply: Reply,
): NbdExport | null {
  const name = readString(data, 0)
  if (name === null || data.length < name.end + 2) {
    reply(optionReply.invalid)
    return null
  }
  const served = exports.get(name.text)
  if (served === undefined) {
    reply(optionReply.unknown, Buffer.from(`there is no export "${name.text}"`))
    return null
  }
  const wishes = new Set<number>()
  for (let at = name.end + 2; at + 2 <= data.length; at += 2) wishes.add(data.readUInt16BE(at))
  reply(optionReply.info, Buffer.concat([Buffer.from([0, info.export]), sizeAndFlags(served, state)]))
  const { minimum, preferred, maximum } = SERVER_SIZES
  const sizes = [u32(minimum), u32(preferred), u32(maximum)]
  reply(optionReply.info, Buffer.concat([Buffer.from([0, info.blockSize]), ...sizes]))
  if (wishes.has(info.name))
    reply(optionReply.info, Buffer.concat([Buffer.from([0, info.name]), Buffer.from(served.name)]))
  if (wishes.has(info.description) && served.description !== '')
    reply(
      optionReply.info,
      Buffer.concat([Buffer.from([0, info.description]), Buffer.from(served.description)]),
    )
  reply(optionReply.ack)
  return code === option.go ? served : null
}

function serveContexts(
  state: HandshakeState,
  exports: ReadonlyMap<string, NbdExport>,
  code: number,
  data: Buffer,
  reply: Reply,
): void {
  const query = readContextQuery(data)
  if (query === null || !state.structured) {
    reply(optionReply.invalid)
    return
  }
  if (!exports.has(query.exportName)) {
    reply(optionReply.unknown)
    return
  }
  // "base:" asks for everything below it, and a list without queries for everything: both for looking around only.
  const listing = code === option.listMetaContext
  const wildcards = listing && (query.contexts.length === 0 || query.contexts.includes('base:'))
  const wanted = wildcards || query.contexts.includes(ALLOCATION_CONTEXT)
  if (!listing) state.allocationFor = wanted ? query.exportName : null
  if (wanted)
    reply(
      optionReply.metaContext,
      Buffer.concat([u32(listing ? 0 : ALLOCATION_NUMBER), Buffer.from(ALLOCATION_CONTEXT)]),
    )
  reply(optionReply.ack)
}

async function serveStartTls(
  peer: Peer,
  state: HandshakeState,
  options: NbdServerTls | undefined,
  data: Buffer,
  reply: Reply,
): Promise<void> {
  if (options === undefined) return reply(optionReply.unsupported)
  if (state.encrypted || data.length > 0) return reply(optionReply.invalid)
  // What was sent in the clear behind this request would be taken for encrypted: somebody in between injects it.
  if (peer.queue.bytes > 0) throw new Goodbye('data in the clear behind STARTTLS')
  reply(optionReply.ack)
  await encryptPeer(peer, options)
  state.encrypted = true
  // Nothing that was said in the clear counts any more.
  state.structured = false
  state.allocationFor = null
}

/** A TLS server per connection, fed with this one socket: the documented way to upgrade, and it checks certificates. */
async function encryptPeer(peer: Peer, options: NbdServerTls): Promise<void> {
  const plain = peer.socket
  plain.removeAllListeners('data')
  const upgrade = tls.createServer({
    ...options,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  })
  peer.socket = await new Promise<tls.TLSSocket>((resolve, reject) => {
    upgrade.once('secureConnection', resolve)
    upgrade.once('tlsClientError', (error) => reject(new Goodbye(error.message)))
    plain.once('close', () => reject(new Goodbye('closed during the TLS handshake')))
    upgrade.emit('connection', plain)
  })
  listen(peer)
}

function sizeAndFlags(served: NbdExport, state: HandshakeState): Buffer {
  const bytes = Buffer.alloc(10)
  writeOffset(bytes, served.reader.bytes, 0)
  // Several connections see each other's writes at once, for one device object serves them all.
  let flags = transmissionFlag.hasFlags | transmissionFlag.canMultiConn
  if (state.structured) flags |= transmissionFlag.sendDf
  if (served.device === null) flags |= transmissionFlag.readOnly
  else {
    flags |= transmissionFlag.sendFlush | transmissionFlag.sendFua
    flags |= transmissionFlag.sendTrim | transmissionFlag.sendWriteZeroes
  }
  bytes.writeUInt16BE(flags, 8)
  return bytes
}

function readString(data: Buffer, at: number): { readonly text: string; readonly end: number } | null {
  if (at + 4 > data.length) return null
  const bytes = data.readUInt32BE(at)
  if (bytes > LONGEST_STRING_BYTES || at + 4 + bytes > data.length) return null
  return { text: data.toString('utf8', at + 4, at + 4 + bytes), end: at + 4 + bytes }
}

function readContextQuery(data: Buffer): { exportName: string; contexts: string[] } | null {
  const name = readString(data, 0)
  if (name === null || name.end + 4 > data.length) return null
  const contexts: string[] = []
  let at = name.end + 4
  for (let count = data.readUInt32BE(name.end); count > 0; count -= 1) {
    const context = readString(data, at)
    if (context === null) return null
    contexts.push(context.text)
    at = context.end
  }
  return at === data.length ? { exportName: name.text, contexts } : null
}
