// Socket hints refetch what they name; measurements stream past React Query into a small store of their own.
import { notifyManager, type QueryClient } from '@tanstack/react-query'
import type { ClientToServer, Room, ServerToClient } from '@understudy/contract/socket'
import type { Measurement, Topic } from '@understudy/contract/socket-shapes'
import { useEffect, useSyncExternalStore } from 'react'
import { io, type Socket } from 'socket.io-client'
import { displaySecret } from './display-link.ts'
import { createLagTrails, type LagSample } from './lag-trails.ts'

export type Connection = 'connecting' | 'live' | 'lost'

/** First path part of the query keys that a topic makes stale; the first of each is the topic's own. */
const staleBy: Record<Topic, readonly string[]> = {
  sites: ['sites', 'bandwidth', 'overview', 'lab', 'wall'],
  machines: ['machines', 'overview', 'sites'],
  policies: ['policies'],
  groups: ['groups'],
  protections: ['protections', 'overview', 'machines', 'groups', 'wall'],
  runs: ['runs', 'protections'],
  jobs: ['jobs', 'overview', 'lab', 'wall'],
  events: ['events'],
  // Two machines of one are told by an alert, and shown at its plan and its run.
  alerts: ['alerts', 'overview', 'wall', 'plans', 'planRuns'],
  plans: ['plans', 'overview', 'wall'],
  'plan-runs': ['planRuns', 'plans', 'siteFailovers', 'overview', 'wall'],
  agents: ['agents'],
  access: ['users', 'tokens', 'displayLinks', 'session'],
}

const comeBackMilliseconds = 3000
const handshakeMilliseconds = 2000

let connection: Connection = 'connecting'
const measurements = new Map<string, Measurement>()
const trails = createLagTrails()
const listeners = new Set<() => void>()
let socket: Socket<ServerToClient, ClientToServer> | null = null
let again: ReturnType<typeof setTimeout> | undefined
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

/** Opens the socket for a signed-in user or a display link; the returned function closes it. */
export function startLive(queries: QueryClient): () => void {
  const display = displaySecret()
  const opened: Socket<ServerToClient, ClientToServer> = io({
    path: '/socket.io',
    transports: ['websocket', 'polling'],
    auth: display === null ? {} : { display },
  })
  socket = opened
  let first = true
  const comeBack = (): void => {
    clearTimeout(again)
    again = setTimeout(() => {
      // When the session has ended, what is on the screen is refused as well, and the console asks to sign in.
      void queries.refetchQueries({ type: 'active', predicate: ({ queryKey }) => !isSession(queryKey) })
      opened.connect()
    }, comeBackMilliseconds)
  }
  opened.on('connect', () => {
    setConnection('live')
    if (rooms.size > 0) opened.emit('watch', [...rooms.keys()], () => {})
    // Hints sent while the line was down are lost: whatever is on the screen may be old.
    if (!first) void queries.invalidateQueries()
    first = false
  })
  opened.on('disconnect', (reason) => {
    setConnection('lost')
    // The library comes back by itself from a broken line, but not when the server has shown it out.
    if (reason !== 'io server disconnect') return
    // A link that was revoked: what it showed goes dark at once, and not when it is asked for the next time.
    if (display !== null) void queries.invalidateQueries()
    comeBack()
  })
  opened.on('connect_error', () => {
    setConnection('lost')
    // Nor when the server answered and refused, for instance because its database was starting.
    if (!opened.active) comeBack()
  })
  opened.on('changed', ({ topic, id }) => refetchSoon(queries, topic, id))
  opened.on('measured', (batch) => {
    for (const measurement of batch) {
      measurements.set(measurement.protectionId, measurement)
      trails.add(measurement)
    }
    notifyManager.batch(tell)
  })
  return () => {
    clearTimeout(again)
    opened.disconnect()
    if (socket === opened) socket = null
    measurements.clear()
    trails.clear()
    setConnection('connecting')
  }
}

/**
 * For whoever is about to sign out, and for a display link that has ended: nothing more is asked or heard. What came after would be
 * refused, and the browser would report that as an error.
 */
export async function endLive(queries: QueryClient): Promise<void> {
  // A handshake that is broken off is reported as well.
  if (connection === 'connecting') await firstAnswer()
  clearTimeout(again)
  socket?.off()
  socket?.disconnect()
  if (timer !== null) clearTimeout(timer)
  await queries.cancelQueries()
}

/** Until the line is up or lost, at most for a moment. */
function firstAnswer(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const stop = subscribe(resolve)
  const late = setTimeout(resolve, handshakeMilliseconds)
  return promise.finally(() => {
    stop()
    clearTimeout(late)
  })
}

/** Of each topic the ids that changed; null: all of it. */
const waiting = new Map<Topic, Set<string> | null>()
let timer: ReturnType<typeof setTimeout> | null = null
let pauseMilliseconds = 300

/**
 * Many hints within a moment become one refetch. When the answers are slow (thousands of machines), the next refetch waits
 * nine times as long as the last one took: keeping the screen fresh never costs more than a tenth of the time.
 */
function refetchSoon(queries: QueryClient, topic: Topic, id: string | null): void {
  const ids = waiting.get(topic)
  if (id === null || ids === null) waiting.set(topic, null)
  else waiting.set(topic, (ids ?? new Set()).add(id))
  if (timer !== null) return
  timer = setTimeout(() => {
    const changed = new Map(waiting)
    waiting.clear()
    const begun = performance.now()
    void refetch(queries, changed).finally(() => {
      pauseMilliseconds = Math.min(15_000, Math.max(300, (performance.now() - begun) * 9))
      timer = null
      for (const [next, nextIds] of waiting) {
        refetchSoon(queries, next, nextIds === null ? null : (nextIds.values().next().value ?? null))
        break
      }
    })
  }, pauseMilliseconds)
}

async function refetch(queries: QueryClient, changed: ReadonlyMap<Topic, Set<string> | null>): Promise<void> {
  const topics = [...changed.keys()]
  await queries.invalidateQueries({
    predicate: ({ queryKey }) => topics.some((topic) => isStale(queryKey, topic, changed.get(topic) ?? null)),
  })
}

const isSession = ([path]: readonly unknown[]): boolean => Array.isArray(path) && path[0] === 'session'

/** A query of one thing (`input.id`) is touched only by hints about that thing; a list by every hint of its topic. */
function isStale(key: readonly unknown[], topic: Topic, ids: ReadonlySet<string> | null): boolean {
  const [path, options] = key
  if (!Array.isArray(path) || !staleBy[topic].includes(String(path[0]))) return false
  if (ids === null || path[0] !== staleBy[topic][0]) return true
  const id = (options as { input?: { id?: unknown } } | undefined)?.input?.id
  return typeof id !== 'string' || ids.has(id)
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

/** What this page has heard of one protection's lag since it was opened: at most the last 90 measurements. */
export const useRecentLag = (protectionId: string): readonly LagSample[] =>
  useSyncExternalStore(subscribe, () => trails.get(protectionId))
