// One control connection: challenge, hello, welcome; then beats and numbered messages until it ends. Nothing is believed before the
// signature over this connection's own challenge.
import { randomBytes } from 'node:crypto'
import {
  type FromAgent,
  type FromServer,
  type Outcome,
  readFromAgent,
} from '@understudy/agent-protocol/messages'
import { judgeArrival } from '@understudy/agent-protocol/outbox'
import { helloProof } from '@understudy/agent-protocol/proofs'
import { chooseProtocol, ourProtocols } from '@understudy/agent-protocol/versions'
import { InvariantError, Refusal, toFailureReport } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import {
  type Agent,
  type AgentId,
  type AgentOrderId,
  type AgentOrderKind,
  isReceiver,
} from '@understudy/domain/agents/agent'
import { judgeSkew, type Skew } from '@understudy/domain/agents/agent-version'
import {
  judgeHardware,
  type ServerHardware,
  unknownHardware,
  withNewest,
} from '@understudy/domain/agents/server-hardware'
import { raiseAlert, recordEvent, resolveAlert } from '@understudy/engine/events/report'
import type { RawData, WebSocket } from 'ws'
import type { AgentLines, LineSession } from './agent-lines.ts'
import type { AgentParts } from './agent-parts.ts'
import type { AgentAudit } from './audit-agent.ts'
import { isSigned, wrongProof } from './enrol-agent.ts'
import { tellAnswer } from './tell-answer.ts'
import type { WriteLines, WriteSession } from './write-lines.ts'

export const OTHER_SERVER = 'agent/other-server'
const TOO_DIFFERENT = 'agent/version-too-different'
const BEAT_SECONDS = 10
const HELLO_MILLISECONDS = 10_000
/** Beats that may be missing before the line counts as dead. */
const QUIET_MILLISECONDS = 3 * BEAT_SECONDS * 1000
const STILL_THERE_MILLISECONDS = 3000
/** What somebody may have said of whom nothing is known yet. */
const BEFORE_WELCOME = { messages: 16, bytes: 128 * 1024 }
/** What an agent may have said that is not worked on yet. */
const MOST_PENDING = 1000
/** RFC 6455, 7.4.2: from 4000 on they are ours. */
const REFUSED = 4401

export type AgentConnection = {
  readonly agentId: AgentId
  /** Of the agent's process. */
  readonly instance: string
  /** That it comes from. */
  readonly hardware: ServerHardware
  /** Sends what was ordered since. */
  pushOrders(): Promise<void>
  /** Whether the other end still answers. */
  isThere(): Promise<boolean>
  /** Says why, if there is a reason, and ends it. */
  end(why: Refusal | null): void
}

export type ConnectionHost = {
  readonly parts: AgentParts
  readonly audit: AgentAudit
  readonly lines: AgentLines
  readonly writes: WriteLines
  readonly fingerprint: string
  /** By which agents know the programs of this installation. */
  readonly programKey: string
  /** Makes it the one connection of its agent. Refuses (`agent/claimed-twice`) while another process of it is there. */
  admit(connection: AgentConnection): Promise<void>
  gone(connection: AgentConnection): void
  /** Somebody else may have the key of this agent: people are told, beside the audit. */
  suspect(agent: Agent, why: Refusal): Promise<void>
}

type Session = {
  readonly agent: Agent
  readonly connection: AgentConnection
  sentOrder: number
  line: LineSession | null
  writes: WriteSession | null
}

export function acceptAgent(host: ConnectionHost, socket: WebSocket, ip: string | null): void {
  const { parts } = host
  const nonce = randomBytes(32).toString('base64url')
  /** Names this connection to its data streams. */
  const sessionId = randomBytes(32).toString('base64url')
  const turn = inTurn()
  let session: Session | null = null
  let pending = 0
  const strange = { messages: 0, bytes: 0 }
  /** What still comes, or waits for its turn, is not listened to: it may be from an agent that was revoked. */
  let ended = false
  let quiet = setTimeout(() => socket.terminate(), HELLO_MILLISECONDS)
  const stayAwake = (): void => {
    clearTimeout(quiet)
    quiet = setTimeout(() => socket.terminate(), QUIET_MILLISECONDS)
  }
  const say = (message: FromServer): void => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message))
  }
  const end = (why: Refusal | null): void => {
    ended = true
    if (why) say({ type: 'refused', code: why.code, message: why.message, remedy: why.remedy })
    socket.close(why ? REFUSED : 1001, why?.code ?? 'the server ends the connection')
    // Who does not answer the close is not waited for.
    setTimeout(() => socket.terminate(), 1000).unref()
  }
  // Each pong names its ping by when that was.
  socket.on('pong', (data) => {
    const milliseconds = performance.now() - Number(data.toString('latin1'))
    if (milliseconds >= 0 && milliseconds < QUIET_MILLISECONDS) session?.line?.roundTrip(milliseconds)
  })
  const measure = (): void => {
    if (socket.readyState === socket.OPEN) socket.ping(String(performance.now()))
  }
  const pushOrders = async (): Promise<void> => {
    if (!session) return
    const { agents } = parts.stores
    for (const { id, kind, sequence } of await agents.open(session.agent.id, session.sentOrder)) {
      say({ type: 'order', sequence, order: { id, kind } })
      session.sentOrder = sequence
    }
  }

  const open = async (hello: FromAgent): Promise<void> => {
    if (hello.type !== 'hello') throw unexpected(`"${hello.type}" before "hello"`)
    const agent = await recognise(host, hello, nonce)
    const protocol = chooseProtocol(ourProtocols, hello.protocols)
    const skew = judgeSkew(parts.version, hello.version)
    await tellSkew(parts, agent, hello.version, skew)
    if (protocol === null) throw tooFarApart(agent, hello.version)
    if (skew === 'too-new') throw tooNew(agent, hello.version, parts.version)
    const connection: AgentConnection = {
      agentId: agent.id,
      instance: hello.instance,
      hardware: hello.hardware ?? unknownHardware,
      pushOrders: () => turn(pushOrders),
      isThere: () => answersPing(socket),
      end,
    }
    await host.admit(connection)
    const opened: Session = { agent, connection, sentOrder: hello.received, line: null, writes: null }
    session = opened
    await parts.stores.agents.catchUp(agent.id, hello.received)
    await parts.stores.agents.seen(agent.id, {
      ...contactAt(parts, hello.time),
      version: hello.version,
      facts: hello.facts,
      ...(hello.hardware ? { hardware: withNewest(agent.hardware ?? unknownHardware, hello.hardware) } : {}),
    })
    const site = await parts.stores.sites.find(agent.siteId)
    say({
      type: 'welcome',
      protocol,
      version: parts.version,
      beatSeconds: BEAT_SECONDS,
      received: await parts.stores.agents.received(agent.id),
      siteName: site?.name ?? '',
      roles: [...agent.roles],
      programKey: host.programKey,
      // Who is too old is let in to be upgraded: it carries no data, and nothing is asked of its disks.
      ...(skew === 'near' ? { session: sessionId } : {}),
    })
    // One that was shown out meanwhile must not push out the line of the next one.
    if (skew === 'near' && !ended && socket.readyState === socket.OPEN) {
      opened.line = host.lines.opened(agent.id, { id: sessionId, protocol, say, end: () => end(null) })
      if (isReceiver(agent.roles)) opened.writes = host.writes.opened(agent.id, { id: sessionId, say })
    }
    parts.live.changed('agents', agent.id)
    measure()
    await pushOrders()
  }

  const hear = async (text: string): Promise<void> => {
    if (ended) return
    const message = readFromAgent(text)
    if (!session) return message ? open(message) : undefined
    switch (message?.type) {
      case undefined:
        return
      case 'hello':
        throw unexpected('a second "hello"')
      case 'beat':
        await parts.stores.agents.seen(session.agent.id, {
          ...contactAt(parts, message.time),
          health: message.health,
        })
        measure()
        return say({ type: 'beat' })
      case 'said': {
        const received = await takeMessage(host, session.agent, message)
        return say({ type: 'ack', received })
      }
      case 'reply':
        return session.line?.replied(message)
      case 'read-failed':
        return session.line?.readFailed(message)
      case 'lost':
        return session.line?.lost(message.reads)
      case 'changed':
        return session.line?.changed()
      case 'written':
        return session.writes?.written(message.writes)
      case 'write-failed':
        return session.writes?.failed(message.write, message.failure)
      case 'fetched':
        return session.writes?.fetched(message.stream, message.failure)
    }
  }

  say({ type: 'challenge', nonce })
  const isTooMuch = (bytes: number): boolean => {
    if (session) return pending > MOST_PENDING
    strange.messages += 1
    strange.bytes += bytes
    return strange.messages > BEFORE_WELCOME.messages || strange.bytes > BEFORE_WELCOME.bytes
  }
  socket.on('message', (data, isBinary) => {
    if (ended) return
    pending += 1
    if (isBinary || isTooMuch(lengthOf(data))) return end(unexpected('more than the connection carries'))
    if (session) stayAwake()
    void turn(() => hear(String(data)))
      .catch((error: unknown) => refuse(host, { error, ip, session, end }))
      .finally(() => {
        pending -= 1
      })
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    clearTimeout(quiet)
    session?.line?.closed()
    session?.writes?.closed()
    if (session) host.gone(session.connection)
  })
}

const lengthOf = (data: RawData): number =>
  Array.isArray(data) ? data.reduce((sum, part) => sum + part.length, 0) : data.byteLength

const contactAt = ({ clock }: AgentParts, theirs: number) => ({
  seenAt: clock.now(),
  clockSkewMilliseconds: theirs - clock.now(),
})

type Hello = Extract<FromAgent, { type: 'hello' }>

/** The agent that this is. Refuses strangers and the revoked alike until they have proven who they are. */
async function recognise(host: ConnectionHost, hello: Hello, nonce: string): Promise<Agent> {
  const { parts, fingerprint, suspect } = host
  const agent = await parts.stores.agents.find(hello.agentId as AgentId)
  const proof = helloProof({ agentId: hello.agentId, nonce, fingerprint })
  if (!agent || !isSigned(proof, agent.publicKey, hello.signature)) throw wrongProof()
  if (agent.revokedAt !== null) throw revoked(agent)
  if (agent.serverIdentity === hello.serverIdentity) {
    await recogniseHardware(host, agent, hello)
    return agent
  }
  const refusal = new Refusal({
    code: OTHER_SERVER,
    message: `The agent ${agent.name} was enrolled on another server than the one that it runs on now (${hello.facts.hostName})`,
    remedy:
      'If the server was cloned, enrol an agent on the clone. If its machine id was changed, revoke the agent and enrol it again.',
    facts: { agent: agent.id },
  })
  await suspect(agent, refusal)
  throw refusal
}

/** A copy of the server's disks that was started elsewhere has the key and the machine id, and other hardware. */
async function recogniseHardware(
  { parts, suspect }: ConnectionHost,
  agent: Agent,
  hello: Hello,
): Promise<void> {
  const { hardware = unknownHardware, facts } = hello
  const verdict = judgeHardware(agent.hardware ?? unknownHardware, hardware)
  if (verdict.same) return
  const { why } = verdict
  const known = agent.otherHardware
  // What a person decides on stays what it was while the same one knocks again and again.
  if (known === null || judgeHardware(known.hardware, hardware).same === false || known.why !== why)
    await parts.stores.agents.setOtherHardware(agent.id, {
      hardware,
      hostName: facts.hostName,
      why,
      at: parts.clock.now(),
    })
  parts.live.changed('agents', agent.id)
  const refusal = new Refusal({
    code: OTHER_SERVER,
    message: `The agent ${agent.name} comes from other hardware than that of its server: ${why}`,
    remedy:
      'If that is a copy of the server, remove the agent there. If it is the server itself with new hardware, say so beside the agent in the console: the protection of its server stays.',
    facts: { agent: agent.id, why },
  })
  await suspect(agent, refusal)
  throw refusal
}

export const revoked = (agent: Pick<Agent, 'id' | 'name'>): Refusal =>
  new Refusal({
    code: 'agent/revoked',
    message: `The agent ${agent.name} was revoked`,
    remedy: 'Enrol it with a new token from the console if it shall work again.',
    facts: { agent: agent.id },
  })

const tooFarApart = (agent: Agent, theirs: string): Refusal =>
  new Refusal({
    code: 'agent/version-too-different',
    message: `The agent ${agent.name} of version ${theirs} and this server speak no common protocol`,
    remedy: 'Bring both to neighbouring versions.',
    facts: { agent: agent.id },
  })

const tooNew = (agent: Agent, theirs: string, ours: string): Refusal =>
  new Refusal({
    code: TOO_DIFFERENT,
    message: `The agent ${agent.name} is of version ${theirs}, which is more than one release ahead of this control plane (${ours})`,
    remedy: `Bring the control plane to ${theirs}, or install the program that it offers on the agent's server.`,
    facts: { agent: agent.id },
  })

/** Who is too old stays connected, so that it can be upgraded, and does nothing else: people have to know. */
async function tellSkew(parts: AgentParts, agent: Agent, theirs: string, skew: Skew): Promise<void> {
  if (skew === 'near') return resolveAlert(parts, TOO_DIFFERENT, agent)
  const { message, remedy } =
    skew === 'too-new' ? tooNew(agent, theirs, parts.version) : tooOld(agent, theirs, parts.version)
  await raiseAlert(parts, { severity: 'critical', code: TOO_DIFFERENT, message, remedy, subject: agent })
}

const tooOld = (agent: Agent, theirs: string, ours: string): Pick<Refusal, 'message' | 'remedy'> => ({
  message: `The agent ${agent.name} is of version ${theirs}, which is more than one release behind this control plane (${ours}): its server is not replicated`,
  remedy: 'Upgrade it, beside it at its site. Nothing else is asked of it before.',
})

const unexpected = (what: string): Refusal =>
  new Refusal({
    code: 'agent/bad-message',
    message: `The agent said ${what}`,
    remedy: 'Check that nothing between the two changes what they say.',
  })

/** Which outcomes answer which order; `failed` answers every one. */
const outcomeOf: Record<AgentOrderKind, Outcome['kind']> = {
  'report-facts': 'facts',
  upgrade: 'upgraded',
}

/** Returns the number up to which everything is here. */
async function takeMessage(
  host: ConnectionHost,
  agent: Agent,
  { sequence, body }: Extract<FromAgent, { type: 'said' }>,
): Promise<number> {
  const { parts } = host
  const { agents } = parts.stores
  const answer =
    body.kind === 'answer'
      ? { orderId: body.orderId as AgentOrderId, answer: body.outcome, at: parts.clock.now() }
      : null
  if (body.kind === 'answer') await refuseForeignAnswer(parts, agent, body)
  if (await agents.take(agent.id, sequence, answer)) {
    if (body.kind === 'started')
      await recordEvent(parts, {
        severity: 'info',
        code: 'agent/started',
        message: `The agent ${agent.name} has started`,
        subject: agent,
        facts: { version: body.version },
      })
    else await tellAnswer(host, agent, body)
    parts.live.changed('agents', agent.id)
    return sequence
  }
  const received = await agents.received(agent.id)
  if (judgeArrival(received, sequence) === 'again') return received
  throw unexpected(`message ${sequence} where ${received + 1} was due`)
}

async function refuseForeignAnswer(
  { stores }: AgentParts,
  agent: Agent,
  { orderId, outcome }: { readonly orderId: string; readonly outcome: Outcome },
): Promise<void> {
  const order = await stores.agents.findOrder(orderId as AgentOrderId)
  // An order that was trimmed meanwhile harms nobody.
  if (order === null) return
  if (order.agentId !== agent.id) throw unexpected('an answer to what another agent was asked')
  if (outcome.kind !== 'failed' && outcome.kind !== outcomeOf[order.kind])
    throw unexpected(`"${outcome.kind}" as an answer to "${order.kind}"`)
}

function answersPing(socket: WebSocket): Promise<boolean> {
  if (socket.readyState !== socket.OPEN) return Promise.resolve(false)
  return new Promise((resolve) => {
    const settle = (there: boolean): void => {
      clearTimeout(timer)
      socket.off('pong', yes)
      socket.off('close', no)
      resolve(there)
    }
    const yes = (): void => settle(true)
    const no = (): void => settle(false)
    const timer = setTimeout(no, STILL_THERE_MILLISECONDS)
    socket.once('pong', yes)
    socket.once('close', no)
    socket.ping()
  })
}

type Failed = {
  readonly error: unknown
  readonly ip: string | null
  readonly session: Session | null
  readonly end: (why: Refusal | null) => void
}

/** Refusals are told and audited; anything else ends the connection, and the agent comes again. */
async function refuse({ parts, audit }: ConnectionHost, { error, ip, session, end }: Failed): Promise<void> {
  if (!(error instanceof Refusal)) {
    const level = error instanceof InvariantError ? 'error' : 'warn'
    parts.log[level]({ error }, 'a connection of an agent ends')
    return end(null)
  }
  end(error)
  const agent = session?.agent ?? (await find(parts, error.facts.agent))
  await audit({
    who: agent ? `agent ${agent.name}` : 'agent ?',
    action: 'agents.connect',
    subject: agent?.id ?? null,
    subjectName: agent?.name ?? null,
    outcome: 'refused',
    facts: { problem: toFailureReport(error).code },
    ip,
  }).catch((cause: unknown) => parts.log.warn({ error: cause }, 'a refusal could not be audited'))
}

const find = async ({ stores }: AgentParts, id: unknown): Promise<Agent | null> =>
  typeof id === 'string' ? stores.agents.find(id as AgentId).catch(() => null) : null
