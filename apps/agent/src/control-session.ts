// One connection to the server, from its challenge to its end.
import {
  type FromAgent,
  type FromServer,
  type Order,
  type Refused,
  readFromServer,
  type WantedRead,
} from '@understudy/agent-protocol/messages'
import { agentPaths, helloProof } from '@understudy/agent-protocol/proofs'
import { ourProtocols } from '@understudy/agent-protocol/versions'
import { Outage, Refusal } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { AgentFacts, AgentHealth } from '@understudy/domain/agents/agent'
import type { ServerHardware } from '@understudy/domain/agents/server-hardware'
import { WebSocket } from 'ws'
import { agentVersion } from './agent-version.ts'
import { createDataStreams, type DataStreams } from './data-streams.ts'
import { dial } from './dial.ts'
import { signed } from './enrol.ts'
import { createWriteFetcher, type WriteFetcher, type WriteFetcherParts } from './fetch-writes.ts'
import type { Mailbox } from './mailbox.ts'
import type { Identity } from './state-folder.ts'

export type SessionParts = {
  readonly identity: Identity & { readonly agentId: string }
  readonly instance: string
  readonly mailbox: Mailbox
  readonly facts: AgentFacts
  readonly hardware: ServerHardware
  /** But for what only the connection knows. */
  health(): Promise<Omit<AgentHealth, 'bytesPerSecond' | 'backlog'>>
  /** `programKey`: of those who sign programs; null: the server is an older one. */
  onWelcome(programKey: string | null): void
  /** A fresh order, kept already. */
  onOrder(order: Order): void
  onAsk(ask: Extract<FromServer, { type: 'ask' }>): void
  onWithdrawn(askId: string): void
  /** Of a point that is open here. */
  readDisk(wanted: WantedRead, signal: AbortSignal): Promise<Buffer>
  /** Takes what is to be written here; null: this agent is no receiver. */
  readonly receiver: WriteFetcherParts['desk']
}

export type ControlSession = {
  /** Sends what waits, as far as it was not sent on this connection. */
  push(): void
  /** Lost when the line is cut meanwhile. */
  reply(message: Extract<FromAgent, { type: 'reply' }>): void
  /** Resolves when what was said until now has come to the server. Never, where the line is cut before. */
  heard(): Promise<void>
  /** The server that this runs on is not what it was. */
  changed(): void
  /** Resolves when the line is gone; rejects with the Refusal that the server ended it with. */
  readonly ended: Promise<void>
  close(): void
}

const HANDSHAKE_MILLISECONDS = 20_000
const MOST_BYTES = 256 * 1024

/** Refuses as `dial` does; an Outage when the server is away. */
export async function openControlSession(parts: SessionParts): Promise<ControlSession> {
  const { identity, mailbox } = parts
  const line = await dial(identity)
  // The line is secured already, so the library is told of a plain one.
  const socket = new WebSocket(`ws://${new URL(identity.server).host}${agentPaths.control}`, {
    createConnection: () => line,
    perMessageDeflate: false,
    maxPayload: MOST_BYTES,
    handshakeTimeout: HANDSHAKE_MILLISECONDS,
  })
  const turn = inTurn()
  let welcomed = false
  let sent = 0
  let beats: ReturnType<typeof setInterval> | undefined
  let quiet = setTimeout(() => socket.terminate(), HANDSHAKE_MILLISECONDS)
  let measured = { bytes: 0, at: performance.now() }
  let refused: Refusal | null = null
  let streams: DataStreams | null = null
  let writes: WriteFetcher | null = null

  const say = (message: FromAgent): void => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message))
  }
  const push = (): void => {
    if (!welcomed) return
    for (const { sequence, body } of mailbox.waiting()) {
      if (sequence <= sent) continue
      say({ type: 'said', sequence, body })
      sent = sequence
    }
  }
  const beat = async (): Promise<void> => {
    const carried = (streams?.carriedBytes() ?? 0) + (writes?.carriedBytes() ?? 0)
    const bytes = line.bytesRead + line.bytesWritten + carried
    const at = performance.now()
    const seconds = (at - measured.at) / 1000
    const bytesPerSecond = seconds > 0 ? Math.max(0, (bytes - measured.bytes) / seconds) : 0
    measured = { bytes, at }
    const health = { ...(await parts.health()), bytesPerSecond, backlog: mailbox.waiting().length }
    say({ type: 'beat', time: Date.now(), health })
  }
  const hear = async (text: string): Promise<void> => {
    const message = readFromServer(text)
    switch (message?.type) {
      case undefined:
      case 'beat':
        return
      case 'challenge':
        return say({
          type: 'hello',
          agentId: identity.agentId,
          signature: signed(identity, helloProof({ ...identity, nonce: message.nonce })),
          instance: parts.instance,
          protocols: ourProtocols,
          version: agentVersion,
          serverIdentity: identity.serverIdentity,
          facts: parts.facts,
          hardware: parts.hardware,
          received: mailbox.received(),
          time: Date.now(),
        })
      case 'welcome': {
        await mailbox.beginBehind(message.received)
        await mailbox.acknowledged(message.received)
        welcomed = true
        sent = message.received
        const beatMilliseconds = message.beatSeconds * 1000
        const awake = (): void => {
          clearTimeout(quiet)
          quiet = setTimeout(() => socket.terminate(), 3 * beatMilliseconds)
        }
        awake()
        socket.on('message', awake)
        beats = setInterval(() => void beat().catch(() => socket.terminate()), beatMilliseconds)
        const { session } = message
        if (session !== undefined) {
          streams = createDataStreams({ identity, session, read: parts.readDisk, say })
          writes = createWriteFetcher({ identity, session, desk: parts.receiver, say })
        }
        parts.onWelcome(message.programKey ?? null)
        push()
        return beat()
      }
      case 'order':
        if (await mailbox.take(message.sequence, message.order)) parts.onOrder(message.order)
        return
      case 'ack':
        return mailbox.acknowledged(message.received)
      case 'ask':
        return parts.onAsk(message)
      case 'withdraw':
        return parts.onWithdrawn(message.id)
      case 'read':
        return streams?.want(message)
      case 'fetch':
        return writes?.fetch(message)
      case 'refused':
        refused = toRefusal(message)
        return void socket.close()
    }
  }

  const ended = new Promise<void>((resolve, reject) => {
    socket.on('message', (data) => {
      void turn(() => hear(String(data))).catch((error: unknown) => {
        if (error instanceof Refusal) refused = error
        socket.terminate()
      })
    })
    let failure: Error | null = null
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('close', () => {
      clearInterval(beats)
      clearTimeout(quiet)
      streams?.stop()
      writes?.stop()
      line.destroy()
      // What was heard last may still be worked on.
      void turn(async () => {
        if (refused) return reject(refused)
        if (welcomed || !failure) return resolve()
        reject(
          new Outage({
            code: 'agent/server-away',
            message: `${identity.server} ends the connection: ${failure.message}`,
            remedy: 'Check the network and the proxy; it is tried again.',
            cause: failure,
          }),
        )
      })
    })
  })
  const changed = (): void => {
    if (welcomed) say({ type: 'changed' })
  }
  // Answered by the other end behind all that it was sent before.
  const heard = (): Promise<void> =>
    new Promise((resolve) => {
      socket.once('pong', () => resolve())
      if (socket.readyState === socket.OPEN) socket.ping()
    })
  return { push, reply: say, heard, changed, ended, close: () => socket.close(1001, 'the agent stops') }
}

const toRefusal = ({ code, message, remedy }: Refused): Refusal => new Refusal({ code, message, remedy })
