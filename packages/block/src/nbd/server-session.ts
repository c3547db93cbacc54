// The server's half of the transmission: requests are carried out side by side, within bounds, and answered as they finish.
import { MiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { type BufferPool, bufferPool } from '../buffer-pool.ts'
import type { BlockReader, MappedExtent } from '../device.ts'
import { isZero } from '../zero-detection.ts'
import {
  allocationFlag,
  CHUNK_DONE,
  CHUNK_HEADER_BYTES,
  CHUNK_MAGIC,
  chunk,
  command,
  commandFlag,
  errno,
  REQUEST_BYTES,
  REQUEST_MAGIC,
  readOffset,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  u32,
  writeOffset,
} from './protocol.ts'
import { type Agreed, ALLOCATION_NUMBER, Goodbye, type Peer, SERVER_SIZES } from './server-handshake.ts'

/** What one client may have under way. Beyond it nothing is read from its socket, and it has to wait. */
const MAXIMUM_REQUESTS = 64
const MAXIMUM_HELD_BYTES = 64 * MiB
/** Clients that copy have about this many reads of 256 KiB under way. */
const KEPT_BUFFERS = 16
/** A reply to block status may be shorter than what was asked for; the client asks on. */
const MAXIMUM_STATUS_EXTENTS = 4096

type Request = {
  readonly flags: number
  readonly command: number
  readonly cookie: Buffer
  readonly offset: number
  readonly bytes: number
  readonly payload: Buffer | null
}

/** An answer other than success: an error number for the client, and the reason when it is our side that failed. */
class Rejected extends Error {
  readonly errno: number
  constructor(number: number, cause?: unknown) {
    super(`errno ${number}`, { cause })
    this.errno = number
  }
}

/**
 * Serves one client until it leaves or `signal` aborts; resolves when nothing of it is under way any more. `onFailure` hears
 * of every error of the disk itself: the client only gets a number.
 */
export async function serveSession(
  peer: Peer,
  agreed: Agreed,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<void> {
  const room = boundedRoom()
  const under = new Set<Promise<void>>()
  const pool = bufferPool(KEPT_BUFFERS)
  try {
    for (;;) {
      const request = await nextRequest(peer)
      if (request.command === command.disconnect) return
      await room.enter(request.bytes)
      // What the client had asked for and can no longer hear of is not worth reading.
      if (signal.aborted || peer.socket.destroyed) throw new Goodbye('gone')
      const work = carryOut(agreed, request, pool, signal)
        .then(
          async (reply) => {
            await send(peer, reply)
            const data = reply.at(-1)
            if (data !== undefined) pool.giveBack(data)
          },
          (error: unknown) => {
            const rejected = toRejected(error)
            if (rejected.cause !== undefined) onFailure(rejected.cause)
            return send(peer, toErrorReply(agreed, request, rejected.errno))
          },
        )
        .finally(() => {
          room.leave(request.bytes)
          under.delete(work)
        })
      under.add(work)
    }
  } finally {
    await Promise.allSettled(under)
  }
}

async function nextRequest(peer: Peer): Promise<Request> {
  const header = await peer.queue.take(REQUEST_BYTES)
  if (header.readUInt32BE(0) !== REQUEST_MAGIC) throw new Goodbye('a request has a wrong magic number')
  const code = header.readUInt16BE(6)
  const bytes = header.readUInt32BE(24)
  if (code === command.write && bytes > SERVER_SIZES.maximum) throw new Goodbye('a write is too long')
  // The header may be a window on a larger buffer, which the cookie must not keep alive.
  const head = Buffer.from(header)
  return {
    flags: head.readUInt16BE(4),
    command: code,
    cookie: head.subarray(8, 16),
    offset: readOffset(head, 16),
    bytes,
    payload: code === command.write ? await peer.queue.take(bytes) : null,
  }
}

async function carryOut(
  agreed: Agreed,
  request: Request,
  pool: BufferPool,
  signal: AbortSignal,
): Promise<Buffer[]> {
  const { reader } = agreed.served
  const { offset, bytes } = request
  const changes = request.command === command.write || request.command === command.writeZeroes
  if (!Number.isSafeInteger(offset) || offset + bytes > reader.bytes)
    throw new Rejected(changes ? errno.noSpace : errno.invalid)
  switch (request.command) {
    case command.read:
      return carryOutRead(agreed, request, pool, signal)
    case command.blockStatus:
      return carryOutStatus(agreed, request, signal)
    case command.write:
    case command.writeZeroes:
    case command.trim:
    case command.flush:
      await change(agreed, request, signal)
      return [simpleReply(request, 0)]
    default:
      throw new Rejected(errno.invalid)
  }
}

async function carryOutRead(
  agreed: Agreed,
  request: Request,
  pool: BufferPool,
  signal: AbortSignal,
): Promise<Buffer[]> {
  const { offset, bytes } = request
  if (bytes > SERVER_SIZES.maximum || bytes === 0) throw new Rejected(errno.invalid)
  const data = await readPooled(agreed.served.reader, offset, bytes, pool, signal)
  if (!agreed.structured) return [simpleReply(request, 0), data]
  const zero = isZero(data)
  const head = chunkHeader(request, zero ? chunk.offsetHole : chunk.offsetData, zero ? 12 : 8 + bytes, 8)
  writeOffset(head, offset, CHUNK_HEADER_BYTES)
  if (!zero) return [head, data]
  pool.giveBack(data)
  return [head, u32(bytes)]
}

async function readPooled(
  reader: BlockReader,
  offset: number,
  bytes: number,
  pool: BufferPool,
  signal: AbortSignal,
): Promise<Buffer> {
  if (reader.readInto === undefined) return reader.read(offset, bytes, signal)
  const data = pool.take(bytes)
  await reader.readInto(offset, data, signal)
  return data
}

async function carryOutStatus(agreed: Agreed, request: Request, signal: AbortSignal): Promise<Buffer[]> {
  if (!agreed.allocation || request.bytes === 0) throw new Rejected(errno.invalid)
  const { reader } = agreed.served
  const range = { offset: request.offset, bytes: request.bytes }
  const most = (request.flags & commandFlag.requestOne) === 0 ? MAXIMUM_STATUS_EXTENTS : 1
  const extents: { bytes: number; kind: MappedExtent['kind'] }[] = []
  const mapped = reader.map?.(range, signal) ?? [{ ...range, kind: 'data' as const }]
  for await (const { bytes, kind } of mapped) {
    const last = extents.at(-1)
    if (last?.kind === kind) last.bytes += bytes
    else if (extents.length === most) break
    else extents.push({ bytes, kind })
  }
  const payload = Buffer.alloc(4 + 8 * extents.length)
  payload.writeUInt32BE(ALLOCATION_NUMBER, 0)
  extents.forEach(({ bytes, kind }, index) => {
    payload.writeUInt32BE(bytes, 4 + 8 * index)
    payload.writeUInt32BE(kind === 'zero' ? allocationFlag.hole | allocationFlag.zero : 0, 8 + 8 * index)
  })
  return [chunkHeader(request, chunk.blockStatus, payload.length), payload]
}

async function change(agreed: Agreed, request: Request, signal: AbortSignal): Promise<void> {
  const { device } = agreed.served
  if (device === null) throw new Rejected(errno.notPermitted)
  const { offset, bytes, payload } = request
  if (request.command === command.flush) return device.flush(signal)
  if (payload !== null) await device.write(offset, payload, signal)
  // After TRIM the content is undefined; zeros are as good as anything, and a hole where the medium can.
  else if (bytes > 0) await device.zero(offset, bytes, signal)
  if ((request.flags & commandFlag.fua) !== 0) await device.flush(signal)
}

/** Resolves when the socket has taken the reply, or is gone: only then does it cease to occupy memory. */
function send({ socket }: Peer, parts: readonly Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    socket.cork()
    parts.forEach((part, index) => {
      if (index < parts.length - 1) socket.write(part)
      else socket.write(part, () => resolve())
    })
    socket.uncork()
  })
}

function toRejected(error: unknown): Rejected {
  if (error instanceof Rejected) return error
  const full = error instanceof Outage && error.code.endsWith('/no-space')
  return new Rejected(full ? errno.noSpace : errno.io, error)
}

function toErrorReply(agreed: Agreed, request: Request, number: number): Buffer[] {
  const mayBeSimple = request.command !== command.read && request.command !== command.blockStatus
  if (!agreed.structured || mayBeSimple) return [simpleReply(request, number)]
  const payload = Buffer.alloc(6)
  payload.writeUInt32BE(number, 0)
  return [chunkHeader(request, chunk.error, payload.length), payload]
}

function simpleReply(request: Request, number: number): Buffer {
  const bytes = Buffer.alloc(SIMPLE_REPLY_BYTES)
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0)
  bytes.writeUInt32BE(number, 4)
  request.cookie.copy(bytes, 8)
  return bytes
}

/** Every reply of ours is one chunk. `extraBytes` more are left in the buffer for the start of the payload. */
function chunkHeader(request: Request, type: number, payloadBytes: number, extraBytes = 0): Buffer {
  const bytes = Buffer.alloc(CHUNK_HEADER_BYTES + extraBytes)
  bytes.writeUInt32BE(CHUNK_MAGIC, 0)
  bytes.writeUInt16BE(CHUNK_DONE, 4)
  bytes.writeUInt16BE(type, 6)
  request.cookie.copy(bytes, 8)
  bytes.writeUInt32BE(payloadBytes, 16)
  return bytes
}

type Room = { enter(bytes: number): Promise<void>; leave(bytes: number): void }

/** Block status and zeroing name large ranges but hold no data, so a request counts for at most the largest data. */
function boundedRoom(): Room {
  const weightOf = (bytes: number): number => Math.min(bytes, SERVER_SIZES.maximum)
  let requests = 0
  let heldBytes = 0
  let wake: (() => void) | null = null
  return {
    async enter(bytes) {
      const full = (): boolean =>
        requests >= MAXIMUM_REQUESTS || (requests > 0 && heldBytes + weightOf(bytes) > MAXIMUM_HELD_BYTES)
      while (full())
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      requests += 1
      heldBytes += weightOf(bytes)
    },
    leave(bytes) {
      requests -= 1
      heldBytes -= weightOf(bytes)
      wake?.()
    },
  }
}
