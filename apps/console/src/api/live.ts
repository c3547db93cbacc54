// Socket hints refetch what they name; measurements stream past React Query into a small store of their own.
import { notifyManager, type QueryClient } from '@tanstack/react-query'
import type { ClientToServer, Room, ServerToClient } from '@understudy/contract/socket'
import type { Measurement, Topic } from '@understudy/contract/socket-shapes'
import { useEffect, useSyncExternalStore } from 'react'
import { io, type Socket } from 'socket.io-client'

export type Connection = 'connecting' | 'live' | 'lost'

/** First path part of the query keys that a topic makes stale. */
const staleBy: Record<Topic, readonly string[]> = {
  sites: ['sites', 'overview', 'lab'],
  machines: ['machines', 'overview', 'sites'],
  policies: ['policies'],
  protections: ['protections', 'overview', 'machines'],
  runs: ['runs', 'protections'],
  jobs: ['jobs', 'overview', 'lab'],
  events: ['events'],
  alerts: ['alerts', 'overview'],
  access: ['users', 'tokens', 'session'],
}

let connection: Connection = 'connecting'
const measurements = new Map<string, Measurement>()
const listeners = new Set<() => void>()
let socket: Socket<ServerToClient, ClientToServer> | null = null
const rooms = new Map<Room, number>()

function tell(): void {
  for (const listener of listeners) listener()
}
function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
function setConnection(next: Connection): void {
  if (connection === next) return
  connection = next
  tell()
}

/** Opens the socket for a signed-in user; the returned function closes it. */
export function startLive(queries: QueryClient): () => void {
  const opened: Socket<ServerToClient, ClientToServer> = io({
    path: '/socket.io',
    transports: ['websocket', 'polling'],
  })
  socket = opened
  let first = true
  opened.on('connect', () => {
    setConnection('live')
    if (rooms.size > 0) opened.emit('watch', [...rooms.keys()], () => {})
    // Hints sent while the line was down are lost: whatever is on the screen may be old.
    if (!first) void queries.invalidateQueries()
    first = false
  })
  opened.on('disconnect', () => setConnection('lost'))
  opened.on('connect_error', () => setConnection('lost'))
  opened.on('changed', ({ topic }) => refetchSoon(queries, topic))
  opened.on('measured', (batch) => {
    for (const measurement of batch) measurements.set(measurement.protectionId, measurement)
    notifyManager.batch(tell)
  })
  return () => {
    opened.disconnect()
    if (socket === opened) socket = null
    measurements.clear()
    setConnection('connecting')
  }
}

const waiting = new Set<Topic>()
let timer: ReturnType<typeof setTimeout> | null = null

/** Many hints within a moment become one refetch. */
function refetchSoon(queries: QueryClient, topic: Topic): void {
  waiting.add(topic)
  if (timer !== null) return
  timer = setTimeout(() => {
    timer = null
    const stale = new Set([...waiting].flatMap((name) => staleBy[name]))
    waiting.clear()
    void queries.invalidateQueries({
      predicate: ({ queryKey }) => {
        const path = queryKey[0]
        return Array.isArray(path) && stale.has(String(path[0]))
      },
    })
  }, 300)
}

/** Joins rooms while the view is mounted. */
export function useRooms(wanted: readonly Room[]): void {
  const key = wanted.join(' ')
  useEffect(() => {
    const names = key.split(' ').filter((name): name is Room => name !== '')
    const fresh = names.filter((name) => !rooms.has(name))
    for (const name of names) rooms.set(name, (rooms.get(name) ?? 0) + 1)
    if (fresh.length > 0 && socket?.connected) socket.emit('watch', fresh, () => {})
    return () => {
      const left = names.filter((name) => {
        const count = (rooms.get(name) ?? 1) - 1
        if (count > 0) rooms.set(name, count)
        else rooms.delete(name)
        return count <= 0
      })
      if (left.length > 0 && socket?.connected) socket.emit('unwatch', left)
    }
  }, [key])
}

export const useConnection = (): Connection => useSyncExternalStore(subscribe, () => connection)

/** The newest measurement of one protection, or null. Needs the room `measurements` or `protection:<id>`. */
export const useMeasurement = (protectionId: string): Measurement | null =>
  useSyncExternalStore(subscribe, () => measurements.get(protectionId) ?? null)
