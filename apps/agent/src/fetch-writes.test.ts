// Streams from a server that is not one: it sends what it should not.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { encodeFrame } from '@understudy/agent-protocol/frames'
import type { FromAgent } from '@understudy/agent-protocol/messages'
import { Outage, Refusal } from '@understudy/base/errors'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { afterEach, expect, test, vi } from 'vitest'
import { createWriteFetcher, type WriteFetcherParts } from './fetch-writes.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const identity = {
  agentId: 'agent',
  server: 'https://127.0.0.1:1',
  fingerprint: `sha256:${'0'.repeat(64)}`,
  privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
} as unknown as WriteFetcherParts['identity']
const fetched = { type: 'fetch' as const, stream: 7, assignment: 'a', disk: 'boot' as DiskKey }
const frame = (read: number): Buffer =>
  Buffer.concat(encodeFrame({ read, offset: read * 4096, content: randomBytes(4096) }))

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function fetcherFrom(
  answer: (response: ServerResponse) => void,
  desk: WriteFetcherParts['desk'] = { expect: async () => {}, write: async () => {} },
) {
  const server = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const said: FromAgent[] = []
  const fetcher = createWriteFetcher({
    identity,
    session: 'session-session-session',
    desk,
    say: (message) => said.push(message),
    openLine: async () => connect(port, '127.0.0.1').on('error', () => {}),
  })
  ends.push(() => {
    fetcher.stop()
    server.close()
  })
  const over = () =>
    vi.waitFor(() => said.find(({ type }) => type === 'fetched') ?? Promise.reject(new Error('not over')), {
      timeout: 20_000,
    })
  const written = () => said.flatMap((each) => (each.type === 'written' ? each.writes : []))
  return { fetcher, said, over, written }
}

test('what was changed on its way never reaches the disk, and what came before it counts', async () => {
  const disk: number[] = []
  const write = async ({ offset }: { readonly offset: number }) => void disk.push(offset)
  const { fetcher, over, written } = await fetcherFrom(
    (response) => {
      const spoiled = frame(2)
      spoiled[100] = (spoiled[100] ?? 0) ^ 1
      response.end(Buffer.concat([frame(1), spoiled, frame(3)]))
    },
    { expect: async () => {}, write },
  )
  fetcher.fetch(fetched)
  expect(await over()).toMatchObject({ stream: 7, failure: { kind: 'outage', code: 'agent/bad-frame' } })
  expect(disk).toEqual([4096])
  expect(written()).toEqual([1])
})

test.each([
  [
    'ends in the middle of a frame',
    (response: ServerResponse) => void response.end(frame(1).subarray(0, 900)),
  ],
  [
    'is cut',
    (response: ServerResponse) => void response.write(frame(1).subarray(0, 900), () => response.destroy()),
  ],
  ['is refused', (response: ServerResponse) => void response.writeHead(403).end()],
])('a stream that %s is told, and nothing of it is written', async (_what, answer) => {
  const { fetcher, over, written } = await fetcherFrom(answer)
  fetcher.fetch(fetched)
  expect(await over()).toMatchObject({ failure: { kind: 'outage' } })
  expect(written()).toEqual([])
})

test('the next piece is not taken before the disk has taken the one before, and a disk that fails says which', async () => {
  let under = 0
  let most = 0
  const write = async ({ offset }: { readonly offset: number }) => {
    under += 1
    most = Math.max(most, under)
    await new Promise((resolve) => setTimeout(resolve, 5))
    under -= 1
    if (offset === 2 * 4096) throw new Outage({ code: 'block/file-failed', message: 'm', remedy: 'r' })
  }
  const { fetcher, over, written, said } = await fetcherFrom(
    (response) => void response.end(Buffer.concat([frame(1), frame(2), frame(3)])),
    { expect: async () => {}, write },
  )
  fetcher.fetch(fetched)
  expect(await over()).toMatchObject({ failure: null })
  expect(most).toBe(1)
  expect(written()).toEqual([1, 3])
  expect(said).toContainEqual(expect.objectContaining({ type: 'write-failed', write: 2 }))
})

test('an assignment that is over, and an agent that is no receiver, fetch nothing', async () => {
  const asked = vi.fn((response: ServerResponse) => void response.end())
  const over = new Refusal({ code: 'receiver/assigned-anew', message: 'm', remedy: 'r' })
  const stale = await fetcherFrom(asked, { expect: () => Promise.reject(over), write: async () => {} })
  stale.fetcher.fetch(fetched)
  expect(await stale.over()).toMatchObject({ failure: { kind: 'refusal', code: 'receiver/assigned-anew' } })
  const server = await fetcherFrom(asked, null)
  server.fetcher.fetch(fetched)
  expect(await server.over()).toMatchObject({ failure: { kind: 'refusal', code: 'agent/role-missing' } })
  expect(asked).not.toHaveBeenCalled()
})
