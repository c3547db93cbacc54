import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
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
  hub.attach(http, { find: async () => null, look: async () => null }, null, publicOrigin)
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
