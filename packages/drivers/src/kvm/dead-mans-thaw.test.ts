import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectToFreeze } from './dead-mans-thaw.ts'
import { connectGuestAgent, type GuestAgent } from './guest-agent.ts'
import { localHost } from './local-host.ts'

const host = localHost({ name: 'here', machinesFolder: tmpdir() })
let folder: string
let heard: string[]
let server: net.Server
let path: string

/** An agent that keeps to the protocol, in a socket that serves one client at a time, as QEMU does. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-thaw-'))
  path = join(folder, 'agent.sock')
  heard = []
  server = net.createServer((socket) => {
    let rest = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const request = JSON.parse(line) as { execute: string; arguments?: { id?: number } }
        heard.push(request.execute)
        socket.write(`${JSON.stringify({ return: request.arguments?.id ?? 1 })}\n`)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
})
afterEach(async () => {
  server.close()
  await rm(folder, { recursive: true, force: true })
})

const freeze = async (seconds?: number): Promise<GuestAgent> => {
  const agent = await connectGuestAgent(() => connectToFreeze(host, path, seconds), { name: 'alpha' })
  expect(await agent.call('guest-fsfreeze-freeze')).toBe(1)
  return agent
}
/** Nothing more comes from it then. */
const relayLeft = (): Promise<void> =>
  expect
    .poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count))), {
      timeout: 5000,
    })
    .toBe(0)
const thaws = (): number => heard.filter((command) => command === 'guest-fsfreeze-thaw').length

test('a guest whose freezer goes away is thawed at once', async () => {
  const agent = await freeze()
  agent.close()
  await expect.poll(thaws, { timeout: 5000 }).toBe(1)
})

test('a guest whose freezer hangs is thawed when the time is over, and the freezer learns of it', async () => {
  const agent = await freeze(2)
  expect(thaws()).toBe(0)
  await expect.poll(thaws, { timeout: 10_000 }).toBe(1)
  await expect
    .poll(() =>
      agent.call('guest-fsfreeze-thaw').then(
        () => 'answered',
        () => 'gone',
      ),
    )
    .toBe('gone')
  expect(thaws()).toBe(1)
})

test('a guest that was thawed in time is not thawed again', async () => {
  const agent = await freeze()
  expect(await agent.call('guest-fsfreeze-thaw')).toBe(1)
  agent.close()
  await relayLeft()
  expect(thaws()).toBe(1)
})

test('nobody who freezes nothing thaws anything', async () => {
  const agent = await connectGuestAgent(() => connectToFreeze(host, path), { name: 'alpha' })
  await agent.call('guest-ping')
  agent.close()
  await relayLeft()
  expect(thaws()).toBe(0)
})
