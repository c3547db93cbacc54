// npm run bench:wan [-- --quick | --rounds=N]. The first copy of a server through its agent, over a line of 50 ms and 200 Mbit/s: how much
// of the line it uses beside a plain upload of the same bytes, turn by turn, and what it costs when connections are cut.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { type FarLine, openFarLine } from '@understudy/simulator/far-line'
import { type Api, listAll } from './api-client.ts'
import { median, newBars, numberOption } from './bars.ts'
import { type BenchAgent, withAgent } from './bench-agent.ts'
import { withProduct } from './bench-product.ts'
import { withCleanUp } from './clean-up.ts'
import { cpuSeconds } from './process-figures.ts'

const isQuick = process.argv.includes('--quick')
const rounds = numberOption('rounds', isQuick ? 1 : 3)
const conditions = { roundTrip: 50, width: 200 }
const lineBytesPerSecond = (conditions.width * 1e6) / 8
const usedBytes = (isQuick ? 192 : 768) * MiB
const disk = { diskBytes: usedBytes, usedBytes, churnBytesPerSecond: 0 }
/** Of a handful of connections: hundred times as many as one of hundred in a minute. */
const cutEverySeconds = 10
const copyLimitSeconds = 600

type Identified = { readonly id: string }
type Copy = {
  readonly seconds: number
  readonly carriedBytes: number
  readonly agentCpu: number
  readonly serverCpu: number
}

const bars = newBars(isQuick ? 'wan-quick' : 'wan')
await withProduct(async (api, { serverPid }) => {
  const line = await openFarLine({}, conditions)
  await withCleanUp(
    () => line.close(),
    async () => {
      const places = await openPlaces(api)
      const copies: Copy[] = []
      const cut: Copy[] = []
      const peers: number[] = []
      for (let round = 0; round < rounds; round += 1) {
        const plain = await copyOnce(api, places, line, serverPid, { name: `server-${round}`, isCut: false })
        copies.push(plain)
        peers.push(await uploadPlainly(plain.carriedBytes))
        cut.push(await copyOnce(api, places, line, serverPid, { name: `cut-${round}`, isCut: true }))
      }
      report(copies, cut, peers)
    },
  )
})
await bars.finish()

function report(copies: readonly Copy[], cut: readonly Copy[], peers: readonly number[]): void {
  const each = (pick: (copy: Copy, round: number) => number): number => median(copies.map(pick))
  bars.bar(
    'wan-line-used',
    each(({ carriedBytes, seconds }) => carriedBytes / seconds / lineBytesPerSecond) * 100,
    '%',
    {
      atLeast: 90,
    },
  )
  bars.note(
    'wan-to-plain-upload',
    each(({ seconds }, round) => present(peers[round], 'a time') / seconds),
    'x',
  )
  bars.bar(
    'wan-cuts-cost',
    median(cut.map(({ seconds }, round) => (seconds / present(copies[round], 'a copy').seconds - 1) * 100)),
    '%',
    { atMost: 10 },
  )
  bars.note(
    'wan-compression',
    each(({ carriedBytes }) => usedBytes / carriedBytes),
    'x',
  )
  bars.note(
    'wan-disk-rate',
    each(({ seconds }) => usedBytes / MiB / seconds),
    'MiB/s',
  )
  bars.note(
    'wan-agent-cpu',
    each(({ agentCpu, seconds }) => agentCpu / seconds),
    'cores',
  )
  bars.note(
    'wan-server-cpu',
    each(({ serverCpu, seconds }) => serverCpu / seconds),
    'cores',
  )
}

type Places = { readonly siteId: string; readonly targetSiteId: string; readonly policyId: string }

async function openPlaces(api: Api): Promise<Places> {
  const source = await api<Identified>('POST', '/sites', { name: 'far', platform: 'physical' })
  const target = await api<Identified>('POST', '/sites', {
    name: 'here',
    platform: 'simulated',
    settings: { machines: 0 },
  })
  const policy = await api<Identified>('POST', '/policies', {
    name: 'bench',
    intervalSeconds: 3600,
    lagTargetSeconds: 7200,
    applicationConsistentEverySeconds: 0,
    retention: [{ everySeconds: 0, forSeconds: 3600 }],
    compress: true,
    encrypt: false,
    priority: 5,
    rateLimitBytesPerSecond: 0,
    commitTimeoutSeconds: 0,
    uncommittedAction: 'commit',
  })
  return { siteId: source.id, targetSiteId: target.id, policyId: policy.id }
}

/** From the first byte of content on the line until the server is protected. */
async function copyOnce(
  api: Api,
  { siteId, targetSiteId, policyId }: Places,
  line: FarLine,
  serverPid: () => number,
  { name, isCut }: { readonly name: string; readonly isCut: boolean },
): Promise<Copy> {
  let copy: Copy | null = null
  const proxy = `http://${line.host}:${line.port}`
  await withAgent(api, { siteId, name, disk, proxy }, async (agent) => {
    const machine = await until('the server is a machine', async () => {
      const found = await listAll<Identified & { name: string; power: string }>(
        api,
        `/machines?siteId=${siteId}`,
      )
      return found.find((one) => one.name === name && one.power === 'running') ?? null
    })
    const quietBytes = line.carriedBytes()
    const order = { machineId: machine.id, targetSiteId, policyId, adapters: [] }
    const { protectionId } = await api<{ protectionId: string }>('POST', '/protections', order)
    await until('data flows', async () => (line.carriedBytes() - quietBytes > MiB / 4 ? true : null), 5)
    copy = await measureCopy(api, { agent, line, serverPid, protectionId, isCut })
  })
  return present(copy as Copy | null, 'it was measured')
}

async function measureCopy(
  api: Api,
  {
    agent,
    line,
    serverPid,
    protectionId,
    isCut,
  }: {
    readonly agent: BenchAgent
    readonly line: FarLine
    readonly serverPid: () => number
    readonly protectionId: string
    readonly isCut: boolean
  },
): Promise<Copy> {
  const cpu = async (): Promise<readonly [number, number]> => [
    await cpuSeconds(agent.pid()),
    await cpuSeconds(serverPid()),
  ]
  const before = await cpu()
  const startBytes = line.carriedBytes()
  const startedAt = performance.now()
  const cutting = isCut ? setInterval(() => line.cutOne(), cutEverySeconds * 1000) : null
  try {
    await until('it is protected', async () => {
      const { state } = await api<{ state: string }>('GET', `/protections/${protectionId}`)
      return state === 'protected' ? true : null
    })
  } finally {
    if (cutting) clearInterval(cutting)
  }
  const after = await cpu()
  return {
    seconds: (performance.now() - startedAt) / 1000,
    carriedBytes: line.carriedBytes() - startBytes,
    agentCpu: after[0] - before[0],
    serverCpu: after[1] - before[1],
  }
}

/** Seconds that one PUT of so many bytes takes over a line like it. */
async function uploadPlainly(bytes: number): Promise<number> {
  const server = createServer((incoming, response) => {
    incoming.on('end', () => response.end()).resume()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const line = await openFarLine({ to: { host: '127.0.0.1', port } }, conditions)
  const close = async (): Promise<void> => {
    await line.close()
    server.close()
  }
  let seconds = 0
  await withCleanUp(close, async () => {
    const startedAt = performance.now()
    const upload = request({
      host: line.host,
      port: line.port,
      method: 'PUT',
      headers: { 'content-length': bytes },
    })
    const answered = once(upload, 'response')
    // Whoever waits hears of it; afterwards the line is closed under it.
    upload.on('error', () => {})
    const piece = Buffer.alloc(MiB, 'understudy')
    for (let left = bytes; left > 0; left -= piece.length)
      if (!upload.write(piece.subarray(0, Math.min(left, piece.length)))) await once(upload, 'drain')
    upload.end()
    await answered
    seconds = (performance.now() - startedAt) / 1000
  })
  return seconds
}

async function until<Result>(
  what: string,
  look: () => Promise<Result | null>,
  everyMilliseconds = 50,
): Promise<Result> {
  const deadline = Date.now() + copyLimitSeconds * 1000
  for (;;) {
    const seen = await look()
    if (seen !== null) return seen
    if (Date.now() > deadline) throw new Error(`Not within ${copyLimitSeconds} s: ${what}`)
    await wait(everyMilliseconds)
  }
}
