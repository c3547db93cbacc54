import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { DisplayLink } from '@understudy/engine/ports/access-stores'
import { pino } from 'pino'
import { io } from 'socket.io-client'
import { afterEach, expect, test } from 'vitest'
import { closeServer } from '../serve.ts'
import { createLiveHub, type LiveHub } from './live-hub.ts'

const opened: { http: Server; hub: LiveHub }[] = []

afterEach(async () => {
  for (const { http, hub } of opened.splice(0)) {
    await hub.close()
    http.closeAllConnections()
    http.close()
  }
})

async function openHub(publicOrigin: string | null): Promise<string> {
  const http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const hub = createLiveHub(pino({ level: 'silent' }))
  hub.attach(
    http,
    { find: async () => null, look: async () => null, findDisplay: async () => null },
    null,
    publicOrigin,
  )
  opened.push({ http, hub })
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}

async function knock(base: string, origin: string | null): Promise<number> {
  const headers: Record<string, string> = origin === null ? {} : { origin }
  const answer = await fetch(`${base}/socket.io/?EIO=4&transport=polling`, { headers })
  await answer.text()
  return answer.status
}

test('a page of another origin gets no socket, not even one of another port of this host', async () => {
  const base = await openHub('https://recovery.example')
  expect(await knock(base, 'https://evil.example')).toBe(403)
  expect(await knock(base, 'http://127.0.0.1:1')).toBe(403)
  expect(await knock(base, 'null')).toBe(403)
})

test('the console, the public address and programs get one', async () => {
  const base = await openHub('https://recovery.example')
  expect(await knock(base, base)).toBe(200)
  expect(await knock(base, 'https://recovery.example')).toBe(200)
  expect(await knock(base, null)).toBe(200)
})

test('a server closes although a browser has a socket open', { timeout: 20_000 }, async () => {
  const base = await openHub(null)
  const [last] = opened.slice(-1)
  if (!last) throw new Error('a hub is open')
  const socket = new WebSocket(`${base.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`)
  await new Promise((resolve) => socket.addEventListener('message', resolve, { once: true }))
  const ended = new Promise((resolve) => socket.addEventListener('close', resolve, { once: true }))
  await closeServer(last.http, last.hub)
  await ended
  expect(last.http.listening).toBe(false)
})

test('a display link may watch what the wall shows and nothing else, and is shown out soon after it was revoked', {
  timeout: 20_000,
}, async () => {
  const http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const hub = createLiveHub(pino({ level: 'silent' }))
  let revoked = false
  const callers = {
    find: async () => null,
    look: async () => null,
    findDisplay: async ({ authorization }: { readonly authorization?: string | undefined }) =>
      authorization !== 'Bearer ud_secret'
        ? null
        : revoked
          ? { link: null, end: 'revoked' as const }
          : { link: {} as DisplayLink },
  }
  hub.attach(http, callers, null, null)
  opened.push({ http, hub })
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const stranger = io(url, { auth: { display: 'ud_other' }, reconnection: false })
  await new Promise((resolve) => stranger.once('connect_error', resolve))
  const socket = io(url, { auth: { display: 'ud_secret' }, reconnection: false })
  await new Promise((resolve) => socket.once('connect', () => resolve(null)))
  const wanted = ['topic:plan-runs', 'topic:access', 'job:1', 'measurements', 'topic:events']
  expect(await socket.emitWithAck('watch', wanted)).toEqual(['topic:plan-runs', 'measurements'])
  revoked = true
  const reason = await new Promise((resolve) => socket.once('disconnect', resolve))
  expect(reason).toBe('io server disconnect')
})
