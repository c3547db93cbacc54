// Who knocks at the port of agents and says nothing, or too slowly.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectPlainly, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AgentCertificate, loadAgentCertificate } from './agent-certificate.ts'
import { type AgentListener, type Limits, listenForAgents } from './agent-listener.ts'

const limits: Limits = {
  requestMilliseconds: 400,
  waiting: 1000,
  waitingOfOne: 3,
  connections: 100,
  connectionsOfOne: 5,
}

let home: string
let certificate: AgentCertificate
let listener: AgentListener
let opened: Socket[]
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-listener-'))
  certificate = loadAgentCertificate(home)
  opened = []
})
afterEach(async () => {
  for (const each of opened) each.destroy()
  await listener.close()
  await rm(home, { recursive: true, force: true })
})

async function listen(change: Partial<Limits> = {}): Promise<void> {
  const handlers = {
    enrol: async () => ({}),
    control: () => {},
    // Takes its time, as a stream does.
    stream: () => new Promise<void>(() => {}),
    program: async () => false,
    writes: async () => {},
  }
  const where = { host: '127.0.0.1', port: 0 }
  listener = await listenForAgents(where, certificate, handlers, { ...limits, ...change })
}

function keep<Kind extends Socket>(socket: Kind): Kind {
  opened.push(socket)
  socket.on('error', () => {})
  socket.resume()
  return socket
}
const plain = (): Socket => keep(connectPlainly(listener.port, '127.0.0.1'))
const secured = (): Socket =>
  keep(
    connectTls({
      host: '127.0.0.1',
      port: listener.port,
      ca: [certificate.certificate],
      checkServerIdentity: () => undefined,
    }),
  )

test.each<[string, () => Socket, string]>([
  ['says nothing', plain, ''],
  ['begins TLS and stops', plain, '\x16\x03\x01'],
  ['says nothing in TLS', secured, ''],
  ['begins a request and stops', secured, 'POST /agents/v1/enrol HTTP/1.1\r\nhost: x\r\n'],
  [
    'never ends what is to be enrolled',
    secured,
    'POST /agents/v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{',
  ],
  ['begins a request without TLS and stops', plain, 'GET /agents/v1/certificate HTTP/1.1\r\n'],
])('who %s is shown out', async (_what, dial, text) => {
  await listen()
  const socket = dial()
  if (text !== '') socket.write(text)
  await once(socket, 'close')
})

test('who has said what they want may take their time', async () => {
  await listen()
  const socket = secured()
  socket.write('PUT /agents/v1/streams/x HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n')
  const end = once(socket, 'close').then(() => 'closed')
  const later = new Promise((resolve) => setTimeout(resolve, 3 * limits.requestMilliseconds, 'open'))
  expect(await Promise.race([end, later])).toBe('open')
})

test('of one address only so many wait, and the next one comes in when one has gone', async () => {
  await listen({ requestMilliseconds: 60_000 })
  const waiting = [plain(), plain(), plain()]
  await Promise.all(waiting.map((each) => once(each, 'connect')))
  await once(plain(), 'close')
  waiting[0]?.destroy()
  await expect
    .poll(async () => {
      const next = plain()
      const closed = once(next, 'close').then(() => 'closed')
      const stays = new Promise((resolve) => setTimeout(resolve, 200, 'stays'))
      const how = await Promise.race([closed, stays])
      next.destroy()
      return how
    })
    .toBe('stays')
})

test('nor are there more of one address in all, whatever they have said', async () => {
  await listen({ requestMilliseconds: 60_000, waitingOfOne: 100 })
  const many = Array.from({ length: limits.connectionsOfOne }, plain)
  await Promise.all(many.map((each) => once(each, 'connect')))
  await once(plain(), 'close')
})
