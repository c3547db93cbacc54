// One negotiated connection: requests go out as they come, replies are matched to them by cookie, in any order.
import { isAbort } from '@understudy/base/errors'
import { connectionLost, requestFailed, tooSlow, violation } from './failures.ts'
import type { Session } from './handshake.ts'
import { command, REQUEST_BYTES, REQUEST_MAGIC, writeOffset } from './protocol.ts'
import { type Pending, ReplyParser, type StatusRun } from './reply-parser.ts'
import { toError, toTlsFailure } from './wire.ts'

export type NbdRequest = {
  readonly command: number
  readonly flags: number
  readonly offset: number
  readonly bytes: number
  readonly payload?: Buffer
  /** Where a read's data goes, `bytes` long; a new buffer when absent. After a rejection it may still be written to. */
  readonly target?: Buffer
}

export type NbdReply = {
  /** The data of a read. */
  readonly data: Buffer
  /** The answer to a block status request, by context number. */
  readonly status: ReadonlyMap<number, readonly StatusRun[]>
}

export type NbdConnection = {
  readonly session: Session
  /** Null while it works, else why it no longer does. */
  readonly failure: Error | null
  readonly inFlight: number
  /**
   * Sends one request. Rejects with what the server answered, with `nbd/connection-lost`, with `nbd/timeout` (which ends the
   * connection: a server that is this late cannot be trusted with the rest), or when `signal` aborts (the reply is
   * then thrown away when it comes).
   */
  send(request: NbdRequest, signal?: AbortSignal): Promise<NbdReply>
  /** Says goodbye, and waits until the socket is closed, but not for long. Idempotent. */
  close(): Promise<void>
}

const GOODBYE_TIMEOUT_MS = 2_000
const NO_DATA = Buffer.alloc(0)

export function openConnection(session: Session, requestTimeoutMs: number): NbdConnection {
  const { wire } = session
  const { socket } = wire
  const pending = new Map<number, Pending>()
  let lastCookie = 0
  let failure: Error | null = null

  const fail = (error: Error): void => {
    if (failure !== null) return
    failure = error
    clearInterval(clock)
    // The buffers go back to their owners now: nothing that is still on its way may land in them.
    wire.receive = () => undefined
    socket.destroy()
    for (const request of pending.values()) request.reject(error)
    pending.clear()
  }
  // One timer for all requests. The oldest stands first in the map, for cookies only grow.
  const clock = setInterval(
    () => {
      const oldest = pending.values().next().value
      if (oldest !== undefined && performance.now() - oldest.sentAt > requestTimeoutMs)
        fail(tooSlow(wire.address, nameOf(oldest.command), requestTimeoutMs))
    },
    Math.min(1_000, requestTimeoutMs),
  )
  clock.unref()

  const parser = new ReplyParser(pending, (what) => fail(violation(wire.address, what)))
  wire.receive = (data, bytes) => parser.feed(data, bytes)
  socket.on('error', (error) => fail(toTlsFailure(wire.address, lostBecause(error, session))))
  for (const event of ['end', 'close'])
    socket.on(event, () => fail(connectionLost(wire.address, 'closed by the server')))
  const early = wire.queue.drain()
  if (early.length > 0) parser.feed(early, early.length)
  if (socket.destroyed) fail(connectionLost(wire.address, 'closed right after the negotiation'))

  const send = (request: NbdRequest, signal?: AbortSignal): Promise<NbdReply> => {
    if (failure !== null) return Promise.reject(failure)
    if (signal?.aborted) return Promise.reject(toError(signal.reason))
    lastCookie += 1
    const cookie = lastCookie
    const isRead = request.command === command.read
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, reject)
      pending.set(cookie, {
        command: request.command,
        offset: request.offset,
        data: isRead ? (request.target ?? Buffer.allocUnsafeSlow(request.bytes)) : NO_DATA,
        received: 0,
        status: new Map(),
        failure: null,
        sentAt: performance.now(),
        settle: (reply) => {
          stopListening?.()
          if (reply.failure === null) resolve({ data: reply.data, status: reply.status })
          else
            reject(requestFailed(wire.address, whatOf(request), reply.failure.errno, reply.failure.message))
        },
        reject: (error) => {
          stopListening?.()
          reject(error)
        },
      })
      sendRequest(session, request, cookie)
    })
  }

  const close = async (): Promise<void> => {
    if (socket.closed) return
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    if (failure === null) {
      sendRequest(session, { command: command.disconnect, flags: 0, offset: 0, bytes: 0 }, 0)
      socket.end()
    }
    const timer = setTimeout(() => socket.destroy(), GOODBYE_TIMEOUT_MS)
    await closed
    clearTimeout(timer)
  }

  return {
    session,
    get failure() {
      return failure
    },
    get inFlight() {
      return pending.size
    },
    send,
    close,
  }
}

function sendRequest({ wire: { socket } }: Session, request: NbdRequest, cookie: number): void {
  const header = Buffer.allocUnsafe(REQUEST_BYTES)
  header.writeUInt32BE(REQUEST_MAGIC, 0)
  header.writeUInt16BE(request.flags, 4)
  header.writeUInt16BE(request.command, 6)
  writeOffset(header, cookie, 8)
  writeOffset(header, request.offset, 16)
  header.writeUInt32BE(request.bytes, 24)
  if (request.payload === undefined) {
    socket.write(header)
    return
  }
  // Together in one system call.
  socket.cork()
  socket.write(header)
  socket.write(request.payload)
  socket.uncork()
}

function onAbort(signal: AbortSignal | undefined, reject: (error: Error) => void): (() => void) | undefined {
  if (signal === undefined) return undefined
  const listener = (): void => reject(toError(signal.reason))
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

const lostBecause = (error: Error, session: Session): Error =>
  isAbort(error) ? error : connectionLost(session.wire.address, error)

const commandNames: Readonly<Record<number, string>> = {
  [command.read]: 'read',
  [command.write]: 'write',
  [command.flush]: 'flush',
  [command.trim]: 'trim',
  [command.cache]: 'cache',
  [command.writeZeroes]: 'write zeros',
  [command.blockStatus]: 'tell the block status of',
}
const nameOf = (code: number): string => commandNames[code] ?? `command ${code}`
const whatOf = (request: NbdRequest): string =>
  request.command === command.flush
    ? 'flush'
    : `${nameOf(request.command)} ${request.bytes} bytes at ${request.offset}`
