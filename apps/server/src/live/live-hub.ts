// Socket.IO behind the engine's Live port: signed-in sockets, rooms per view, hints and measurements.
import type { Server as HttpServer, IncomingHttpHeaders } from 'node:http'
import { createAdapter } from '@socket.io/postgres-adapter'
import type { ClientToServer, Room, ServerToClient } from '@understudy/contract/socket'
import { Topic } from '@understudy/contract/socket-shapes'
import { wallRooms } from '@understudy/contract/wall-rooms'
import type { Live, Measurement } from '@understudy/engine/ports/live'
import type { Logger } from 'pino'
import { type DefaultEventsMap, Server } from 'socket.io'
import type { CallerFinder } from '../access/caller.ts'

type Io = Server<ClientToServer, ServerToClient, DefaultEventsMap, SocketData>
/** Who has opened it: somebody, or a screen with a display link. */
type SocketData = { readonly isDisplay: boolean }
export type LivePool = Parameters<typeof createAdapter>[0]

export type LiveHub = Live & {
  /**
   * Takes sockets of this server. `pool`: PostgreSQL, over which several server processes share hints. `publicOrigin`: where
   * the console is served from when that is not the host that the browser names.
   */
  attach(http: HttpServer, callers: CallerFinder, pool: LivePool | null, publicOrigin: string | null): void
  close(): Promise<void>
}

const flushMilliseconds = 1000
/** Sessions end and roles change: how often a connected socket is asked again who it is. */
const recheckMilliseconds = 30_000
/** A screen in a room full of strangers: what its link showed goes dark soon after that was revoked. */
const recheckDisplayMilliseconds = 3000
const mostRoomsOfASocket = 200

export function createLiveHub(log: Logger): LiveHub {
  let io: Io | null = null
  let sequence = 0
  const hints = new Map<string, { topic: Topic; id: string | null }>()
  const measurements = new Map<string, Measurement>()
  const timers: ReturnType<typeof setInterval>[] = []

  function flushHints(): void {
    if (!io) return
    for (const { topic, id } of hints.values()) {
      sequence += 1
      const rooms = [`topic:${topic}`, ...(id === null ? [] : [`protection:${id}`, `job:${id}`])]
      io.to(rooms).emit('changed', { topic, id, sequence })
    }
    hints.clear()
  }

  function flushMeasurements(): void {
    if (!io || measurements.size === 0) return
    const batch = [...measurements.values()]
    measurements.clear()
    io.to('measurements').emit('measured', batch)
    for (const measurement of batch)
      io.to(`protection:${measurement.protectionId}`).except('measurements').emit('measured', [measurement])
  }

  return {
    changed(topic, id) {
      // Many changes of one thing within a moment are one hint.
      hints.set(`${topic} ${id ?? ''}`, { topic, id })
    },
    // Browsers count the lag up themselves between two measurements.
    lagSeen() {},
    measured(measurement) {
      measurements.set(measurement.protectionId, measurement)
    },
    attach(http, callers, pool, publicOrigin) {
      const opened: Io = new Server(http, {
        serveClient: false,
        maxHttpBufferSize: 64 * 1024,
        allowRequest: ({ headers }, decide) => decide(null, isOwnOrigin(headers, publicOrigin)),
      })
      if (pool)
        opened.adapter(
          createAdapter(pool, { errorHandler: (error) => log.warn({ error }, 'live hints between servers') }),
        )
      opened.use((socket, next) => {
        admit(callers, socket.handshake).then(
          (admitted) => {
            if (!admitted) return next(new Error('access/signed-out'))
            socket.data = admitted
            next()
          },
          () => next(new Error('store/unreachable')),
        )
      })
      opened.on('connection', (socket) => {
        socket.on('watch', (rooms, answer) => {
          const granted = Array.isArray(rooms)
            ? rooms
                .filter(isRoom)
                .filter((room) => !socket.data.isDisplay || isWallRoom(room))
                .slice(0, mostRoomsOfASocket - socket.rooms.size)
            : []
          for (const room of granted) void socket.join(room)
          if (typeof answer === 'function') answer(granted)
        })
        socket.on('unwatch', (rooms) => {
          if (Array.isArray(rooms)) for (const room of rooms.filter(isRoom)) void socket.leave(room)
        })
      })
      timers.push(
        setInterval(flushHints, 150),
        setInterval(flushMeasurements, flushMilliseconds),
        setInterval(() => void dropSignedOut(opened, callers, false), recheckMilliseconds),
        setInterval(() => void dropSignedOut(opened, callers, true), recheckDisplayMilliseconds),
      )
      io = opened
    },
    async close() {
      for (const timer of timers) clearInterval(timer)
      await io?.close()
      io = null
    },
  }
}

type Handshake = { readonly headers: IncomingHttpHeaders; readonly auth: Readonly<Record<string, unknown>> }

/** Null: nobody. A browser cannot send a header along, so the secret of a display link comes in the first message. */
async function admit(callers: CallerFinder, { headers, auth }: Handshake): Promise<SocketData | null> {
  if (typeof auth.display === 'string') {
    const display = await callers.findDisplay({ authorization: `Bearer ${auth.display}` })
    return display?.link ? { isDisplay: true } : null
  }
  return (await callers.look(headers)) === null ? null : { isDisplay: false }
}

async function dropSignedOut(io: Io, callers: CallerFinder, displays: boolean): Promise<void> {
  for (const socket of io.of('/').sockets.values()) {
    if (socket.data.isDisplay !== displays) continue
    // While the database is away nobody is shown out: the next look tells.
    const admitted = await admit(callers, socket.handshake).catch(() => socket.data)
    if (!admitted) socket.disconnect(true)
  }
}

/**
 * Browsers let any page open a web socket to us and send the cookie along where the page counts as the same site, such as
 * another port of this host. Programs send no origin. The scheme is not compared: behind a proxy we do not see it.
 */
function isOwnOrigin(headers: IncomingHttpHeaders, publicOrigin: string | null): boolean {
  const { origin, host } = headers
  return origin === undefined || origin === publicOrigin || URL.parse(origin)?.host === host
}

const isRoom = (room: unknown): room is Room =>
  typeof room === 'string' &&
  (room === 'measurements' ||
    /^(protection|job):[\w-]{1,120}$/.test(room) ||
    (room.startsWith('topic:') && Topic.safeParse(room.slice('topic:'.length)).success))

const isWallRoom = (room: Room): boolean => wallRooms.some((each) => each === room)
