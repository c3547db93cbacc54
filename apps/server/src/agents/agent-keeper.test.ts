import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeFrame } from '@understudy/agent-protocol/frames'
import { type FromAgent, type FromServer, readFromServer } from '@understudy/agent-protocol/messages'
import {
  agentPaths,
  enrolProof,
  helloProof,
  streamHeaders,
  streamProof,
} from '@understudy/agent-protocol/proofs'
import { present } from '@understudy/base/invariant'
import type { Agent, AgentId } from '@understudy/domain/agents/agent'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleSite } from '@understudy/simulator/sample-rows'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { loadAgentCertificate } from './agent-certificate.ts'
import { type AgentKeeper, createAgentKeeper, type Invited } from './agent-keeper.ts'
import { type AgentLines, createAgentLines } from './agent-lines.ts'
import { loadProgramKey } from './program-key.ts'

const facts = {
  hostName: 'db-1',
  system: 'Debian',
  kernel: '6.1',
  architecture: 'x64',
  processors: 2,
  memoryBytes: 1,
}
const health = {
  bytesPerSecond: 1,
  backlog: 0,
  freeBytes: 5,
  diskBytes: 10,
  memoryBytes: 1,
  upSeconds: 1,
}
const site = sampleSite()

let home: string
let skew: number
let stores: ReturnType<typeof memoryStores> & ReturnType<typeof memoryAccessStores>
let lines: AgentLines
let keeper: AgentKeeper
let opened: WebSocket[]
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-agents-'))
  skew = 0
  opened = []
  stores = { ...memoryStores(), ...memoryAccessStores() }
  await stores.sites.create(site, {})
  lines = createAgentLines()
  const parts = {
    stores,
    live: memoryLive(),
    clock: { now: () => Date.now() + skew },
    newId: randomUUID,
    log: pino({ enabled: false }),
    version: '1',
    programFolder: join(home, 'programs'),
    config: {
      home,
      host: '127.0.0.1',
      publicUrl: null,
      agentHost: null,
      agentPort: 0,
      agentUrl: null,
      agentSilentSeconds: 60,
    },
  }
  keeper = createAgentKeeper(parts, lines)
})
afterEach(async () => {
  for (const each of opened) each.terminate()
  await keeper.stop()
  await rm(home, { recursive: true, force: true })
})

const invite = (): Promise<Invited> =>
  keeper.invite({ siteId: site.id, roles: ['protected-server'], proxy: null, by: 'ada' })
const partOf = (command: string, option: string): string =>
  present(new RegExp(`--${option} (\\S+)`).exec(command)?.[1], `the command has --${option}`)

type Place = { readonly port: number; readonly fingerprint: string; readonly certificate: string }

async function placeOf({ command }: Invited): Promise<Place> {
  const port = Number(new URL(partOf(command, 'server')).port)
  const pem = await readFile(join(home, 'agents.pem'), 'utf8')
  const certificate = pem.slice(0, pem.indexOf('-----BEGIN PRIVATE KEY'))
  return { port, certificate, fingerprint: partOf(command, 'fingerprint') }
}

/** An agent of the test's own, which can say what a real one never says. */
class Peer {
  readonly place: Place
  readonly keys = generateKeyPairSync('ed25519')
  readonly publicKey = this.keys.publicKey.export({ type: 'spki', format: 'der' }).toString('base64url')
  readonly serverIdentity: string
  id = ''
  constructor(place: Place, server: string = randomUUID()) {
    this.place = place
    this.serverIdentity = createHash('sha256').update(server).digest('hex')
  }
  sign = (proof: Uint8Array): string => sign(null, proof, this.keys.privateKey).toString('base64url')
  async enrol(
    token: string,
    change: Record<string, unknown> = {},
  ): Promise<{ status: number; code: string }> {
    const { publicKey, serverIdentity } = this
    const proof = enrolProof({ token, publicKey, serverIdentity, fingerprint: this.place.fingerprint })
    const body = { token, name: 'db-1', publicKey, serverIdentity, version: '1', facts }
    const answer = await post(this.place, { ...body, signature: this.sign(proof), ...change })
    if (answer.status === 201) this.id = String(answer.body.agentId)
    return { status: answer.status, code: String(answer.body.code) }
  }
  hello(nonce: string, change: Partial<Extract<FromAgent, { type: 'hello' }>> = {}): FromAgent {
    const { id: agentId, serverIdentity } = this
    return {
      type: 'hello',
      agentId,
      signature: this.sign(helloProof({ agentId, nonce, fingerprint: this.place.fingerprint })),
      instance: 'first',
      protocols: { lowest: 1, highest: 1 },
      version: '1',
      serverIdentity,
      facts,
      received: 0,
      time: Date.now(),
      ...change,
    }
  }
}

type Line = {
  readonly heard: FromServer[]
  say(message: unknown): void
  next<Type extends FromServer['type']>(type: Type): Promise<Extract<FromServer, { type: Type }>>
  readonly closed: Promise<number>
}

function connect({ port, certificate }: Place): Line {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${agentPaths.control}`, {
    ca: [certificate],
    // Its type here is of an older TLS: the true one returns what is wrong, or nothing.
    checkServerIdentity: (() => undefined) as unknown as () => boolean,
  })
  opened.push(socket)
  const heard: FromServer[] = []
  let taken = 0
  socket.on('message', (data) => heard.push(present(readFromServer(String(data)), 'a kind that is known')))
  socket.on('error', () => {})
  return {
    heard,
    say: (message) => socket.send(JSON.stringify(message)),
    async next(type) {
      for (;;) {
        await vi.waitFor(() => expect(heard.length).toBeGreaterThan(taken), { timeout: 30_000 })
        const message = present(heard[taken++], 'it was heard')
        if (message.type === type) return message as never
      }
    },
    closed: new Promise((resolve) => socket.on('close', resolve)),
  }
}

/** Challenge, hello, and what the server says to it. */
async function greet(
  peer: Peer,
  change: Parameters<Peer['hello']>[1] = {},
): Promise<{ readonly line: Line; readonly hello: FromAgent }> {
  const line = connect(peer.place)
  const { nonce } = await line.next('challenge')
  const hello = peer.hello(nonce, change)
  line.say(hello)
  return { line, hello }
}

async function enrolled(): Promise<{ readonly peer: Peer; readonly agent: Agent }> {
  const invited = await invite()
  const peer = new Peer(await placeOf(invited))
  expect(await peer.enrol(invited.token)).toMatchObject({ status: 201 })
  return { peer, agent: await agentOf(peer) }
}

const agentOf = async (peer: Peer): Promise<Agent> =>
  present(await stores.agents.find(peer.id as AgentId), 'the agent is known')

function post(
  { port, certificate }: Place,
  body: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path: agentPaths.enrol,
        method: 'POST',
        ca: [certificate],
        checkServerIdentity: () => undefined,
      },
      (response) => {
        let text = ''
        response.on('data', (part) => {
          text += part
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
      },
    )
    request.on('error', reject)
    request.end(JSON.stringify(body))
  })
}

const getOpenly = (port: number, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, path }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })

const audited = async (): Promise<readonly string[]> =>
  (await stores.audit.list({}, { limit: 100, cursor: null })).rows.map(
    ({ action, outcome, facts: { problem } }) =>
      `${action} ${outcome}${problem ? ` ${String(problem)}` : ''}`,
  )
const openAlerts = async (): Promise<readonly string[]> =>
  (await stores.alerts.list({ open: true }, { limit: 100, cursor: null })).rows.map(({ code }) => code)

test('nothing is listened on before the first invitation, and the command holds all that an agent needs', async () => {
  await expect(stat(join(home, 'agents.pem'))).rejects.toMatchObject({ code: 'ENOENT' })
  const invited = await invite()
  const { command, token, invitation } = invited
  expect(command).toBe(
    `understudy-agent enrol --server https://127.0.0.1:${(await placeOf(invited)).port} --token ${token} --fingerprint ${partOf(command, 'fingerprint')}`,
  )
  // Nothing in it may look like an option of a program.
  expect(token).toMatch(/^us_[\w-]{40,}$/)
  expect(invitation.expiresAt - invitation.createdAt).toBe(3_600_000)
  expect((await stat(join(home, 'agents.pem'))).mode & 0o777).toBe(0o600)
  const kept = JSON.stringify(invitation)
  expect(kept).not.toContain(token)
  // One that began with a dash would be an option of the command.
  expect(token).toMatch(/^us_/)
})

test('a server that has nothing yet fetches the program by the key of this one, once it is built', async () => {
  expect((await invite()).installCommand).toBeNull()
  await mkdir(join(home, 'programs'))
  const programs = { 'linux-x64': { file: 'program', bytes: 7, sha256: 'x' } }
  await writeFile(join(home, 'programs/manifest.json'), JSON.stringify({ version: '1', programs }))
  // The manifest alone is no program.
  expect((await invite()).installCommand).toBeNull()
  await writeFile(join(home, 'programs/program'), 'program')
  const { command, installCommand } = await keeper.invite({
    siteId: site.id,
    roles: ['protected-server'],
    proxy: 'http://proxy:3128',
    by: 'ada',
  })
  const server = partOf(command, 'server')
  const { keyPin } = loadAgentCertificate(home)
  expect(command).toMatch(/ --proxy http:\/\/proxy:3128$/)
  expect(present(installCommand, 'it is built').split(' && ')).toEqual([
    `curl -fk --retry 9 --pinnedpubkey 'sha256//${keyPin}' --proxy http://proxy:3128 -o understudy-agent ${server}/agents/v1/program/linux-$(uname -m)`,
    'chmod +x understudy-agent',
    command.replace('understudy-agent enrol', './understudy-agent install'),
  ])
})

test('without TLS the port gives its certificate away, and nothing else', async () => {
  const { port } = await placeOf(await invite())
  expect(await getOpenly(port, agentPaths.certificate)).toBe(200)
  expect(await getOpenly(port, agentPaths.enrol)).toBe(403)
})

test('a token enrols one agent and dies; everybody who tries is in the audit', async () => {
  const invited = await invite()
  const place = await placeOf(invited)
  const first = new Peer(place)
  expect(await first.enrol('x'.repeat(43))).toEqual({ status: 422, code: 'agent/token-not-valid' })
  expect(await first.enrol(invited.token)).toMatchObject({ status: 201 })
  expect(await new Peer(place).enrol(invited.token)).toEqual({ status: 422, code: 'agent/token-not-valid' })
  // Its answer may have been lost.
  const { id } = first
  expect(await first.enrol(invited.token)).toMatchObject({ status: 201 })
  expect(first.id).toBe(id)
  expect(await audited()).toEqual([
    'agents.enrol granted',
    'agents.enrol refused agent/token-not-valid',
    'agents.enrol granted',
    'agents.enrol refused agent/token-not-valid',
  ])
})

test('a token is worth nothing after an hour', async () => {
  const invited = await invite()
  skew = 3_600_000
  const peer = new Peer(await placeOf(invited))
  expect(await peer.enrol(invited.token)).toEqual({ status: 422, code: 'agent/token-not-valid' })
})

test('an enrolment that is not signed by its own key for this server is refused, and the token lives', async () => {
  const invited = await invite()
  const peer = new Peer(await placeOf(invited))
  const { token } = invited
  const { publicKey, serverIdentity } = peer
  const elsewhere = { token, publicKey, serverIdentity, fingerprint: `sha256:${'0'.repeat(64)}` }
  const foreign = { signature: peer.sign(enrolProof(elsewhere)) }
  expect(await peer.enrol(token, foreign)).toEqual({ status: 422, code: 'agent/not-recognised' })
  expect(await peer.enrol(token, { publicKey: new Peer(peer.place).publicKey })).toMatchObject({
    code: 'agent/not-recognised',
  })
  expect(await peer.enrol(token, { serverIdentity: 'x' })).toEqual({
    status: 422,
    code: 'agent/bad-enrolment',
  })
  expect(await peer.enrol(token)).toMatchObject({ status: 201 })
})

test('a second agent on one server is refused and audited', async () => {
  const one = await invite()
  const place = await placeOf(one)
  const [first, second] = [new Peer(place, 'rack 4'), new Peer(place, 'rack 4')]
  await first.enrol(one.token)
  const { token } = await invite()
  expect(await second.enrol(token)).toEqual({ status: 422, code: 'agent/server-taken' })
  expect((await audited())[0]).toBe('agents.enrol refused agent/server-taken')
})

test('an agent whose clock is years off is let in, and how far it is off is known', async () => {
  const { peer } = await enrolled()
  const years = 20 * 365 * 86_400_000
  const { line } = await greet(peer, { time: Date.now() - years })
  expect(await line.next('welcome')).toMatchObject({ siteName: site.name, received: 0, protocol: 1 })
  line.say({ type: 'beat', time: Date.now() - years, health })
  await line.next('beat')
  const agent = await agentOf(peer)
  expect(agent.health).toEqual(health)
  expect(Math.abs((agent.clockSkewMilliseconds ?? 0) + years)).toBeLessThan(60_000)
})

test('a hello that was recorded opens no other connection', async () => {
  const { peer } = await enrolled()
  const { line, hello } = await greet(peer)
  await line.next('welcome')
  const replay = connect(peer.place)
  await replay.next('challenge')
  replay.say(hello)
  expect(await replay.next('refused')).toMatchObject({ code: 'agent/not-recognised' })
  expect(await replay.closed).toBe(4401)
  expect((await audited())[0]).toBe('agents.connect refused agent/not-recognised')
})

test('a hello with another key, for another server or of nobody is refused', async () => {
  const { peer } = await enrolled()
  const stranger = new Peer(peer.place)
  stranger.id = peer.id
  const nobody = new Peer(peer.place)
  nobody.id = 'nobody'
  for (const who of [stranger, nobody]) {
    const { line } = await greet(who)
    expect(await line.next('refused')).toMatchObject({ code: 'agent/not-recognised' })
  }
  const { line } = await greet(peer, {
    signature: peer.sign(
      helloProof({ agentId: peer.id, nonce: 'mine', fingerprint: peer.place.fingerprint }),
    ),
  })
  expect(await line.next('refused')).toMatchObject({ code: 'agent/not-recognised' })
})

test('an agent that comes from another server than it was enrolled on is refused, and people are told', async () => {
  const { peer } = await enrolled()
  const { line } = await greet(peer, { serverIdentity: 'f'.repeat(64) })
  expect(await line.next('refused')).toMatchObject({ code: 'agent/other-server' })
  await line.closed
  expect(await openAlerts()).toEqual(['agent/other-server'])
  await vi.waitFor(async () => expect((await audited())[0]).toContain('agent/other-server'))
})

const known = { model: 'PowerEdge R740', firmwareId: 'f1', serials: ['s1'], disks: ['d1', 'd2'] }
const replica = { model: 'QEMU Standard PC', firmwareId: 'f9', serials: [], disks: [] }

async function enrolledOn(hardware: typeof known | undefined): Promise<Peer> {
  const invited = await invite()
  const peer = new Peer(await placeOf(invited))
  expect(await peer.enrol(invited.token, hardware === undefined ? {} : { hardware })).toMatchObject({
    status: 201,
  })
  return peer
}

test('a copy of a server that was started elsewhere is refused with the agent that it carries, and people are told', async () => {
  const peer = await enrolledOn(known)
  const original = await greet(peer, { hardware: known })
  await original.line.next('welcome')
  const copy = await greet(peer, { hardware: replica, instance: 'second' })
  expect(await copy.line.next('refused')).toMatchObject({
    code: 'agent/other-server',
    message: expect.stringContaining('it was PowerEdge R740, and is QEMU Standard PC'),
  })
  expect(await copy.line.closed).toBe(4401)
  // One that says nothing is no better.
  const silent = await greet(peer, { instance: 'third' })
  expect(await silent.line.next('refused')).toMatchObject({ code: 'agent/other-server' })
  expect(await openAlerts()).toEqual(['agent/other-server'])
  await vi.waitFor(async () => expect((await audited())[0]).toContain('agent/other-server'))
  // The server itself goes on, and its hardware is what it was.
  original.line.say({ type: 'beat', time: Date.now(), health })
  await original.line.next('beat')
  expect((await agentOf(peer)).hardware).toEqual(known)
})

test('a server with a disk replaced is the same, and known by the new one from then on', async () => {
  const peer = await enrolledOn(known)
  for (const disks of [
    ['d2', 'd3'],
    ['d3', 'd4'],
  ]) {
    const { line } = await greet(peer, { hardware: { ...known, disks } })
    await line.next('welcome')
  }
  expect((await agentOf(peer)).hardware).toEqual({ ...known, disks: ['d3', 'd4'] })
})

test('an agent that was enrolled before hardware was told is known by what it first comes from', async () => {
  const peer = await enrolledOn(undefined)
  expect((await agentOf(peer)).hardware).toBeNull()
  const old = await greet(peer)
  await old.line.next('welcome')
  const first = await greet(peer, { hardware: known })
  await first.line.next('welcome')
  const copy = await greet(peer, { hardware: replica })
  expect(await copy.line.next('refused')).toMatchObject({ code: 'agent/other-server' })
})

test('new hardware is accepted by a person who has seen which, and nothing else is', async () => {
  const peer = await enrolledOn(known)
  const before = await greet(peer, { hardware: known })
  await before.line.next('welcome')
  for (const instance of ['second', 'third']) {
    const moved = await greet(peer, { hardware: replica, instance })
    await moved.line.next('refused')
    skew += 1000
  }
  const agent = await agentOf(peer)
  const { at, why } = present(agent.otherHardware, 'what it came from is kept')
  expect(why).toContain('firmware')
  await expect(keeper.acceptHardware(agent, at + 1000, 'ada')).rejects.toMatchObject({
    code: 'agent/hardware-not-seen',
  })
  await keeper.acceptHardware(agent, at, 'ada')
  expect(await openAlerts()).toEqual([])
  await before.line.closed
  const moved = await greet(peer, { hardware: replica, instance: 'fourth' })
  await moved.line.next('welcome')
  const older = await greet(peer, { hardware: known })
  expect(await older.line.next('refused')).toMatchObject({ code: 'agent/other-server' })
})

test('two who enrol for one server at the same moment: one gets in, the other is refused and audited', async () => {
  const [one, other] = [await invite(), await invite()]
  const place = await placeOf(one)
  const answers = await Promise.all([
    new Peer(place, 'rack 4').enrol(one.token),
    new Peer(place, 'rack 4').enrol(other.token),
  ])
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 422])
  expect((await audited()).toSorted()).toEqual([
    'agents.enrol granted',
    'agents.enrol refused agent/server-taken',
  ])
})

test('how far away an agent is is known soon after it has come', async () => {
  const { peer } = await connected()
  await vi.waitFor(() => expect(lines.roundTripMilliseconds(peer.id as AgentId)).toBeGreaterThan(0))
})

test('whoever watches is told when an agent says that its server has changed', async () => {
  const { line } = await connected()
  const told = vi.fn()
  const stop = new AbortController()
  lines.watch(told, stop.signal)
  line.say({ type: 'changed' })
  await vi.waitFor(() => expect(told).toHaveBeenCalledTimes(1))
  stop.abort()
})

test('of two processes of one agent the second is refused while the first is there, and let in when it is gone', async () => {
  const { peer } = await enrolled()
  const first = await greet(peer)
  await first.line.next('welcome')
  const copy = await greet(peer, { instance: 'second' })
  expect(await copy.line.next('refused')).toMatchObject({ code: 'agent/claimed-twice' })
  expect(await openAlerts()).toEqual(['agent/claimed-twice'])
  // The same process comes again, while the server still holds a line that is dead.
  const again = await greet(peer)
  await again.line.next('welcome')
  await first.line.closed
  opened.at(-1)?.terminate()
  const later = await greet(peer, { instance: 'second' })
  await later.line.next('welcome')
})

test('an agent is cut off when it is revoked, and told so whenever it comes again', async () => {
  const { peer, agent } = await enrolled()
  const { line } = await greet(peer)
  await line.next('welcome')
  await keeper.revoke(agent, 'ada')
  // Under way when it was revoked.
  line.say({ type: 'said', sequence: 1, body: { kind: 'started', version: '1', at: 0 } })
  expect(await line.next('refused')).toMatchObject({ code: 'agent/revoked' })
  expect(await line.closed).toBe(4401)
  expect(await stores.agents.received(agent.id)).toBe(0)
  const again = await greet(peer)
  expect(await again.line.next('refused')).toMatchObject({ code: 'agent/revoked' })
  const now = await agentOf(peer)
  await expect(keeper.ask(now, { kind: 'report-facts', by: 'ada' })).rejects.toMatchObject({
    code: 'agent/revoked',
  })
})

test('an agent that was revoked by another server process is cut off here as well', async () => {
  const { peer, agent } = await enrolled()
  keeper.start()
  const { line } = await greet(peer)
  await line.next('welcome')
  await stores.agents.revoke(agent.id, Date.now(), 'ada')
  expect(await line.next('refused')).toMatchObject({ code: 'agent/revoked' })
})

test('orders reach the agent once, also over a new connection, and each answer counts once', async () => {
  const { peer, agent } = await enrolled()
  const order = { kind: 'report-facts', by: 'ada' } as const
  const early = await keeper.ask(agent, order)
  const { line } = await greet(peer)
  expect(await line.next('order')).toMatchObject({ sequence: 1, order: { id: early.id } })
  const late = await keeper.ask(agent, order)
  expect(await line.next('order')).toMatchObject({ sequence: 2, order: { id: late.id } })
  const answerTo = (orderId: string, hostName: string) => ({
    kind: 'answer',
    orderId,
    outcome: { kind: 'facts', facts: { ...facts, hostName } },
  })
  line.say({ type: 'said', sequence: 1, body: answerTo(early.id, 'renamed') })
  line.say({ type: 'said', sequence: 1, body: answerTo(early.id, 'replayed') })
  expect(await line.next('ack')).toEqual({ type: 'ack', received: 1 })
  expect(await line.next('ack')).toEqual({ type: 'ack', received: 1 })
  expect((await agentOf(peer)).facts.hostName).toBe('renamed')
  // It has both orders, and answered one.
  const again = await greet(peer, { received: 1 })
  expect(await again.line.next('welcome')).toMatchObject({ received: 1 })
  expect(await again.line.next('order')).toMatchObject({ sequence: 2, order: { id: late.id } })
})

test('a message out of its turn ends the connection, and so does an answer to what nobody asked of it', async () => {
  const one = await enrolled()
  const other = await enrolled()
  const foreign = await keeper.ask(other.agent, { kind: 'report-facts', by: 'ada' })
  const bodies = [
    { sequence: 2, body: { kind: 'started', version: '1', at: 0 } },
    { sequence: 1, body: { kind: 'answer', orderId: foreign.id, outcome: { kind: 'facts', facts } } },
    { sequence: 1, body: { kind: 'formatted', disk: 'sda' } },
  ]
  for (const said of bodies) {
    const { line } = await greet(one.peer)
    await line.next('welcome')
    line.say({ type: 'said', ...said })
    expect(await line.next('refused')).toMatchObject({ code: 'agent/bad-message' })
  }
  expect(await stores.agents.received(one.agent.id)).toBe(0)
  expect(await stores.agents.findOrder(foreign.id)).toEqual(foreign)
})

async function offer(version: string): Promise<void> {
  await mkdir(join(home, 'programs'), { recursive: true })
  const programs = { 'linux-x64': { file: 'program', bytes: 7, sha256: 'x' } }
  await writeFile(join(home, 'programs/manifest.json'), JSON.stringify({ version, programs }))
}
const able = { ...facts, program: { platform: 'linux-x64', fixedBecause: null } }

test('an upgrade is ordered where a newer program is there and the agent can take it, and how it ends is told', async () => {
  const { peer } = await enrolled()
  const { line } = await greet(peer, { facts: able })
  await line.next('welcome')
  await expect(keeper.upgrade(await agentOf(peer), 'ada')).rejects.toMatchObject({ code: 'agent/no-upgrade' })
  await offer('1.1')
  const { id } = await keeper.upgrade(await agentOf(peer), 'ada')
  expect(await line.next('order')).toMatchObject({ order: { id, kind: 'upgrade' } })
  const failed = { kind: 'failed', code: 'agent/upgrade-rolled-back', message: '1 was put back: no route' }
  line.say({ type: 'said', sequence: 1, body: { kind: 'answer', orderId: id, outcome: failed } })
  await line.next('ack')
  expect(await openAlerts()).toEqual(['agent/upgrade-rolled-back'])
  expect((await audited())[0]).toBe('agents.upgrade refused agent/upgrade-rolled-back')
  const again = await keeper.upgrade(await agentOf(peer), 'ada')
  const outcome = { kind: 'upgraded', from: '1', to: '1.1' }
  line.say({ type: 'said', sequence: 2, body: { kind: 'answer', orderId: again.id, outcome } })
  await line.next('ack')
  expect(await openAlerts()).toEqual([])
  expect((await audited())[0]).toBe('agents.upgrade granted')
  const { rows } = await stores.events.list({}, { limit: 10, cursor: null })
  expect(rows.map(({ code }) => code)).toContain('agent/upgraded')
})

test('an agent that cannot exchange its program is not asked to', async () => {
  const { peer } = await enrolled()
  await offer('1.1')
  await expect(keeper.upgrade(await agentOf(peer), 'ada')).rejects.toMatchObject({
    code: 'agent/not-upgradable',
    message: expect.stringContaining('too old to do it by itself'),
  })
  const program = { platform: 'linux-x64', fixedBecause: 'It runs from its sources.' }
  const { line } = await greet(peer, { facts: { ...facts, program } })
  await line.next('welcome')
  await expect(keeper.upgrade(await agentOf(peer), 'ada')).rejects.toMatchObject({
    code: 'agent/not-upgradable',
    message: expect.stringContaining('It runs from its sources.'),
  })
})

test('every agent is told by which key programs are signed, at its enrolment and with each welcome', async () => {
  const { peer } = await enrolled()
  const { publicKey } = loadProgramKey(home)
  const { line } = await greet(peer)
  expect(await line.next('welcome')).toMatchObject({ programKey: publicKey })
  const { token } = await invite()
  const next = new Peer(peer.place)
  const { publicKey: own, serverIdentity } = next
  const { fingerprint } = peer.place
  const signature = next.sign(enrolProof({ token, publicKey: own, serverIdentity, fingerprint }))
  const wanted = { token, name: 'db-2', publicKey: own, serverIdentity, version: '1', facts, signature }
  expect((await post(peer.place, wanted)).body).toMatchObject({ programKey: publicKey })
})

test.each(['1.1.9', '1.0.4', '1'])(
  'an agent of %s works with a control plane of 1: no data is kept from it',
  async (version) => {
    const { peer } = await enrolled()
    const { line } = await greet(peer, { version, protocols: { lowest: 1, highest: 2 } })
    expect((await line.next('welcome')).session).toBeDefined()
    expect(await openAlerts()).toEqual([])
  },
)

test('an agent that is more than one release ahead is refused with what to do, and people are told', async () => {
  const { peer } = await enrolled()
  const { line } = await greet(peer, { version: '1.2.0' })
  expect(await line.next('refused')).toMatchObject({
    code: 'agent/version-too-different',
    message: expect.stringContaining('more than one release ahead of this control plane (1)'),
  })
  expect(await openAlerts()).toEqual(['agent/version-too-different'])
  const good = await greet(peer, { version: '1.1.0' })
  await good.line.next('welcome')
  expect(await openAlerts()).toEqual([])
})

test('an agent that is more than one release behind is let in to be upgraded, and for nothing else', async () => {
  const { peer } = await enrolled()
  await offer('1')
  const protocols = { lowest: 1, highest: 2 }
  const { line } = await greet(peer, { version: '0.9.0', facts: able, protocols })
  expect((await line.next('welcome')).session).toBeUndefined()
  expect(lines.isConnected(peer.id as AgentId)).toBe(false)
  expect(await openAlerts()).toEqual(['agent/version-too-different'])
  const { id } = await keeper.upgrade(await agentOf(peer), 'ada')
  expect(await line.next('order')).toMatchObject({ order: { id, kind: 'upgrade' } })
})

test('what somebody says before they are known is bounded', async () => {
  const { peer } = await enrolled()
  const line = connect(peer.place)
  await line.next('challenge')
  for (let count = 0; count < 20; count += 1) line.say({ type: 'of a newer version' })
  expect(await line.next('refused')).toMatchObject({ code: 'agent/bad-message' })
  const other = connect(peer.place)
  await other.next('challenge')
  other.say({ type: 'of a newer version', text: 'x'.repeat(200 * 1024) })
  expect(await other.next('refused')).toMatchObject({ code: 'agent/bad-message' })
})

test('whoever is connected from hardware that another server process has replaced is cut off here as well', async () => {
  const peer = await enrolledOn(known)
  keeper.start()
  const before = await greet(peer, { hardware: known })
  await before.line.next('welcome')
  const at = Date.now()
  await stores.agents.setOtherHardware(peer.id as AgentId, { hardware: replica, hostName: 'x', why: 'w', at })
  await stores.agents.acceptHardware(peer.id as AgentId, at)
  expect(await before.line.closed).toBe(1001)
})

test('by a revocation a copy does not become the server: a person has to accept its hardware', async () => {
  const invited = await invite()
  const first = new Peer(await placeOf(invited), 'rack 4')
  await first.enrol(invited.token, { hardware: known })
  await keeper.revoke(await agentOf(first), 'ada')
  const copy = new Peer(first.place, 'rack 4')
  await copy.enrol((await invite()).token, { hardware: replica })
  const { line } = await greet(copy, { hardware: replica })
  expect(await line.next('refused')).toMatchObject({ code: 'agent/other-server' })
  const seen = await agentOf(copy)
  await keeper.acceptHardware(seen, present(seen.otherHardware, 'it was seen').at, 'ada')
  const accepted = await greet(copy, { hardware: replica })
  await accepted.line.next('welcome')
  await keeper.revoke(await agentOf(copy), 'ada')
  // The same hardware is let in as it is.
  const again = new Peer(first.place, 'rack 4')
  await again.enrol((await invite()).token, { hardware: replica })
  await (await greet(again, { hardware: replica })).line.next('welcome')
})

test('an agent of a version too far away is told so', async () => {
  const { peer } = await enrolled()
  const { line } = await greet(peer, { protocols: { lowest: 7, highest: 8 } })
  expect(await line.next('refused')).toMatchObject({ code: 'agent/version-too-different' })
})

type Stream = { readonly session: string; readonly number: number; readonly body: Buffer }

/** What the server says to a data stream of this peer, signed for `signedFor`. */
function put(
  peer: Peer,
  { session, number, body }: Stream,
  signedFor: Partial<Stream> = {},
): Promise<{ readonly status: number; readonly code: string }> {
  const { place, id: agentId } = peer
  const { fingerprint } = place
  const signature = peer.sign(streamProof({ agentId, session, number, fingerprint, ...signedFor }))
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port: place.port,
        path: `${agentPaths.streams}/${session}`,
        method: 'PUT',
        ca: [place.certificate],
        checkServerIdentity: () => undefined,
        headers: {
          [streamHeaders.agent]: agentId,
          [streamHeaders.number]: number,
          [streamHeaders.signature]: signature,
        },
      },
      (response) => {
        let text = ''
        response.on('data', (part) => {
          text += part
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, code: String(JSON.parse(text).code) }),
        )
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

const wantedRead = { opening: 'o', round: 0, disk: 'disk0' as DiskKey, offset: 4096, bytes: 8192 }
const frameFor = (read: number, change: { offset?: number } = {}): Buffer =>
  Buffer.concat(
    encodeFrame({ read, offset: wantedRead.offset, content: Buffer.alloc(wantedRead.bytes, 'u'), ...change }),
  )

async function connected(): Promise<{ readonly peer: Peer; readonly line: Line; readonly session: string }> {
  const { peer } = await enrolled()
  const { line } = await greet(peer, { protocols: { lowest: 1, highest: 2 } })
  const { session } = await line.next('welcome')
  return { peer, line, session: present(session, 'the server takes data') }
}

test('what was read comes through a stream, and counts once', async () => {
  const { peer, line, session } = await connected()
  const content = lines.read(peer.id as AgentId, wantedRead)
  const { id, wanted } = await line.next('read')
  expect(wanted).toEqual(wantedRead)
  const stream = { session, number: 1, body: Buffer.concat([frameFor(id), frameFor(id)]) }
  expect(await put(peer, stream)).toMatchObject({ status: 200 })
  expect((await content).toString()).toBe('u'.repeat(wantedRead.bytes))
  // Recorded and sent again.
  expect(await put(peer, stream)).toEqual({ status: 422, code: 'agent/other-session' })
})

test('a stream that is changed on its way is refused, and its read is asked for again until it comes', async () => {
  const { peer, line, session } = await connected()
  const content = lines.read(peer.id as AgentId, wantedRead)
  let number = 0
  const spoilers: ((bytes: Buffer) => Buffer)[] = [
    (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([0])]),
    (bytes) => bytes.subarray(0, -1),
  ]
  for (const spoil of spoilers) {
    const { id } = await line.next('read')
    number += 1
    expect(await put(peer, { session, number, body: spoil(frameFor(id)) })).toEqual({
      status: 503,
      code: 'agent/bad-frame',
    })
    line.say({ type: 'lost', reads: [id] })
  }
  const { id } = await line.next('read')
  expect(await put(peer, { session, number: number + 1, body: frameFor(id) })).toMatchObject({ status: 200 })
  expect((await content)[0]).toBe('u'.charCodeAt(0))
})

test('a stream brings nothing that was not asked for', async () => {
  const { peer, line, session } = await connected()
  const content = lines.read(peer.id as AgentId, wantedRead)
  content.catch(() => {})
  const { id } = await line.next('read')
  for (const [index, body] of [frameFor(id + 1), frameFor(id, { offset: 0 })].entries())
    expect(await put(peer, { session, number: index + 1, body })).toMatchObject({ code: 'agent/bad-frame' })
})

test('a stream of somebody else, or of another connection, is refused', async () => {
  const { peer, session } = await connected()
  const stream = { session, number: 1, body: Buffer.alloc(0) }
  const stranger = new Peer(peer.place)
  stranger.id = peer.id
  expect(await put(stranger, stream)).toMatchObject({ code: 'agent/not-recognised' })
  expect(await put(peer, stream, { session: 'x'.repeat(43) })).toMatchObject({ code: 'agent/not-recognised' })
  expect(await put(peer, stream, { number: 2 })).toMatchObject({ code: 'agent/not-recognised' })
  expect(await put(peer, { ...stream, session: 'x'.repeat(43) })).toMatchObject({
    code: 'agent/other-session',
  })
  expect((await audited()).filter((entry) => entry.startsWith('agents.stream'))).toHaveLength(3)
  await keeper.revoke(await agentOf(peer), 'ada')
  await vi.waitFor(async () => expect(await put(peer, stream)).toMatchObject({ code: 'agent/other-session' }))
})

test('a silent agent is told once, and the alert goes when it is heard again', async () => {
  const { peer } = await enrolled()
  keeper.start()
  await vi.waitFor(async () => expect(await openAlerts()).toEqual([]))
  skew = 61_000
  await vi.waitFor(async () => expect(await openAlerts()).toEqual(['agent/silent']), { timeout: 30_000 })
  const { line } = await greet(peer)
  await line.next('welcome')
  await vi.waitFor(async () => expect(await openAlerts()).toEqual([]), { timeout: 30_000 })
})

test('however often strangers knock, the audit keeps a bounded part of it and an event tells', async () => {
  const place = await placeOf(await invite())
  for (let knocks = 0; knocks < 103; knocks += 1) await new Peer(place).enrol('x'.repeat(43))
  expect((await stores.audit.list({}, { limit: 500, cursor: null })).rows).toHaveLength(100)
  const { rows } = await stores.events.list({ code: 'agent/many-refusals' }, { limit: 10, cursor: null })
  expect(rows).toHaveLength(1)
})
