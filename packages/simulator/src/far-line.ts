// A line between two sites on one computer: a relay that lets bytes through as late, and as slowly, as a line of that length and width
// would; that is cut, goes down, and changes bits when it is told to. Both directions have the same width, which all connections share.
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'

export type LineConditions = {
  /** There and back, milliseconds. */
  readonly roundTrip: number
  /** Megabits per second, each way; null: as wide as this computer is fast. */
  readonly width: number | null
}

export type FarLine = {
  /** Where it is entered. */
  readonly host: string
  readonly port: number
  /** From now on. What is under way already keeps its time. */
  setConditions(conditions: LineConditions): void
  /** Ends every connection; new ones can be made. */
  cut(): void
  /** Ends the oldest connection that has carried something lately, if there is one. */
  cutOne(): void
  /** As if the cable were out: connections stay and nothing moves in them, new ones come to nothing. */
  setDown(isDown: boolean): void
  /** Changes a bit in so many of the next long pieces that go from who called. */
  spoil(times: number): void
  /** Pieces that are still to be spoiled. */
  leftToSpoil(): number
  /** From those who called to those who were called, since the start. */
  carriedBytes(): number
  /** The other way. */
  carriedBackBytes(): number
  /** Connections that were made through it, since the start. */
  connections(): number
  close(): Promise<void>
}

/** `to`: where it leads; without one it is an HTTP proxy that is told so (CONNECT). */
export type LineEnds = {
  readonly listenOn?: string
  readonly to?: { readonly host: string; readonly port: number }
}

/** Of one connection and direction: what a well-set TCP window lets be under way. */
const MOST_UNDER_WAY_BYTES = 4 * 1024 * 1024
const LONG_PIECE_BYTES = 8000
const SPOILED_BYTE = 5000

export async function openFarLine(ends: LineEnds, conditions: LineConditions): Promise<FarLine> {
  const state: State = {
    conditions,
    isDown: false,
    toSpoil: 0,
    carriedBytes: 0,
    carriedBackBytes: 0,
    connections: 0,
    there: { freeAt: 0 },
    back: { freeAt: 0 },
    open: new Set(),
    stalled: new Set(),
  }
  const server = ends.to ? fixed(state, ends.to) : proxy(state)
  server.listen(0, ends.listenOn ?? '127.0.0.1')
  await once(server, 'listening')
  const { address, port } = server.address() as AddressInfo
  const cut = (): void => {
    for (const each of state.open) each.end()
  }
  const setDown = (isDown: boolean): void => {
    state.isDown = isDown
    if (isDown) return
    const stalled = [...state.stalled]
    state.stalled.clear()
    for (const goOn of stalled) goOn()
  }
  return {
    host: address,
    port,
    setConditions(next) {
      state.conditions = next
    },
    cut,
    cutOne() {
      const [latest] = [...state.open].sort((a, b) => b.movedAt - a.movedAt)
      latest?.end()
    },
    setDown,
    spoil(times) {
      state.toSpoil = times
    },
    leftToSpoil: () => state.toSpoil,
    carriedBytes: () => state.carriedBytes,
    carriedBackBytes: () => state.carriedBackBytes,
    connections: () => state.connections,
    async close() {
      server.close()
      cut()
      setDown(false)
      await once(server, 'close')
    },
  }
}

type State = {
  conditions: LineConditions
  isDown: boolean
  toSpoil: number
  carriedBytes: number
  carriedBackBytes: number
  connections: number
  readonly there: Direction
  readonly back: Direction
  readonly open: Set<Connection>
  /** To be called when it is up again. */
  readonly stalled: Set<() => void>
}
/** `freeAt`: when the last bit that is on its way now has left, as `performance.now()` counts. */
type Direction = { freeAt: number }
type Connection = { movedAt: number; end(): void }

function fixed(state: State, to: { readonly host: string; readonly port: number }): Server {
  return createServer({ allowHalfOpen: true }, (client) => {
    join(state, client, connect({ ...to, allowHalfOpen: true }))
  })
}

function proxy(state: State): Server {
  const server = createHttpServer((_request, response) => response.writeHead(405).end())
  server.on('connect', (request, client, head) => {
    const [host = '', port = ''] = (request.url ?? '').split(':')
    const there = connect({ host, port: Number(port), allowHalfOpen: true })
    there.once('connect', () => client.write('HTTP/1.1 200 Connection established\r\n\r\n'))
    if (head.length > 0) client.unshift(head)
    join(state, client, there)
  })
  return server
}

function join(state: State, client: Duplex, there: Duplex): void {
  state.connections += 1
  const connection: Connection = {
    movedAt: performance.now(),
    end() {
      state.open.delete(connection)
      // Reset, so that neither takes it for the other one's end.
      for (const each of [client, there])
        if (each instanceof Socket) each.resetAndDestroy()
        else each.destroy()
    },
  }
  state.open.add(connection)
  for (const each of [client, there]) {
    each.on('error', () => connection.end())
    each.on('close', () => {
      if (client.destroyed && there.destroyed) state.open.delete(connection)
      else if (each.errored) connection.end()
    })
  }
  // The handshake goes there and back before anything else does.
  const begin = wait(state.conditions.roundTrip)
  void pump(state, connection, { from: client, to: there, direction: state.there, begin })
  void pump(state, connection, { from: there, to: client, direction: state.back, begin })
}

type Way = {
  readonly from: Duplex
  readonly to: Duplex
  readonly direction: Direction
  readonly begin: Promise<void>
}

/** Two halves: what comes is given its time of arrival, and what has arrived is handed over. */
async function pump(
  state: State,
  connection: Connection,
  { from, to, direction, begin }: Way,
): Promise<void> {
  const queue: { readonly piece: Buffer | null; readonly at: number }[] = []
  let underWay = 0
  let wake = (): void => {}
  const isForward = direction === state.there
  const enter = (piece: Buffer): void => {
    const { width, roundTrip } = state.conditions
    const now = performance.now()
    connection.movedAt = now
    if (isForward) {
      state.carriedBytes += piece.length
      spoil(state, piece)
    } else state.carriedBackBytes += piece.length
    const leaves =
      Math.max(now, direction.freeAt) + (width === null ? 0 : (piece.length * 8) / (width * 1000))
    direction.freeAt = leaves
    queue.push({ piece, at: leaves + roundTrip / 2 })
    underWay += piece.length
    if (underWay > MOST_UNDER_WAY_BYTES) from.pause()
    wake()
  }
  from.on('end', () => {
    queue.push({
      piece: null,
      at: Math.max(performance.now(), direction.freeAt) + state.conditions.roundTrip / 2,
    })
    wake()
  })
  to.on('close', () => wake())
  await begin
  from.on('data', enter)
  while (!to.destroyed) {
    const next = queue.shift()
    if (next === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve
        if (to.destroyed) resolve()
      })
      continue
    }
    const late = next.at - performance.now()
    if (late > 0) await wait(late)
    while (state.isDown && !to.destroyed)
      await new Promise<void>((resolve) => {
        state.stalled.add(resolve)
        to.once('close', resolve)
      })
    if (next.piece === null) {
      to.end()
      return
    }
    underWay -= next.piece.length
    if (from.isPaused() && underWay <= MOST_UNDER_WAY_BYTES / 2) from.resume()
    if (!to.write(next.piece))
      await new Promise<void>((resolve) => {
        to.once('drain', resolve)
        to.once('close', resolve)
      })
  }
}

/** Only what is long: a stream of data, and no message. */
function spoil(state: State, piece: Buffer): void {
  if (state.toSpoil === 0 || piece.length <= LONG_PIECE_BYTES) return
  state.toSpoil -= 1
  piece[SPOILED_BYTE] = (piece[SPOILED_BYTE] ?? 0) ^ 1
}
