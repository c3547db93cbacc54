// Fetches what is to be written to the disks of this computer: HTTPS GET requests beside the control connection, as many as the server calls for. Each piece is
// taken by its disk before the next one is read, and said to be written; what goes down with a stream is sent again by the server.
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { toFailureText } from '@understudy/agent-protocol/asks'
import { badFrame, readFrames } from '@understudy/agent-protocol/frames'
import type { FromAgent, FromServer } from '@understudy/agent-protocol/messages'
import { agentPaths, fetchProof, streamHeaders } from '@understudy/agent-protocol/proofs'
import { streamLimits } from '@understudy/agent-protocol/stream-limits'
import { Outage, Refusal } from '@understudy/base/errors'
import type { ReceiverDesk } from '@understudy/drivers/physical/receiver-desk'
import { backOff } from './back-off.ts'
import { dial } from './dial.ts'
import { signed } from './enrol.ts'
import type { Identity } from './state-folder.ts'

export type WriteFetcher = {
  fetch(wanted: Extract<FromServer, { type: 'fetch' }>): void
  /** Bytes that came through streams, since the start. */
  carriedBytes(): number
  /** The connection that they belong to has ended. */
  stop(): void
}

export type WriteFetcherParts = {
  readonly identity: Identity & { readonly agentId: string }
  /** Of the control connection. */
  readonly session: string
  /** Null: this agent is no receiver. */
  readonly desk: Pick<ReceiverDesk, 'expect' | 'write'> | null
  say(message: Extract<FromAgent, { type: 'written' | 'write-failed' | 'fetched' }>): void
  /** A line to the server, secured. */
  readonly openLine?: () => Promise<Socket>
}

/** More than a server ever calls for. */
const MOST_STREAMS = 8
/** What was written is told together. */
const TELL_MILLISECONDS = 5

export function createWriteFetcher(parts: WriteFetcherParts): WriteFetcher {
  const { identity, desk, say, openLine = () => dial(identity) } = parts
  const stop = new AbortController()
  let streams = 0
  let failures = 0
  let carriedBytes = 0
  const written: number[] = []
  let telling: ReturnType<typeof setTimeout> | null = null
  const tell = (): void => {
    if (telling) clearTimeout(telling)
    telling = null
    if (written.length > 0 && !stop.signal.aborted) say({ type: 'written', writes: written.splice(0) })
  }
  const isWritten = (write: number): void => {
    written.push(write)
    telling ??= setTimeout(tell, TELL_MILLISECONDS)
  }

  const carry = async ({ stream, assignment, disk }: Parameters<WriteFetcher['fetch']>[0]): Promise<void> => {
    if (!desk) throw noReceiver()
    await desk.expect(assignment, disk)
    const line = await openLine()
    try {
      const body = await openStream(parts, line, stream, stop.signal)
      const counted = (async function* () {
        for await (const part of body as AsyncIterable<Buffer>) {
          carriedBytes += part.length
          yield part
        }
      })()
      await readFrames(counted, {
        expect() {
          if (stop.signal.aborted) throw badFrame('its connection has ended')
        },
        async take({ read: write, offset, content }) {
          try {
            await desk.write({ assignment, disk, offset, content })
          } catch (error) {
            return say({ type: 'write-failed', write, failure: toFailureText(error) })
          }
          isWritten(write)
        },
      })
    } finally {
      line.destroy()
    }
  }

  return {
    fetch(wanted) {
      const { stream } = wanted
      const over = (error: unknown): void => {
        tell()
        if (stop.signal.aborted) return
        say({ type: 'fetched', stream, failure: error === null ? null : toFailureText(error) })
      }
      if (streams >= MOST_STREAMS) return over(tooMany())
      streams += 1
      void carry(wanted)
        .then(
          () => {
            failures = 0
            over(null)
          },
          async (error: unknown) => {
            // What is refused stays so. Else the server calls for another one at once: a line that is away is not dialled again and again.
            if (!(error instanceof Refusal))
              await wait(backOff(failures, 0), undefined, { signal: stop.signal }).catch(() => {})
            failures += 1
            over(error)
          },
        )
        .finally(() => {
          streams -= 1
        })
    },
    carriedBytes: () => carriedBytes,
    stop() {
      stop.abort(new DOMException('The connection has ended', 'AbortError'))
      tell()
    },
  }
}

function openStream(
  { identity, session }: Pick<WriteFetcherParts, 'identity' | 'session'>,
  line: Socket,
  number: number,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { agentId, fingerprint } = identity
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => line,
      method: 'GET',
      path: `${agentPaths.writes}/${session}`,
      headers: {
        host: new URL(identity.server).host,
        connection: 'close',
        [streamHeaders.agent]: agentId,
        [streamHeaders.number]: number,
        [streamHeaders.signature]: signed(identity, fetchProof({ agentId, session, number, fingerprint })),
      },
      timeout: streamLimits.idleMilliseconds,
      signal,
    })
    // Also in the middle of the answer: it cuts it.
    request.on('timeout', () => request.destroy(cut('nothing comes of it')))
    request.once('error', (cause) => reject(cut(cause.message)))
    request.once('response', (response) => {
      if (response.statusCode === 200) return resolve(response)
      request.destroy()
      reject(cut(`the server answers ${response.statusCode}`))
    })
    request.end()
  })
}

const cut = (why: string): Outage =>
  new Outage({
    code: 'agent/streams-cut',
    message: `A stream of what is to be written was cut: ${why}`,
    remedy: 'It is sent again. If it stays, check the line between the two, and a proxy if there is one.',
  })

const tooMany = (): Outage =>
  new Outage({
    code: 'agent/too-many-streams',
    message: `The receiver fetches ${MOST_STREAMS} streams already`,
    remedy: 'It is tried again. If it stays, look at the log of the agent.',
  })

const noReceiver = (): Refusal =>
  new Refusal({
    code: 'agent/role-missing',
    message: 'This agent is no receiver: nothing is written to the disks of its server',
    remedy: 'Start the computer from the rescue system, and enrol its agent as a receiver.',
  })
