// An NBD export as a disk.
import { MiB, roundDown, roundUp } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { BlockDevice, BlockReader, Extent, MappedExtent } from '../device.ts'
import { type NbdConnection, type NbdReply, type NbdRequest, openConnection } from './connection.ts'
import { type NbdAddress, noSuchContext, readOnlyExport, requestFailed, violation } from './failures.ts'
import { type ExportFacts, listExports, openSession } from './handshake.ts'
import {
  ALLOCATION_CONTEXT,
  allocationFlag,
  command,
  commandFlag,
  errno,
  transmissionFlag,
} from './protocol.ts'
import type { StatusRun } from './reply-parser.ts'
import type { NbdTls } from './wire.ts'

export type { NbdAddress } from './failures.ts'
export type { NbdTls } from './wire.ts'

export type NbdServerOptions = {
  readonly address: NbdAddress
  readonly tls?: NbdTls
  /** For connecting and negotiating together. */
  readonly connectTimeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

export type NbdOptions = NbdServerOptions & {
  /** The empty name is the server's default export. */
  readonly exportName: string
  /**
   * `base:allocation` is asked for when nothing is said, and may be lacking. Any other one, such as
   * `qemu:dirty-bitmap:NAME`, must be there: connecting is refused otherwise.
   */
  readonly metaContexts?: readonly string[]
  /** More than one only when the server promises that they see each other's writes; else one is used. */
  readonly connections?: number
  /** The longest that any single request may take. */
  readonly requestTimeoutMs?: number
  /** Ask for the data of each read in one piece, holes included. */
  readonly unfragmentedReads?: boolean
}

/** A stretch of the disk and the flags that a meta context gives it. Neighbours with equal flags are joined. */
export type StatusExtent = Extent & { readonly flags: number }

export interface NbdReader extends BlockReader {
  readonly exportName: string
  readonly readOnly: boolean
  /** Those that the server agreed to. `map` exists when `base:allocation` is among them. */
  readonly metaContexts: readonly string[]
  readonly sizes: ExportFacts['sizes']
  /** Null while it works, else why it no longer does. */
  readonly failure: Error | null
  /**
   * What `context` says about the range, in order, without gaps; as many requests as it takes. For a dirty bitmap bit 0
   * means dirty. Throws Refusal for a context that was not agreed.
   */
  blockStatus(context: string, range: Extent, signal?: AbortSignal): AsyncIterable<StatusExtent>
}

export interface NbdDevice extends NbdReader, BlockDevice {
  readInto(offset: number, target: Buffer, signal?: AbortSignal): Promise<void>
  /** Tells the server that the content does not matter any more. What is read there afterwards is undefined. */
  trim(offset: number, bytes: number, signal?: AbortSignal): Promise<void>
}

const CONNECT_TIMEOUT_MS = 15_000
const REQUEST_TIMEOUT_MS = 60_000
/** Lengths travel as u32. A power of two keeps every page aligned to any granularity. */
const PAGE_BYTES = 2048 * MiB

/**
 * Connects to an export. Reads of any range work; writes must be aligned to `sizes.minimum`. Writing to a read-only export is
 * refused (`nbd/read-only`). It does not reconnect: `withReconnect` does.
 * Throws Refusal (unknown export, TLS, authentication, context) or Outage (unreachable, too slow).
 */
export async function connectNbd(options: NbdOptions): Promise<NbdDevice> {
  const metaContexts = options.metaContexts ?? [ALLOCATION_CONTEXT]
  const open = async (): Promise<NbdConnection> => {
    const handshake = { connectTimeoutMs: CONNECT_TIMEOUT_MS, ...options }
    const session = await openSession(handshake, options.exportName, metaContexts)
    return openConnection(session, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS)
  }
  const first = await open()
  const connections = [first]
  try {
    const wanted =
      (first.session.facts.flags & transmissionFlag.canMultiConn) === 0 ? 1 : (options.connections ?? 1)
    while (connections.length < wanted) connections.push(await open())
    return toDevice(options, connections)
  } catch (error) {
    await Promise.all(connections.map((connection) => connection.close()))
    throw error
  }
}

/** The names of all exports that a server lists. */
export async function listNbdExports(options: NbdServerOptions): Promise<string[]> {
  return listExports({ connectTimeoutMs: CONNECT_TIMEOUT_MS, ...options })
}

function toDevice(options: NbdOptions, connections: readonly NbdConnection[]): NbdDevice {
  const [first] = connections
  invariant(first !== undefined, 'there is a connection')
  const { address, exportName } = options
  const { facts, contexts } = first.session
  const { sizes } = facts
  const supports = (flag: number): boolean => (facts.flags & flag) !== 0
  const readOnly = supports(transmissionFlag.readOnly)
  const readFlags = options.unfragmentedReads && supports(transmissionFlag.sendDf) ? commandFlag.df : 0

  const checkRange = (offset: number, bytes: number): void =>
    invariant(offset >= 0 && bytes >= 0 && offset + bytes <= facts.bytes, 'the range lies inside the disk')
  const checkWrite = (offset: number, bytes: number): void => {
    if (readOnly) throw readOnlyExport(address, exportName)
    checkRange(offset, bytes)
    invariant(
      offset % sizes.minimum === 0 && bytes % sizes.minimum === 0,
      'writes are whole blocks of the server',
    )
  }
  const leastBusy = (): NbdConnection =>
    connections.reduce((best, next) => (next.inFlight < best.inFlight ? next : best), first)
  /** Sends a request per piece, all at once; a piece carries at most `maximumBytes`. */
  const sendPieces = async (
    request: NbdRequest,
    maximumBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    if (request.bytes <= maximumBytes) {
      if (request.bytes > 0) await leastBusy().send(request, signal)
      return
    }
    const replies: Promise<NbdReply>[] = []
    for (let done = 0; done < request.bytes; done += maximumBytes)
      replies.push(
        leastBusy().send(pieceOf(request, done, Math.min(maximumBytes, request.bytes - done)), signal),
      )
    await Promise.all(replies)
  }
  const largest = roundDown(Math.min(sizes.maximum, 32 * MiB), sizes.minimum)

  const readInto = async (offset: number, target: Buffer, signal?: AbortSignal): Promise<void> => {
    const bytes = target.length
    checkRange(offset, bytes)
    const start = roundDown(offset, sizes.minimum)
    const end = Math.min(roundUp(offset + bytes, sizes.minimum), facts.bytes)
    // The server wants whole blocks: what it sends beyond the range has to go somewhere else first.
    const exact = start === offset && end - start === bytes
    const whole = exact ? target : Buffer.allocUnsafeSlow(end - start)
    const request = {
      command: command.read,
      flags: readFlags,
      offset: start,
      bytes: end - start,
      target: whole,
    }
    await sendPieces(request, largest, signal)
    if (!exact) whole.copy(target, 0, offset - start)
  }
  const read = async (offset: number, bytes: number, signal?: AbortSignal): Promise<Buffer> => {
    checkRange(offset, bytes)
    const data = Buffer.allocUnsafeSlow(bytes)
    await readInto(offset, data, signal)
    return data
  }

  async function* blockStatus(
    context: string,
    range: Extent,
    signal?: AbortSignal,
  ): AsyncGenerator<StatusExtent> {
    checkRange(range.offset, range.bytes)
    const number = [...contexts].find(([, name]) => name === context)?.[0]
    if (number === undefined) throw noSuchContext(address, context)
    const end = range.offset + range.bytes
    let open: StatusExtent = { offset: range.offset, bytes: 0, flags: 0 }
    for (let offset = range.offset; offset < end; ) {
      const runs = await statusPage(number, offset, end, signal)
      for (const run of runs) {
        // The last run of a page may reach beyond what was asked for.
        const bytes = Math.min(run.bytes, end - offset)
        if (bytes === 0) continue
        if (open.flags === run.flags) open = { ...open, bytes: open.bytes + bytes }
        else {
          if (open.bytes > 0) yield open
          open = { offset, bytes, flags: run.flags }
        }
        offset += bytes
      }
    }
    if (open.bytes > 0) yield open
  }

  const statusPage = async (
    number: number,
    offset: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly StatusRun[]> => {
    const start = roundDown(offset, sizes.minimum)
    const pageEnd = Math.min(roundUp(Math.min(end, start + PAGE_BYTES), sizes.minimum), facts.bytes)
    const request = { command: command.blockStatus, flags: 0, offset: start, bytes: pageEnd - start }
    const runs = (await leastBusy().send(request, signal)).status.get(number) ?? []
    const [head, ...rest] = runs
    const skipped = offset - start
    // A page must bring us forward. Taking silence for "nothing changed" would lose data.
    if (head === undefined || head.bytes <= skipped) throw violation(address, 'a block status covers nothing')
    return [{ ...head, bytes: head.bytes - skipped }, ...rest]
  }

  async function* map(range: Extent, signal?: AbortSignal): AsyncGenerator<MappedExtent> {
    for await (const { offset, bytes, flags } of blockStatus(ALLOCATION_CONTEXT, range, signal))
      yield { offset, bytes, kind: (flags & allocationFlag.zero) === 0 ? 'data' : 'zero' }
  }

  const write = async (offset: number, data: Buffer, signal?: AbortSignal): Promise<void> => {
    checkWrite(offset, data.length)
    const request = { command: command.write, flags: 0, offset, bytes: data.length, payload: data }
    await sendPieces(request, largest, signal)
  }
  const writeZeros = async (
    offset: number,
    bytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    const zeros = Buffer.alloc(Math.min(bytes, largest, MiB))
    for (let done = 0; done < bytes; done += zeros.length)
      await write(offset + done, zeros.subarray(0, Math.min(zeros.length, bytes - done)), signal)
  }
  const zero = async (offset: number, bytes: number, signal?: AbortSignal): Promise<void> => {
    checkWrite(offset, bytes)
    if (!supports(transmissionFlag.sendWriteZeroes)) return writeZeros(offset, bytes, signal)
    await sendPieces({ command: command.writeZeroes, flags: 0, offset, bytes }, PAGE_BYTES / 2, signal)
  }
  const trim = async (offset: number, bytes: number, signal?: AbortSignal): Promise<void> => {
    checkWrite(offset, bytes)
    // Advice that the server does not take is no failure.
    if (!supports(transmissionFlag.sendTrim)) return
    await sendPieces({ command: command.trim, flags: 0, offset, bytes }, PAGE_BYTES / 2, signal)
  }
  const flush = async (signal?: AbortSignal): Promise<void> => {
    if (readOnly) return
    if (!supports(transmissionFlag.sendFlush))
      throw requestFailed(address, 'flush', errno.notSupported, 'it cannot make writes durable')
    await first.send({ command: command.flush, flags: 0, offset: 0, bytes: 0 }, signal)
  }

  const metaContexts = [...contexts.values()]
  return {
    bytes: facts.bytes,
    exportName,
    readOnly,
    metaContexts,
    sizes,
    get failure() {
      return connections.find((connection) => connection.failure !== null)?.failure ?? null
    },
    read,
    readInto,
    blockStatus,
    ...(metaContexts.includes(ALLOCATION_CONTEXT) ? { map } : {}),
    write,
    zero,
    trim,
    flush,
    close: async () => {
      await Promise.all(connections.map((connection) => connection.close()))
    },
  }
}

function pieceOf(request: NbdRequest, from: number, bytes: number): NbdRequest {
  const { payload, target } = request
  return {
    ...request,
    offset: request.offset + from,
    bytes,
    ...(payload === undefined ? {} : { payload: payload.subarray(from, from + bytes) }),
    ...(target === undefined ? {} : { target: target.subarray(from, from + bytes) }),
  }
}

/** Whether another connection may do better: nothing is known about whether the request was carried out. */
export const isConnectionLoss = (error: unknown): boolean =>
  error instanceof Outage && connectionCodes.has(error.code)

const connectionCodes: ReadonlySet<string> = new Set([
  'nbd/unreachable',
  'nbd/connection-lost',
  'nbd/timeout',
  'nbd/protocol-violation',
  'nbd/shutting-down',
])
