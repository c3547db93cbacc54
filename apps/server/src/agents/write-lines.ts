// What is to be written to the disks of receivers. A receiver is called to fetch it, and says what its disks have taken; what was not said to be is sent
// again, after a cut or on the next connection, under the number that it has. Bounded: so much is on its way and not taken yet, and nothing else is sent.

import { type FailureText, fromFailureText } from '@understudy/agent-protocol/asks'
import { encodeFrame, MOST_READ_BYTES } from '@understudy/agent-protocol/frames'
import type { FromServer } from '@understudy/agent-protocol/messages'
import type { Piece } from '@understudy/agent-protocol/receiver-line'
import { streamLimits } from '@understudy/agent-protocol/stream-limits'
import { Outage } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { AgentId } from '@understudy/domain/agents/agent'

/** How long a line may be away before what is to be written fails, and how long nothing may be taken. */
const PATIENCE_MILLISECONDS = 120_000
const LOOK_MILLISECONDS = 1000
/** Sent and not said to be written yet, to one receiver: what is on a long line, and in its disks' queues. */
const MOST_UNDER_WAY_BYTES = 16 * 1024 * 1024
/** Zeros weigh next to nothing, and are something all the same. */
const LEAST_WEIGHT_BYTES = 4096
const MOST_STREAMS = 3
/** How often a piece may go down with a stream of a connection that stays. */
const MOST_TRIES = 5
/** A stream in which nothing has gone for so long is ended. */
const IDLE_MILLISECONDS = 2000
const LAST_NUMBER = 2 ** 32 - 2 ** 20

type PendingWrite = {
  readonly piece: Piece
  readonly number: number
  readonly weight: number
  /** The stream that it went out with; null: it waits. */
  stream: Stream | null
  tries: number
  resolve(): void
  reject(error: unknown): void
}

type Stream = {
  readonly number: number
  readonly assignment: string
  readonly disk: string
  readonly session: Session
  taken: boolean
  ended: boolean
}

type Session = {
  readonly id: string
  say(message: FromServer): void
  readonly streams: Map<number, Stream>
}

type Line = {
  session: Session | null
  awaySince: number | null
  movedAt: number
  numbers: number
  streamNumbers: number
  readonly writes: Map<number, PendingWrite>
  underWayBytes: number
  wake: Set<() => void>
}

export type WriteSession = {
  written(writes: readonly number[]): void
  failed(write: number, failure: FailureText): void
  /** The receiver is done with a stream. */
  fetched(stream: number, failure: FailureText | null): void
  closed(): void
}

/** Frames, one after the other, for as long as there is something to be written. */
export type WriteStream = {
  next(signal: AbortSignal): Promise<readonly Buffer[] | null>
  end(): void
}

export type WriteLines = {
  /** See ReceiverLine.write. */
  write(agentId: AgentId, piece: Piece, signal?: AbortSignal): Promise<void>
  opened(agentId: AgentId, session: Pick<Session, 'id' | 'say'>): WriteSession
  /** Null: there is no such session, or the receiver was not called for that stream, or has fetched it. */
  streamOf(agentId: AgentId, sessionId: string, number: number): WriteStream | null
  stop(): void
}

export function createWriteLines(now: () => number = () => performance.now()): WriteLines {
  const lines = new Map<AgentId, Line>()
  let stopped = false
  let looking: ReturnType<typeof setInterval> | null = null

  const lineOf = (agentId: AgentId): Line => {
    const known = lines.get(agentId)
    if (known) return known
    const made: Line = {
      session: null,
      awaySince: now(),
      movedAt: now(),
      numbers: 0,
      streamNumbers: 0,
      writes: new Map(),
      underWayBytes: 0,
      wake: new Set(),
    }
    lines.set(agentId, made)
    return made
  }

  const drop = (line: Line, write: PendingWrite): void => {
    line.writes.delete(write.number)
    if (write.stream) line.underWayBytes -= write.weight
    write.stream = null
  }
  const fail = (line: Line, writes: Iterable<PendingWrite>, why: unknown): void => {
    for (const write of [...writes]) {
      drop(line, write)
      write.reject(why)
    }
  }
  const sendAgain = (line: Line, write: PendingWrite): void => {
    if (write.stream) line.underWayBytes -= write.weight
    write.stream = null
  }
  /** Whoever may take something looks again; for what nobody takes the receiver is called. */
  const stir = (line: Line): void => {
    for (const each of [...line.wake]) each()
    const { session } = line
    if (!session) return
    for (const write of line.writes.values()) {
      if (write.stream) continue
      const { assignment, disk } = write.piece
      const open = [...session.streams.values()]
      const mine = open.filter((stream) => stream.assignment === assignment && stream.disk === disk)
      if (open.length >= MOST_STREAMS || mine.some(({ taken }) => !taken)) return
      if (mine.length > 0 && !isBehind(line)) return
      line.streamNumbers += 1
      const number = line.streamNumbers
      session.streams.set(number, { number, assignment, disk, session, taken: false, ended: false })
      session.say({ type: 'fetch', stream: number, assignment, disk })
    }
  }

  const look = (): void => {
    const at = now()
    let busy = false
    for (const line of lines.values()) {
      if (line.awaySince !== null && at - line.awaySince >= PATIENCE_MILLISECONDS)
        fail(line, line.writes.values(), away())
      if (line.writes.size > 0 && at - line.movedAt >= PATIENCE_MILLISECONDS)
        fail(line, line.writes.values(), stalled())
      busy ||= line.writes.size > 0
    }
    if (busy || looking === null) return
    clearInterval(looking)
    looking = null
  }

  return {
    write(agentId, piece, signal) {
      const { length } = piece.content
      invariant(length > 0 && length <= MOST_READ_BYTES, 'a piece fits into a frame')
      return new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        if (stopped) throw stopping()
        const line = lineOf(agentId)
        if (line.writes.size === 0) {
          line.movedAt = now()
          if (line.awaySince !== null) line.awaySince = now()
        }
        looking ??= setInterval(look, LOOK_MILLISECONDS)
        line.numbers = line.numbers >= LAST_NUMBER ? 1 : line.numbers + 1
        const abort = (): void => {
          if (!line.writes.has(write.number)) return
          drop(line, write)
          write.reject(signal?.reason)
        }
        const settled = (): void => signal?.removeEventListener('abort', abort)
        const write: PendingWrite = {
          piece,
          number: line.numbers,
          weight: Math.max(LEAST_WEIGHT_BYTES, length),
          stream: null,
          tries: 1,
          resolve() {
            settled()
            resolve()
          },
          reject(error) {
            settled()
            reject(error)
          },
        }
        signal?.addEventListener('abort', abort, { once: true })
        line.writes.set(write.number, write)
        stir(line)
      })
    },
    opened(agentId, { id, say }) {
      const line = lineOf(agentId)
      const session: Session = { id, say, streams: new Map() }
      line.session = session
      line.awaySince = null
      line.movedAt = now()
      // Whatever the connection before was about to bring goes again.
      for (const write of line.writes.values()) sendAgain(line, write)
      stir(line)
      return {
        written(numbers) {
          if (line.session !== session) return
          for (const number of numbers) {
            const write = line.writes.get(number)
            // Not sent on this connection: nobody can have written it.
            if (!write || write.stream?.session !== session) continue
            drop(line, write)
            line.movedAt = now()
            write.resolve()
          }
          stir(line)
        },
        failed(number, failure) {
          const write = line.writes.get(number)
          if (line.session !== session || write?.stream?.session !== session) return
          fail(line, [write], fromFailureText(failure))
          stir(line)
        },
        fetched(number, failure) {
          const stream = session.streams.get(number)
          if (line.session !== session || !stream) return
          session.streams.delete(number)
          stream.ended = true
          const its = [...line.writes.values()]
          // A word for good is one about all that is for this disk; else what went down with it goes again.
          if (failure?.kind === 'refusal')
            fail(
              line,
              its.filter(({ piece }) => piece.assignment === stream.assignment && piece.disk === stream.disk),
              fromFailureText(failure),
            )
          else
            for (const write of its) {
              if (write.stream !== stream) continue
              sendAgain(line, write)
              write.tries += 1
              if (write.tries > MOST_TRIES)
                fail(line, [write], failure ? fromFailureText(failure) : lostTooOften())
            }
          stir(line)
        },
        closed() {
          if (line.session !== session) return
          line.session = null
          line.awaySince = now()
          for (const stream of session.streams.values()) stream.ended = true
          for (const each of [...line.wake]) each()
        },
      }
    },
    streamOf(agentId, sessionId, number) {
      const line = lines.get(agentId)
      const session = line?.session
      const stream = session?.id === sessionId ? session.streams.get(number) : undefined
      if (!line || !stream || stream.taken) return null
      stream.taken = true
      const startedAt = now()
      let sent = 0
      const isOver = (): boolean =>
        stream.ended ||
        line.session !== stream.session ||
        sent >= streamLimits.bytes * 4 ||
        now() - startedAt >= streamLimits.milliseconds
      const take = (): PendingWrite | null => {
        for (const write of line.writes.values()) {
          if (
            write.stream ||
            write.piece.assignment !== stream.assignment ||
            write.piece.disk !== stream.disk
          )
            continue
          if (line.underWayBytes > 0 && line.underWayBytes + write.weight > MOST_UNDER_WAY_BYTES) return null
          return write
        }
        return null
      }
      return {
        async next(signal) {
          const idleSince = now()
          for (;;) {
            if (signal.aborted || isOver()) return null
            const write = take()
            if (write) {
              write.stream = stream
              line.underWayBytes += write.weight
              const { offset, content } = write.piece
              sent += content.length
              return encodeFrame({ read: write.number, offset, content })
            }
            if (now() - idleSince >= IDLE_MILLISECONDS) return null
            await untilStirred(line, signal)
          }
        },
        end() {
          stream.ended = true
        },
      }
    },
    stop() {
      stopped = true
      if (looking) clearInterval(looking)
      for (const line of lines.values()) fail(line, line.writes.values(), stopping())
    },
  }
}

/** One stream does not keep up: what waits would fill another one. */
const isBehind = (line: Line): boolean => {
  let waiting = 0
  for (const write of line.writes.values()) if (!write.stream) waiting += write.weight
  return waiting >= MOST_READ_BYTES && line.underWayBytes < MOST_UNDER_WAY_BYTES / 2
}

function untilStirred(line: Line, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      clearTimeout(late)
      line.wake.delete(go)
      signal.removeEventListener('abort', go)
      resolve()
    }
    const late = setTimeout(go, IDLE_MILLISECONDS)
    line.wake.add(go)
    signal.addEventListener('abort', go, { once: true })
  })
}

const away = (): Outage =>
  new Outage({
    code: 'agent/away',
    message: 'The receiver does not answer',
    remedy: 'See whether its rescue system runs and reaches this server.',
  })

const stalled = (): Outage =>
  new Outage({
    code: 'agent/stalled',
    message: `The receiver has taken nothing for ${PATIENCE_MILLISECONDS / 1000} s, although it is connected`,
    remedy: 'Check the line between the two, and the disks of the receiver.',
  })

const lostTooOften = (): Outage =>
  new Outage({
    code: 'agent/streams-cut',
    message: `What is to be written was cut off on its way ${MOST_TRIES} times`,
    remedy: 'It is tried again. If it stays, check the line between the two, and a proxy if there is one.',
  })

const stopping = (): Outage =>
  new Outage({
    code: 'agent/server-stops',
    message: 'This server process stops',
    remedy: 'It goes on when the server is up again.',
  })
