// Streams against a server that is not one: it takes nothing, or answers nothing.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { readFrames } from '@understudy/agent-protocol/frames'
import type { FromAgent } from '@understudy/agent-protocol/messages'
import { streamLimits } from '@understudy/agent-protocol/stream-limits'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { afterEach, expect, test } from 'vitest'
import { createDataStreams, type DataStreams } from './data-streams.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const identity = {
  agentId: 'agent',
  server: 'https://127.0.0.1:1',
  proxy: null,
  certificate: '',
  fingerprint: `sha256:${'0'.repeat(64)}`,
  privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
} as unknown as Parameters<typeof createDataStreams>[0]['identity']
const wanted = (offset = 0, bytes = 1024 * 1024) => ({
  opening: 'o',
  round: 0,
  disk: 'disk0' as DiskKey,
  offset,
  bytes,
})

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function streamsTo(onLine: (line: Socket) => void, change: Partial<typeof streamLimits>) {
  const server = createServer(onLine).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const said: FromAgent[] = []
  const streams: DataStreams = createDataStreams({
    identity,
    session: 'session-session-session',
    read: async ({ bytes }) => randomBytes(bytes),
    say: (message) => said.push(message),
    limits: { ...streamLimits, ...change },
    openLine: async () => connect(port, '127.0.0.1').on('error', () => {}),
  })
  ends.push(() => {
    streams.stop()
    server.close()
  })
  return { streams, said }
}

test('a server that takes nothing is not waited for, and is told what went down', async () => {
  const lines: Socket[] = []
  const { streams, said } = await streamsTo((line) => lines.push(line.on('error', () => {}).pause()), {
    idleMilliseconds: 500,
  })
  // More than the system takes for whoever does not read.
  for (let id = 1; id <= 30; id += 1) streams.want({ id, wanted: wanted() })
  await expect.poll(() => said.flatMap((each) => (each.type === 'lost' ? each.reads : []))).toContain(1)
  streams.stop()
  for (const line of lines) line.destroy()
})

test('a server that never answers the end of a stream is not waited for', async () => {
  const { streams, said } = await streamsTo((line) => line.on('error', () => {}).resume(), {
    idleMilliseconds: 500,
    frames: 1,
  })
  streams.want({ id: 7, wanted: wanted(0, 4096) })
  await expect.poll(() => said.find(({ type }) => type === 'lost')).toMatchObject({ reads: [7] })
})

test('however small its frames are, there are no more in a stream than can be told when it goes down', async () => {
  const counts: number[] = []
  const taker = createHttpServer((request, response) => {
    let frames = 0
    void readFrames(request, {
      expect: () => {},
      take: () => {
        frames += 1
      },
    }).then(() => {
      counts.push(frames)
      response.end()
    })
  })
  const { streams } = await streamsTo((line) => void taker.emit('connection', line), { frames: 50 })
  for (let id = 1; id <= 200; id += 1) streams.want({ id, wanted: wanted(id * 4096, 512) })
  await expect.poll(() => counts.reduce((sum, count) => sum + count, 0)).toBe(200)
  expect(Math.max(...counts)).toBe(50)
  expect(streamLimits.frames).toBeLessThan(20_000)
})
