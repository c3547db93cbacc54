import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { type FarLine, openFarLine } from './far-line.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

/** Answers every byte with itself. */
async function openEcho(): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () => {
      for (const each of sockets) each.destroy()
      server.close()
    },
  })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

async function openLine(roundTrip: number, width: number | null): Promise<FarLine> {
  const line = await openFarLine({ to: await openEcho() }, { roundTrip, width })
  open.push(line)
  return line
}

async function call({ host, port }: FarLine): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  open.push({ close: () => socket.destroy() })
  return socket
}

async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part)
  return Buffer.concat(parts)
}

/** However it ends. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => void socket.once('close', resolve))

const pattern = Buffer.from(Array.from({ length: 251 }, (_, at) => (at * 7) % 251))
const content = (bytes: number): Buffer => Buffer.alloc(bytes, pattern)

test('everything arrives as it was sent, also the end', async () => {
  const line = await openLine(4, null)
  const socket = await call(line)
  const sent = content(9_000_000)
  const read = readAll(socket)
  socket.end(sent)
  expect((await read).equals(sent)).toBe(true)
  expect(line.carriedBytes()).toBe(sent.length)
  expect(line.connections()).toBe(1)
})

test('an answer takes the way there and back, after the handshake that takes it too', async () => {
  const line = await openLine(60, null)
  const startedAt = performance.now()
  const socket = await call(line)
  socket.write('a')
  await once(socket, 'data')
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(115)
  const again = performance.now()
  socket.write('b')
  await once(socket, 'data')
  expect(performance.now() - again).toBeGreaterThanOrEqual(55)
})

test('all connections share its width', async () => {
  // 1,000,000 bytes at 16 Mbit/s are half a second.
  const line = await openLine(0, 16)
  const startedAt = performance.now()
  await Promise.all(
    [1, 2].map(async () => {
      const socket = await call(line)
      const read = readAll(socket)
      socket.end(content(500_000))
      expect((await read).length).toBe(500_000)
    }),
  )
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(490)
})

test('whoever sends more than is taken is held up', async () => {
  const line = await openLine(0, 1)
  const socket = await call(line)
  socket.write(content(40_000_000))
  await wait(300)
  // What the line holds, and what lies in sockets.
  expect(line.carriedBytes()).toBeLessThan(6_000_000)
})

test('a cut ends what is open, and the next call works', async () => {
  const line = await openLine(2, null)
  const first = await call(line)
  first.write('a')
  await once(first, 'data')
  line.cut()
  await closed(first)
  const second = await call(line)
  second.write('b')
  expect(String(await once(second, 'data'))).toBe('b')
})

test('one that is cut is the one that carried something last', async () => {
  const line = await openLine(2, null)
  const [quiet, busy] = [await call(line), await call(line)]
  for (const socket of [quiet, busy]) {
    socket.write('a')
    await once(socket, 'data')
  }
  await wait(20)
  busy.write('b')
  await once(busy, 'data')
  line.cutOne()
  await closed(busy)
  quiet.write('c')
  expect(String(await once(quiet, 'data'))).toBe('c')
})

test('while it is down nothing moves, and nothing is lost', async () => {
  const line = await openLine(2, null)
  const socket = await call(line)
  socket.write('a')
  await once(socket, 'data')
  line.setDown(true)
  let came = false
  socket.once('data', () => {
    came = true
  })
  socket.write('b')
  await wait(100)
  expect(came).toBe(false)
  line.setDown(false)
  await expect.poll(() => came, { timeout: 10_000 }).toBe(true)
})

test('a bit is changed in as many long pieces as were asked for', async () => {
  const line = await openLine(2, null)
  line.spoil(1)
  const socket = await call(line)
  const sent = content(200_000)
  const read = readAll(socket)
  socket.end(sent)
  const came = await read
  expect(came.length).toBe(sent.length)
  expect(came.filter((byte, at) => byte !== sent[at])).toHaveLength(1)
  expect(line.leftToSpoil()).toBe(0)
})
