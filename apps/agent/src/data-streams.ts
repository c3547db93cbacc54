// Carries what the server wants to read: HTTPS PUT requests beside the control connection, a few at once, each as long as there is something
// to carry and neither too much nor too long. What goes down with one is told, and the server asks for it again.
import { type ClientRequest, request as httpRequest } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { toFailureText } from '@understudy/agent-protocol/asks'
import { encodeFrame } from '@understudy/agent-protocol/frames'
import type { FromAgent, WantedRead } from '@understudy/agent-protocol/messages'
import { agentPaths, streamHeaders, streamProof } from '@understudy/agent-protocol/proofs'
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
}

const MOST_STREAMS = 3
const MOST_BYTES = 64 * 1024 * 1024
/** Below what proxies and the server have patience for. */
const LONGEST_MILLISECONDS = 60_000
const IDLE_MILLISECONDS = 5000

export function createDataStreams(parts: DataStreamsParts): DataStreams {
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
        const endAt = performance.now() + LONGEST_MILLISECONDS
        while (stream.bytes() < MOST_BYTES && performance.now() < endAt) {
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
  { identity, session }: DataStreamsParts,
  number: number,
  signal: AbortSignal,
): Promise<Stream> {
  const line = await dial(identity)
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
  return {
    bytes: () => bytes,
    async write(part) {
      bytes += part.length
      if (request.write(part)) return
      // An answer before the end is one too: there will be no more room.
      await Promise.race([
        new Promise<void>((resolve) => request.once('drain', resolve)),
        over.then(() => Promise.reject(new Error('the server has ended it'))),
      ])
    },
    async end() {
      request.end()
      await over
    },
    destroy() {
      signal.removeEventListener('abort', abort)
      request.destroy()
      line.destroy()
    },
  }
}
