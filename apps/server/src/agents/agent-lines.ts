// What the server asks its agents, and what it reads through them. Nothing of it is kept on disk: whoever asked is in this process. A cut is
// bridged for two minutes: every ask and every read that is outstanding goes out again on the next connection, and only those.
import { randomUUID } from 'node:crypto'
import type { AgentLine } from '@understudy/agent-protocol/agent-line'
import {
  type Answer,
  type AskKind,
  fromFailureText,
  type Question,
  readAnswer,
} from '@understudy/agent-protocol/asks'
import { badFrame, type FrameSink, MOST_READ_BYTES } from '@understudy/agent-protocol/frames'
import type { FromAgent, FromServer, WantedRead } from '@understudy/agent-protocol/messages'
import { streamLimits } from '@understudy/agent-protocol/stream-limits'
import { ASKS_SINCE_PROTOCOL } from '@understudy/agent-protocol/versions'
import { Outage, Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { AgentId } from '@understudy/domain/agents/agent'

/** How long a line may be away before what was asked through it fails, and how long it may stand still. */
const PATIENCE_MILLISECONDS = 120_000
/** Who has not been here since the start, or for longer than that, is waited for so long. */
const COMING_MILLISECONDS = 10_000
const LOOK_MILLISECONDS = 1000
/** Of content that is asked for and not here yet, of one agent. */
const MOST_UNDER_WAY_BYTES = 16 * 1024 * 1024
/** The same of pieces, which may be small. */
const MOST_UNDER_WAY_READS = 2000
/** With less than that within the patience the line stands still, whatever trickles through it. */
const MOVED_BYTES = 64 * 1024
const MOST_TRIES = 3
const ROUND_TRIPS_KEPT = 12
const STREAMS_REMEMBERED = 1000
/** Numbers of reads are u32: long before they end, the connection is begun anew and with it they are. */
const LAST_READ = 2 ** 32 - 2 ** 20

/** Of what may take longer than the patience of a line: it is the agent that bounds it. */
const longSeconds: Partial<Record<AskKind, number>> = { 'open-point': 300, 'settle-point': 1800 }

type Session = {
  /** Of this connection alone; its streams name it. */
  readonly id: string
  readonly protocol: number
  say(message: FromServer): void
  end(): void
  /** Numbers up to here were given out. */
  issued: number
  readonly reads: Map<number, PendingRead>
  /** Those that were there, of the newest ones. */
  readonly streams: Set<number>
  newestStream: number
}

type Pending = {
  readonly until: number
  reject(error: unknown): void
}
type PendingAsk = Pending & {
  readonly id: string
  readonly kind: AskKind
  readonly question: unknown
  resolve(body: unknown): void
}
type PendingRead = {
  readonly wanted: WantedRead
  number: number | null
  tries: number
  resolve(content: Buffer): void
  reject(error: unknown): void
}

type Line = {
  session: Session | null
  /** Null while it is here. */
  awaySince: number | null
  /** When something last came of what was wanted. */
  movedAt: number
  /** Of frames that are not whole yet, since then. */
  heardBytes: number
  readonly asks: Map<string, PendingAsk>
  /** All that are not here yet. */
  readonly reads: Set<PendingRead>
  /** Those of them that were not sent on this connection, from old to new. */
  waiting: PendingRead[]
  underWayBytes: number
  /** The newest few. A busy line makes them longer, and no distance. */
  roundTrips: readonly number[]
  trouble: Outage | null
}

export type LineSession = {
  readonly id: string
  replied(message: Extract<FromAgent, { type: 'reply' }>): void
  readFailed(message: Extract<FromAgent, { type: 'read-failed' }>): void
  /** The server that it runs on is not what it was: whoever watches is told. */
  changed(): void
  /** So long a word took to it and back. */
  roundTrip(milliseconds: number): void
  /** These went down with a stream. */
  lost(reads: readonly number[]): void
  closed(): void
}

/** `heard`: so many bytes of it came. */
export type StreamSink = FrameSink & { heard(bytes: number): void }

export type AgentLines = Pick<AgentLine, 'ask' | 'read' | 'roundTripMilliseconds' | 'watch'> & {
  isConnected(agentId: AgentId): boolean
  /** A connection is there, in place of the one before. Sends what is outstanding. */
  opened(agentId: AgentId, session: Pick<Session, 'id' | 'protocol' | 'say' | 'end'>): LineSession
  /** Null: there is no such session, or no more, or the stream of that number was there already. */
  sinkOf(agentId: AgentId, sessionId: string, streamNumber: number): StreamSink | null
  /** A stream was refused, and why: told to whoever waits if it stays so. */
  spoiled(agentId: AgentId, why: Outage): void
  /** Whoever waits fails, and whoever comes does at once. */
  stop(): void
}

export function createAgentLines(now: () => number = () => performance.now()): AgentLines {
  const lines = new Map<AgentId, Line>()
  const watchers = new Set<() => void>()
  let stopped = false
  let looking: ReturnType<typeof setInterval> | null = null

  const lineOf = (agentId: AgentId): Line => {
    const known = lines.get(agentId)
    if (known) return known
    const made: Line = {
      session: null,
      awaySince: now() - PATIENCE_MILLISECONDS + COMING_MILLISECONDS,
      movedAt: now(),
      heardBytes: 0,
      asks: new Map(),
      reads: new Set(),
      waiting: [],
      underWayBytes: 0,
      roundTrips: [],
      trouble: null,
    }
    lines.set(agentId, made)
    return made
  }
  const moved = (line: Line): void => {
    line.movedAt = now()
    line.heardBytes = 0
  }
  const tell = (): void => {
    for (const each of watchers) each()
  }

  const look = (): void => {
    const at = now()
    let busy = false
    for (const line of lines.values()) {
      if (line.awaySince !== null && at - line.awaySince >= PATIENCE_MILLISECONDS) failAll(line, away())
      if (line.reads.size > 0 && at - line.movedAt >= PATIENCE_MILLISECONDS)
        failReads(line, line.trouble ?? stalled())
      for (const ask of [...line.asks.values()])
        if (at >= ask.until) {
          line.asks.delete(ask.id)
          line.session?.say({ type: 'withdraw', id: ask.id })
          ask.reject(noAnswer(ask.kind))
        }
      busy ||= line.asks.size > 0 || line.reads.size > 0
    }
    if (busy || looking === null) return
    clearInterval(looking)
    looking = null
  }
  const keepLooking = (): void => {
    looking ??= setInterval(look, LOOK_MILLISECONDS)
  }

  /** Whoever comes to a line that is away for long has a little time of his own. */
  const beginWaiting = (line: Line): void => {
    if (stopped) throw stopping()
    const idle = line.asks.size === 0 && line.reads.size === 0
    if (line.awaySince !== null && idle)
      line.awaySince = Math.max(line.awaySince, now() - PATIENCE_MILLISECONDS + COMING_MILLISECONDS)
    if (line.reads.size === 0) line.movedAt = now()
    keepLooking()
  }

  return {
    roundTripMilliseconds(agentId) {
      const known = lines.get(agentId)?.roundTrips ?? []
      return known.length === 0 ? null : Math.min(...known)
    },
    isConnected: (agentId) => (lines.get(agentId)?.session ?? null) !== null,
    watch(onChange, signal) {
      if (signal.aborted) return
      watchers.add(onChange)
      signal.addEventListener('abort', () => watchers.delete(onChange), { once: true })
    },
    ask<Kind extends AskKind>(
      agentId: AgentId,
      kind: Kind,
      question: Question<Kind>,
      signal?: AbortSignal,
    ): Promise<Answer<Kind>> {
      const line = lineOf(agentId)
      return new Promise<Answer<Kind>>((resolve, reject) => {
        signal?.throwIfAborted()
        beginWaiting(line)
        const id = randomUUID()
        const abort = (): void => {
          if (!line.asks.delete(id)) return
          line.session?.say({ type: 'withdraw', id })
          reject(signal?.reason)
        }
        const settled = (): void => signal?.removeEventListener('abort', abort)
        const ask: PendingAsk = {
          id,
          kind,
          question,
          until: now() + (longSeconds[kind] ?? PATIENCE_MILLISECONDS / 1000) * 1000,
          resolve(body) {
            settled()
            try {
              resolve(readAnswer(kind, body))
            } catch (error) {
              reject(error)
            }
          },
          reject(error) {
            settled()
            reject(error)
          },
        }
        signal?.addEventListener('abort', abort, { once: true })
        line.asks.set(id, ask)
        if (line.session) sendAsk(line, line.session, ask)
      })
    },
    read(agentId, wanted, signal) {
      invariant(wanted.bytes > 0 && wanted.bytes <= MOST_READ_BYTES, 'a read fits into a frame')
      const line = lineOf(agentId)
      return new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        beginWaiting(line)
        const abort = (): void => {
          if (!line.reads.has(read)) return
          drop(line, read)
          sendReads(line)
          read.reject(signal?.reason)
        }
        const settled = (): void => signal?.removeEventListener('abort', abort)
        const read: PendingRead = {
          wanted,
          number: null,
          tries: 1,
          resolve(content) {
            settled()
            resolve(content)
          },
          reject(error) {
            settled()
            reject(error)
          },
        }
        signal?.addEventListener('abort', abort, { once: true })
        line.reads.add(read)
        line.waiting.push(read)
        sendReads(line)
      })
    },
    opened(agentId, { id, protocol, say, end }) {
      const line = lineOf(agentId)
      const session: Session = {
        id,
        protocol,
        say,
        end,
        issued: 0,
        reads: new Map(),
        streams: new Set(),
        newestStream: 0,
      }
      line.session = session
      line.awaySince = null
      line.movedAt = now()
      line.underWayBytes = 0
      // Whatever the connection before was about to bring is asked for again.
      for (const read of line.reads) read.number = null
      line.waiting = [...line.reads]
      for (const ask of line.asks.values()) sendAsk(line, session, ask)
      sendReads(line)
      tell()
      return {
        id,
        replied(message) {
          const ask = line.asks.get(message.id)
          // Whoever asked has gone, or has his answer.
          if (!ask) return
          line.asks.delete(message.id)
          moved(line)
          const { outcome } = message
          if (outcome.kind === 'answer') ask.resolve(outcome.body)
          else ask.reject(fromFailureText(outcome.failure))
        },
        readFailed({ read: number, failure }) {
          const read = session.reads.get(number)
          if (!read || line.session !== session) return
          drop(line, read)
          read.reject(fromFailureText(failure))
          sendReads(line)
        },
        roundTrip(milliseconds) {
          if (line.session === session)
            line.roundTrips = [milliseconds, ...line.roundTrips].slice(0, ROUND_TRIPS_KEPT)
        },
        changed() {
          if (line.session === session) tell()
        },
        lost(numbers) {
          if (line.session !== session) return
          for (const number of numbers) {
            const read = session.reads.get(number)
            if (!read) continue
            drop(line, read)
            if (read.tries >= MOST_TRIES) {
              read.reject(line.trouble ?? lostTooOften())
              continue
            }
            read.tries += 1
            line.reads.add(read)
            line.waiting.push(read)
          }
          sendReads(line)
        },
        closed() {
          if (line.session !== session) return
          line.session = null
          line.awaySince = now()
          tell()
        },
      }
    },
    sinkOf(agentId, sessionId, streamNumber) {
      const line = lines.get(agentId)
      const session = line?.session
      if (!line || !session || session.id !== sessionId) return null
      // A few are opened at once, and may come in another order than they were numbered in.
      const oldest = session.newestStream - STREAMS_REMEMBERED
      if (!Number.isInteger(streamNumber) || streamNumber <= oldest || session.streams.has(streamNumber))
        return null
      session.streams.add(streamNumber)
      session.newestStream = Math.max(session.newestStream, streamNumber)
      for (const each of session.streams)
        if (each <= session.newestStream - STREAMS_REMEMBERED) session.streams.delete(each)
      let frames = 0
      return {
        heard(bytes) {
          line.heardBytes += bytes
          // On a slow line a frame may take longer than the patience.
          if (line.heardBytes >= MOVED_BYTES) moved(line)
        },
        expect({ read: number, offset, contentBytes }) {
          frames += 1
          if (frames > streamLimits.frames) throw badFrame('it has more frames than any that an agent sends')
          if (line.session !== session) throw badFrame('its connection has ended')
          if (number === 0 || number > session.issued) throw badFrame('it answers nothing that was asked')
          const wanted = session.reads.get(number)?.wanted
          // Left out: it was here before, or is not wanted any more.
          if (wanted && (wanted.offset !== offset || wanted.bytes !== contentBytes))
            throw badFrame('it is another piece than the one that was asked for')
        },
        take({ read: number, content }) {
          const read = session.reads.get(number)
          if (!read || line.session !== session) return
          drop(line, read)
          moved(line)
          line.trouble = null
          read.resolve(content)
          sendReads(line)
        },
      }
    },
    spoiled(agentId, why) {
      const line = lines.get(agentId)
      if (line) line.trouble = why
    },
    stop() {
      stopped = true
      if (looking) clearInterval(looking)
      for (const line of lines.values()) failAll(line, stopping())
    },
  }
}

function sendAsk(line: Line, session: Session, ask: PendingAsk): void {
  const { id, kind, question } = ask
  if (session.protocol < ASKS_SINCE_PROTOCOL) {
    line.asks.delete(id)
    ask.reject(tooOld())
    return
  }
  session.say({ type: 'ask', id, kind, body: question })
}

/** As many as may be under way; the oldest first. */
function sendReads(line: Line): void {
  const { session } = line
  if (!session) return
  while (line.waiting.length > 0) {
    const [read] = line.waiting
    if (!read) return
    const { bytes } = read.wanted
    if (line.underWayBytes > 0 && line.underWayBytes + bytes > MOST_UNDER_WAY_BYTES) return
    if (session.reads.size >= MOST_UNDER_WAY_READS) return
    line.waiting.shift()
    if (!line.reads.has(read)) continue
    if (session.issued >= LAST_READ) {
      session.end()
      return
    }
    session.issued += 1
    read.number = session.issued
    session.reads.set(read.number, read)
    line.underWayBytes += bytes
    session.say({ type: 'read', id: read.number, wanted: read.wanted })
  }
}

/** It is not under way any more, and nobody waits for it here. */
function drop(line: Line, read: PendingRead): void {
  line.reads.delete(read)
  if (read.number === null) {
    line.waiting = line.waiting.filter((other) => other !== read)
    return
  }
  if (line.session?.reads.delete(read.number)) line.underWayBytes -= read.wanted.bytes
  read.number = null
}

function failReads(line: Line, why: Outage): void {
  for (const read of [...line.reads]) {
    drop(line, read)
    read.reject(why)
  }
}

function failAll(line: Line, why: Outage): void {
  failReads(line, why)
  for (const ask of [...line.asks.values()]) {
    line.asks.delete(ask.id)
    ask.reject(why)
  }
}

const ITS_SERVER =
  'See whether the server runs and reaches this one: `understudy-agent status` says there what it waits for.'

const away = (): Outage =>
  new Outage({ code: 'agent/away', message: 'The agent does not answer', remedy: ITS_SERVER })

const stalled = (): Outage =>
  new Outage({
    code: 'agent/stalled',
    message: `Nothing has come from the agent for ${PATIENCE_MILLISECONDS / 1000} s, although it is connected`,
    remedy: 'Check the line between the two, and the log of the agent.',
  })

const noAnswer = (kind: AskKind): Outage =>
  new Outage({
    code: 'agent/no-answer',
    message: `The agent has not answered "${kind}" in time`,
    remedy: 'It is tried again. If it stays, look at the log of the agent.',
  })

const lostTooOften = (): Outage =>
  new Outage({
    code: 'agent/streams-cut',
    message: `Data of the agent was cut off on its way ${MOST_TRIES} times`,
    remedy: 'It is tried again. If it stays, check the line between the two, and a proxy if there is one.',
  })

const stopping = (): Outage =>
  new Outage({
    code: 'agent/server-stops',
    message: 'This server process stops',
    remedy: 'It goes on when the server is up again.',
  })

const tooOld = (): Refusal =>
  new Refusal({
    code: 'agent/too-old',
    message: 'The agent is of a version that cannot replicate its server',
    remedy: 'Bring it to the version of this server.',
  })
