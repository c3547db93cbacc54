// The client's half of the negotiation, from the greeting to the first request.

import { KiB, MiB } from '@understudy/base/bytes'
import {
  connectionLost,
  type NbdAddress,
  noSuchContext,
  notNbd,
  refusedByServer,
  shuttingDown,
  tlsRefused,
  tlsRequired,
  tlsUnavailable,
  unknownExport,
  violation,
} from './failures.ts'
import {
  ALLOCATION_CONTEXT,
  GREETING_BYTES,
  GREETING_MAGIC,
  handshakeFlag,
  info,
  LONGEST_STRING_BYTES,
  lengthAndString,
  OPTION_REPLY_HEADER_BYTES,
  OPTION_REPLY_MAGIC,
  option,
  optionReply,
  REPLY_IS_ERROR,
  readOffset,
  toOption,
  u32,
} from './protocol.ts'
import type { NbdTls, Wire } from './wire.ts'
import { connected, encrypt, openWire, watch } from './wire.ts'

export type HandshakeOptions = {
  readonly address: NbdAddress
  readonly tls?: NbdTls
  /** For the whole of connecting and negotiating. */
  readonly connectTimeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export type ExportFacts = {
  readonly bytes: number
  /** Transmission flags, see protocol.ts. */
  readonly flags: number
  /** Requests must be multiples of `minimum`, and carry at most `maximum` bytes of data. */
  readonly sizes: { readonly minimum: number; readonly preferred: number; readonly maximum: number }
}

export type Session = {
  readonly wire: Wire
  readonly facts: ExportFacts
  readonly structured: boolean
  /** The meta contexts that were agreed, by the number that replies carry. */
  readonly contexts: ReadonlyMap<number, string>
}

/** What the protocol says holds when a server does not tell: 512, 4096 and 32 MiB. */
const USUAL_SIZES = { minimum: 512, preferred: 4 * KiB, maximum: 32 * MiB }
const LONGEST_OPTION_REPLY_BYTES = 4 * LONGEST_STRING_BYTES

/**
 * Negotiates an export. Throws a Refusal when an operator must change something (unknown export, TLS, a meta context that
 * is not there), an Outage when the server is away. Never waits longer than `connectTimeoutMs`.
 */
export function openSession(
  options: HandshakeOptions,
  exportName: string,
  metaContexts: readonly string[],
): Promise<Session> {
  return negotiating(options, async (wire) => {
    const { haggle, paddingBytes } = await greet(wire, options.tls)
    const structured = await asked(haggle(option.structuredReply, Buffer.alloc(0)))
    const contexts = structured
      ? await setContexts(wire, haggle, exportName, metaContexts)
      : new Map<number, string>()
    for (const wanted of metaContexts) {
      const agreed = [...contexts.values()].includes(wanted)
      // Allocation is a help that a disk may lack. Any other context was asked for because the caller relies on it.
      if (!agreed && wanted !== ALLOCATION_CONTEXT) throw noSuchContext(wire.address, wanted)
    }
    return { wire, facts: await go(wire, haggle, exportName, paddingBytes), structured, contexts }
  })
}

/** The names of all exports that the server lists. */
export async function listExports(options: HandshakeOptions): Promise<string[]> {
  return negotiating(options, async (wire) => {
    const { haggle } = await greet(wire, options.tls)
    const replies = await haggle(option.list, Buffer.alloc(0))
    wire.socket.end(toOption(option.abort, Buffer.alloc(0)))
    const names = replies.filter((reply) => reply.type === optionReply.server).map((reply) => reply.data)
    return names.map((data) => data.toString('utf8', 4, 4 + data.readUInt32BE(0)))
  })
}

async function negotiating<T>(options: HandshakeOptions, talk: (wire: Wire) => Promise<T>): Promise<T> {
  options.signal?.throwIfAborted()
  const wire = openWire(options.address, { plain: options.tls === undefined })
  const unwatch = watch(wire, options.connectTimeoutMs, 'our greeting', options.signal)
  try {
    await connected(wire)
    return await talk(wire)
  } catch (error) {
    wire.socket.destroy()
    throw error
  } finally {
    unwatch()
  }
}

type OptionReply = { readonly type: number; readonly data: Buffer }
/** Sends one option and collects its replies up to the final one. An error reply throws OptionRefused. */
type Haggle = (code: number, data: Buffer) => Promise<OptionReply[]>

class OptionRefused extends Error {
  readonly type: number
  constructor(type: number, message: string) {
    super(message)
    this.type = type
  }
}

/** `paddingBytes`: how many zeros follow the answer to EXPORT_NAME, an accident of history that can be switched off. */
type Greeted = { readonly haggle: Haggle; readonly paddingBytes: number }

async function greet(wire: Wire, tls: NbdTls | undefined): Promise<Greeted> {
  const greeting = await wire.queue.take(GREETING_BYTES)
  if (!greeting.subarray(0, 8).equals(GREETING_MAGIC.subarray(0, 8)))
    throw notNbd(wire.address, 'it does not start with NBDMAGIC')
  const flags = greeting.readUInt16BE(16)
  if (
    !greeting.subarray(8, 16).equals(GREETING_MAGIC.subarray(8)) ||
    (flags & handshakeFlag.fixedNewstyle) === 0
  )
    throw notNbd(wire.address, 'it speaks an old style of the protocol')
  wire.socket.write(u32(flags & (handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes)))
  const paddingBytes = (flags & handshakeFlag.noZeroes) === 0 ? 124 : 0
  const haggle = haggler(wire)
  if (tls === undefined) return { haggle, paddingBytes }

  await startTls(wire, haggle, tls)
  return { haggle: firstAfterTls(wire, haggle, tls), paddingBytes }
}

function haggler(wire: Wire): Haggle {
  return async (code, data) => {
    wire.socket.write(toOption(code, data))
    const replies: OptionReply[] = []
    for (;;) {
      const header = await wire.queue.take(OPTION_REPLY_HEADER_BYTES)
      if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || header.readUInt32BE(8) !== code)
        throw violation(wire.address, 'an option reply has a wrong header')
      const type = header.readUInt32BE(12)
      const bytes = header.readUInt32BE(16)
      if (bytes > LONGEST_OPTION_REPLY_BYTES) throw violation(wire.address, 'an option reply is too long')
      const body = Buffer.from(await wire.queue.take(bytes))
      if (type === optionReply.ack) return replies
      if (type >= REPLY_IS_ERROR) throw toFailure(wire.address, type, body.toString())
      replies.push({ type, data: body })
    }
  }
}

/** The errors that mean the same after every option; the rest depends on what was asked. */
function toFailure(address: NbdAddress, type: number, message: string): Error {
  if (type === optionReply.tlsRequired) return tlsRequired(address)
  if (type === optionReply.shutdown) return shuttingDown(address)
  return new OptionRefused(type, message)
}

async function startTls(wire: Wire, haggle: Haggle, tls: NbdTls): Promise<void> {
  if (!(await asked(haggle(option.startTls, Buffer.alloc(0))))) throw tlsUnavailable(wire.address)
  // Bytes sent in the clear behind the agreement would be taken for encrypted ones: somebody in between injects them.
  if (wire.queue.bytes > 0) throw violation(wire.address, 'it sent data before TLS was set up')
  await encrypt(wire, tls)
}

/**
 * Under TLS 1.3 a server checks our certificate after our handshake is already complete. Its refusal then is no more than
 * a closed connection or an alert where the first reply should be.
 */
function firstAfterTls(wire: Wire, haggle: Haggle, tls: NbdTls): Haggle {
  let first = true
  return async (code, data) => {
    try {
      const replies = await haggle(code, data)
      first = false
      return replies
    } catch (error) {
      const anonymous = tls.cert === undefined && tls.psk === undefined
      const closed = error instanceof Error && 'code' in error && error.code === 'nbd/connection-lost'
      if (first && closed && anonymous)
        throw tlsRefused(wire.address, 'it closed the connection; it probably wants a client certificate')
      if (first && closed)
        throw connectionLost(
          wire.address,
          'it closed right after TLS was set up; it may not accept our certificate',
        )
      throw error
    }
  }
}

async function setContexts(
  wire: Wire,
  haggle: Haggle,
  exportName: string,
  wanted: readonly string[],
): Promise<Map<number, string>> {
  const contexts = new Map<number, string>()
  if (wanted.length === 0) return contexts
  const query = [lengthAndString(exportName), u32(wanted.length), ...wanted.map(lengthAndString)]
  try {
    for (const reply of await haggle(option.setMetaContext, Buffer.concat(query))) {
      if (reply.type === optionReply.metaContext && reply.data.length > 4)
        contexts.set(reply.data.readUInt32BE(0), reply.data.toString('utf8', 4))
    }
  } catch (error) {
    if (!(error instanceof OptionRefused)) throw error
    if (error.type === optionReply.unknown) throw unknownExport(wire.address, exportName)
    // A server without meta contexts is a server all the same.
  }
  return contexts
}

async function go(
  wire: Wire,
  haggle: Haggle,
  exportName: string,
  paddingBytes: number,
): Promise<ExportFacts> {
  const wish = Buffer.concat([lengthAndString(exportName), Buffer.from([0, 1, 0, info.blockSize])])
  try {
    return toFacts(wire.address, await haggle(option.go, wish))
  } catch (error) {
    if (!(error instanceof OptionRefused)) throw error
    if (error.type === optionReply.unknown) throw unknownExport(wire.address, exportName)
    if (error.type !== optionReply.unsupported)
      throw refusedByServer(wire.address, `the export "${exportName}"`, error.message)
    return exportByName(wire, exportName, paddingBytes)
  }
}

/** The way of servers that know no GO. An unknown name is answered by closing the connection. */
async function exportByName(wire: Wire, exportName: string, paddingBytes: number): Promise<ExportFacts> {
  wire.socket.write(toOption(option.exportName, Buffer.from(exportName)))
  const facts = await Promise.resolve(wire.queue.take(10 + paddingBytes)).catch(() => {
    throw unknownExport(wire.address, exportName)
  })
  return {
    bytes: checkedSize(wire.address, readOffset(facts, 0)),
    flags: facts.readUInt16BE(8),
    sizes: USUAL_SIZES,
  }
}

function toFacts(address: NbdAddress, replies: readonly OptionReply[]): ExportFacts {
  let bytes = -1
  let flags = 0
  let sizes = USUAL_SIZES
  for (const { type, data } of replies) {
    if (type !== optionReply.info || data.length < 2) continue
    const kind = data.readUInt16BE(0)
    if (kind === info.export && data.length >= 12) {
      bytes = readOffset(data, 2)
      flags = data.readUInt16BE(10)
    }
    if (kind === info.blockSize && data.length >= 14)
      sizes = {
        minimum: data.readUInt32BE(2),
        preferred: data.readUInt32BE(6),
        maximum: data.readUInt32BE(10),
      }
  }
  if (sizes.minimum === 0 || sizes.maximum < sizes.minimum)
    throw violation(address, 'its block sizes make no sense')
  return { bytes: checkedSize(address, bytes), flags, sizes }
}

function checkedSize(address: NbdAddress, bytes: number): number {
  if (bytes < 0 || !Number.isSafeInteger(bytes))
    throw violation(address, 'the size of the export makes no sense')
  return bytes
}

/** Whether the server agreed to an option that it may not know. */
async function asked(replies: Promise<OptionReply[]>): Promise<boolean> {
  try {
    await replies
    return true
  } catch (error) {
    if (error instanceof OptionRefused) return false
    throw error
  }
}
