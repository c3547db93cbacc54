// Carries what the server wants to read: HTTPS PUT requests beside the control connection, a few at once, each as long as there is something
// to carry and neither too much nor too long. What goes down with one is told, and the server asks for it again.
import { type ClientRequest, request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { toFailureText } from '@understudy/agent-protocol/asks'
import { encodeFrame } from '@understudy/agent-protocol/frames'
import type { FromAgent, WantedRead } from '@understudy/agent-protocol/messages'
import { agentPaths, streamHeaders, streamProof } from '@understudy/agent-protocol/proofs'
import { endsAt, type StreamLimits, streamLimits } from '@understudy/agent-protocol/stream-limits'
import { backOff } from './back-off.ts'
import { dial } from './dial.ts'
import { signed } from './enrol.ts'
import type { Identity } from './state-folder.ts'

export type DataStreams = {
  want(read: Wanted): void
  /** Bytes that went into streams, since the start. */
  carriedBytes(): number
  /** The connection that they belong to has ended. */
  stop(): void
}

type Wanted = { readonly id: number; readonly wanted: WantedRead }

export type DataStreamsParts = {
  readonly identity: Identity & { readonly agentId: string }
  /** Of the control connection. */
  readonly session: string
  read(wanted: WantedRead, signal: AbortSignal): Promise<Buffer>
  say(message: Extract<FromAgent, { type: 'lost' | 'read-failed' }>): void
  readonly limits?: StreamLimits
  /** A line to the server, secured. */
  readonly openLine?: () => Promise<Socket>
}

const MOST_STREAMS = 3
const IDLE_MILLISECONDS = 5000
/** Less than the server ever has under way. */
const MOST_WAITING = 20_000
/** Of what is written at once: each has to get through before the line counts as dead. */
const SLICE_BYTES = 64 * 1024
const LOOK_MILLISECONDS = 1000

export function createDataStreams(parts: DataStreamsParts): DataStreams {
  const { limits = streamLimits } = parts
  const stop = new AbortController()
  const queue: Wanted[] = []
  const idle: ((next: Wanted | null) => void)[] = []
  let streams = 0
  let numbers = 0
  let failures = 0
  let carriedBytes = 0

  /** Null: there is nothing for a while. */
  const next = (): Promise<Wanted | null> => {
    const waiting = queue.shift()
    if (waiting || stop.signal.aborted) return Promise.resolve(waiting ?? null)
    return new Promise((resolve) => {
      const answer = (wanted: Wanted | null): void => {
        clearTimeout(late)
        resolve(wanted)
      }
      const late = setTimeout(() => {
        idle.splice(idle.indexOf(answer), 1)
        resolve(null)
      }, IDLE_MILLISECONDS)
      idle.push(answer)
    })
  }

  const carry = async (): Promise<void> => {
    const taken: number[] = []
    try {
      numbers += 1
      const stream = await openStream(parts, numbers, stop.signal)
      try {
        const endAt = performance.now() + limits.milliseconds
        while (stream.bytes() < limits.bytes && taken.length < limits.frames && performance.now() < endAt) {
          const read = await next()
          if (!read) break
          taken.push(read.id)
          const content = await parts.read(read.wanted, stop.signal).catch((error: unknown) => {
            parts.say({ type: 'read-failed', read: read.id, failure: toFailureText(error) })
            return null
          })
          if (content === null) taken.pop()
          else
            for (const part of encodeFrame({ read: read.id, offset: read.wanted.offset, content })) {
              await stream.write(part)
              carriedBytes += part.length
            }
        }
        await stream.end()
        failures = 0
      } finally {
        stream.destroy()
      }
    } catch {
      // Told to the server, which counts how often and says why: it is there that somebody waits.
      failures += 1
      if (!stop.signal.aborted && taken.length > 0) parts.say({ type: 'lost', reads: taken })
    }
  }

  const work = async (): Promise<void> => {
    streams += 1
    try {
      while (queue.length > 0 && !stop.signal.aborted) {
        const before = failures
        await carry()
        if (failures > before)
          await wait(backOff(failures - 1, 0), undefined, { signal: stop.signal }).catch(() => {})
      }
    } finally {
      streams -= 1
    }
  }

  return {
    want(read) {
      const waiting = idle.shift()
      if (waiting) return waiting(read)
      if (queue.length >= MOST_WAITING) return parts.say({ type: 'lost', reads: [read.id] })
      queue.push(read)
      if (streams < MOST_STREAMS) void work()
    },
    carriedBytes: () => carriedBytes,
    stop() {
      stop.abort(new DOMException('The connection has ended', 'AbortError'))
      queue.length = 0
      for (const each of idle.splice(0)) each(null)
    },
  }
}

type Stream = {
  bytes(): number
  /** Resolves when there is room for more. */
  write(part: Buffer): Promise<void>
  /** Resolves when the server has all of it. */
  end(): Promise<void>
  destroy(): void
}

async function openStream(
  {
    identity,
    session,
    limits = streamLimits,
    openLine = () => dial(identity),
  }: Pick<DataStreamsParts, 'identity' | 'session' | 'limits' | 'openLine'>,
  number: number,
  signal: AbortSignal,
): Promise<Stream> {
  const line = await openLine()
  if (signal.aborted) line.destroy()
  signal.throwIfAborted()
  const { agentId, fingerprint } = identity
  const request: ClientRequest = httpRequest({
    createConnection: () => line,
    method: 'PUT',
    path: `${agentPaths.streams}/${session}`,
    headers: {
      host: new URL(identity.server).host,
      connection: 'close',
      'content-type': 'application/octet-stream',
      [streamHeaders.agent]: agentId,
      [streamHeaders.number]: number,
      [streamHeaders.signature]: signed(identity, streamProof({ agentId, session, number, fingerprint })),
    },
  })
  let bytes = 0
  const over = new Promise<void>((resolve, reject) => {
    request.once('response', (response) => {
      response.resume()
      if (response.statusCode === 200) resolve()
      else reject(new Error(`the server answers ${response.statusCode}`))
    })
    request.once('error', reject)
    request.once('close', () => reject(new Error('the stream was cut')))
  })
  over.catch(() => {})
  const abort = (): void => void request.destroy(new Error('the connection has ended'))
  signal.addEventListener('abort', abort, { once: true })
  /** Null: nothing waits for the server. */
  let waitingSince: number | null = null
  const startedAt = performance.now()
  const looking = setInterval(() => {
    const at = performance.now()
    const idle = waitingSince !== null && at - waitingSince >= limits.idleMilliseconds
    if (idle || at >= endsAt(limits, { startedAt, bytes }))
      request.destroy(new Error('the server takes nothing'))
  }, LOOK_MILLISECONDS).unref()
  const withPatience = async (taken: Promise<void>): Promise<void> => {
    waitingSince = performance.now()
    // An answer before the end is one too: there will be no more room.
    await Promise.race([taken, over.then(() => Promise.reject(new Error('the server has ended it')))])
    waitingSince = null
  }
  return {
    bytes: () => bytes,
    async write(part) {
      for (let at = 0; at < part.length; at += SLICE_BYTES) {
        const slice = part.subarray(at, at + SLICE_BYTES)
        bytes += slice.length
        if (!request.write(slice))
          await withPatience(new Promise<void>((resolve) => request.once('drain', resolve)))
      }
    },
    async end() {
      request.end()
      waitingSince = performance.now()
      await over
    },
    destroy() {
      clearInterval(looking)
      signal.removeEventListener('abort', abort)
      request.destroy()
      line.destroy()
    },
  }
}
