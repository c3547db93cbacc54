// Looks after the agents: opens their port once there are any, holds their connections, ends those of the revoked, and tells who is silent.
import { hostname } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { agentPaths } from '@understudy/agent-protocol/proofs'
import { Refusal } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import {
  type Agent,
  type AgentId,
  type AgentInvitation,
  type AgentInvitationId,
  type AgentOrderId,
  type AgentOrderKind,
  type AgentRole,
  goTogether,
  INVITATION_MINUTES,
  isReceiver,
  mayAgent,
  stateOfAgent,
} from '@understudy/domain/agents/agent'
import { judgeUpgrade } from '@understudy/domain/agents/agent-version'
import { judgeHardware } from '@understudy/domain/agents/server-hardware'
import type { SiteId } from '@understudy/domain/sites/site'
import { raiseAlert, recordEvent, resolveAlert } from '@understudy/engine/events/report'
import type { AgentOrder } from '@understudy/engine/ports/agent-store'
import { createRecurring } from '@understudy/engine/recurring'
import { hashSecret, newSecret } from '../access/secrets.ts'
import { engineLog } from '../log.ts'
import { type AgentCertificate, loadAgentCertificate } from './agent-certificate.ts'
import { type AgentConnection, acceptAgent, OTHER_SERVER, revoked } from './agent-connection.ts'
import { type AgentLines, createAgentLines } from './agent-lines.ts'
import { type AgentListener, listenForAgents } from './agent-listener.ts'
import type { AgentParts } from './agent-parts.ts'
import { agentAudit } from './audit-agent.ts'
import { enrolAgent } from './enrol-agent.ts'
import { giveWrites } from './give-writes.ts'
import { offerPrograms } from './offered-programs.ts'
import { loadProgramKey, type ProgramKey } from './program-key.ts'
import { takeStream } from './take-stream.ts'
import { createWriteLines, type WriteLines } from './write-lines.ts'

export const SILENT = 'agent/silent'
const CLAIMED_TWICE = 'agent/claimed-twice'
const NO_PORT = 'agent/no-port'
const SUSPICION_MILLISECONDS = 10 * 60_000
/** Also how soon a connection to another server process ends, when its agent is revoked here. */
const ROUND_MILLISECONDS = 2000

export type Invited = {
  readonly invitation: AgentInvitation
  readonly token: string
  /** For a server that has the program. */
  readonly command: string
  /** For one that has nothing but curl: fetches, enrols, and makes it a service. Null: the program is not built here. */
  readonly installCommand: string | null
}

export type AgentKeeper = {
  readonly silentSeconds: number
  /** Opens the port if there are agents, then looks after them again and again. */
  start(): void
  stop(): Promise<void>
  /** Opens the port. Refuses (`config/agent-port-taken`) when it cannot be had. */
  invite(wanted: {
    readonly siteId: SiteId
    readonly roles: readonly AgentRole[]
    /** By which the server reaches us: `http://host:port`. */
    readonly proxy: string | null
    readonly by: string
  }): Promise<Invited>
  /** Its connection ends at once. Repeatable. */
  revoke(agent: Agent, by: string): Promise<void>
  /**
   * The hardware that it came from first at `at`, and was refused for, is that of its server. Refuses (`agent/hardware-not-seen`) when it is
   * another one by now.
   */
  acceptHardware(agent: Agent, at: Instant, by: string): Promise<void>
  /** What is offered to agents: the version for each platform. */
  offered(): Promise<ReadonlyMap<string, string>>
  /** Has it exchange its program. Refuses (`agent/no-upgrade`, `agent/not-upgradable`) where there is nothing newer for it, or it cannot. */
  upgrade(agent: Agent, by: string): Promise<AgentOrder>
  /** Refuses what its roles do not allow (`agent/role-missing`), and what a revoked one is asked (`agent/revoked`). */
  ask(agent: Agent, order: { readonly kind: AgentOrderKind; readonly by: string }): Promise<AgentOrder>
}

export function createAgentKeeper(
  parts: AgentParts,
  lines: AgentLines = createAgentLines(),
  writes: WriteLines = createWriteLines(),
): AgentKeeper {
  const connections = new Map<AgentId, AgentConnection>()
  const audit = agentAudit(parts)
  let key: ProgramKey | null = null
  const programKey = (): ProgramKey => (key ??= loadProgramKey(parts.config.home))
  const programs = offerPrograms(parts.programFolder, programKey)
  const oneAtATime = inTurn()
  let certificate: AgentCertificate | null = null
  let listening: { readonly listener: AgentListener; readonly since: number } | null = null
  let stopped = false

  /** When somebody last came as an agent that is another one. */
  const suspicions = new Map<string, Instant>()
  const suspect = async (agent: Agent, { code, message, remedy }: Refusal): Promise<void> => {
    suspicions.set(`${code} ${agent.id}`, parts.clock.now())
    await raiseAlert(parts, { severity: 'critical', code, message, remedy, subject: agent })
  }

  /** Two hellos of one agent must not both find nobody there. */
  const admit = (connection: AgentConnection): Promise<void> =>
    oneAtATime(async () => {
      const { agentId } = connection
      const other = connections.get(agentId)
      if (other && other.instance !== connection.instance && (await other.isThere())) {
        const agent = await parts.stores.agents.find(agentId)
        const refusal = claimedTwice(agentId, agent?.name ?? agentId)
        if (agent) await suspect(agent, refusal)
        throw refusal
      }
      connections.set(agentId, connection)
      other?.end(null)
    })

  const listen = (): Promise<AgentListener> =>
    oneAtATime(async () => {
      if (listening) return listening.listener
      if (stopped) throw new Error('The server stops')
      certificate ??= loadAgentCertificate(parts.config.home)
      const { fingerprint } = certificate
      const host = {
        parts,
        audit,
        lines,
        writes,
        fingerprint,
        programKey: programKey().publicKey,
        admit,
        suspect,
        gone: (connection: AgentConnection) => {
          if (connections.get(connection.agentId) !== connection) return
          connections.delete(connection.agentId)
          parts.live.changed('agents', connection.agentId)
        },
      }
      const where = { host: parts.config.agentHost ?? parts.config.host, port: parts.config.agentPort }
      const listener = await listenForAgents(where, certificate, {
        enrol: (body, ip) => enrolAgent(parts, audit, { body, fingerprint, programKey: host.programKey, ip }),
        control: (socket, ip) => acceptAgent(host, socket, ip),
        stream: (request) => takeStream(host, request),
        program: programs.answer,
        writes: (request, response) => giveWrites(host, request, response),
      })
      listening = { listener, since: parts.clock.now() }
      parts.log.info({ port: listener.port }, 'agents are listened for')
      return listener
    })

  const round = async (): Promise<void> => {
    const agents = await parts.stores.agents.list()
    if (agents.some(({ revokedAt }) => revokedAt === null)) await listenOrTell()
    const byId = new Map(agents.map((agent) => [agent.id, agent]))
    for (const [id, connection] of connections) {
      const agent = byId.get(id)
      if (agent === undefined || agent.revokedAt !== null) connection.end(revoked(agent ?? { id, name: id }))
      // Another hardware was accepted meanwhile, perhaps by another server process: this one is a copy by now, and is told so when it knocks.
      else if (agent.hardware !== null && !judgeHardware(agent.hardware, connection.hardware).same)
        connection.end(null)
    }
    const waitedFor = await parts.stores.agents.waitedFor()
    for (const [id, connection] of connections) if (waitedFor.has(id)) await connection.pushOrders()
    await tellSilence(agents)
    for (const code of [CLAIMED_TWICE, OTHER_SERVER]) await calmDown(code, byId)
  }

  /** Nobody has come as another one for a while: the copy is gone, or was enrolled by itself. */
  const calmDown = async (code: string, agents: ReadonlyMap<AgentId, Agent>): Promise<void> => {
    for (const id of await parts.stores.alerts.openSubjects(code)) {
      const agent = agents.get(id as AgentId)
      const last = suspicions.get(`${code} ${id}`) ?? listening?.since ?? 0
      if (parts.clock.now() - last < SUSPICION_MILLISECONDS) continue
      suspicions.delete(`${code} ${id}`)
      if (code === OTHER_SERVER && agent) await parts.stores.agents.setOtherHardware(agent.id, null)
      await resolveAlert(parts, code, { id, name: agent?.name ?? id })
    }
  }

  const listenOrTell = async (): Promise<void> => {
    if (listening) return
    try {
      await listen()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const { message, remedy } = error
      await raiseAlert(parts, { severity: 'critical', code: NO_PORT, message, remedy, subject: null })
      return
    }
    if (await parts.stores.alerts.resolve(NO_PORT, null, parts.clock.now()))
      parts.live.changed('alerts', null)
  }

  const tellSilence = async (agents: readonly Agent[]): Promise<void> => {
    if (!listening) return
    const open = await parts.stores.alerts.openSubjects(SILENT)
    const now = parts.clock.now()
    // A computer leaves its rescue system without a word; whoever waits for one is told by what it waits with.
    for (const agent of agents.filter(({ roles }) => !isReceiver(roles))) {
      // What was not listened for was not missed: after a stop of the server they have their time to come back.
      const heard = Math.max(agent.seenAt ?? agent.enrolledAt, listening.since)
      const state = stateOfAgent({ ...agent, seenAt: heard }, now, parts.config.agentSilentSeconds)
      if (state === 'silent')
        await raiseAlert(parts, {
          severity: 'warning',
          code: SILENT,
          message: `The agent ${agent.name} is silent`,
          remedy:
            'See whether its server runs and reaches this one: `understudy-agent status` says there what it waits for.',
          subject: agent,
        })
      else if (open.has(agent.id)) await resolveAlert(parts, SILENT, agent)
    }
    // With its site an agent goes, and nobody waits for it any more.
    for (const id of open)
      if (!agents.some((agent) => agent.id === id)) await resolveAlert(parts, SILENT, { id, name: id })
  }

  const rounds = createRecurring(
    {
      log: engineLog(parts.log),
      sleep: (milliseconds, signal) => wait(milliseconds, undefined, signal ? { signal } : {}),
    },
    { name: 'looking after agents', everyMilliseconds: ROUND_MILLISECONDS },
    round,
  )

  const commandsFor = async (
    port: number,
    token: string,
    { roles, proxy }: { readonly roles: readonly AgentRole[]; readonly proxy: string | null },
  ): Promise<Pick<Invited, 'command' | 'installCommand'>> => {
    const { fingerprint, keyPin } = present(certificate, 'whoever listens has a certificate')
    const server = addressFor(parts, port)
    const by = proxy === null ? '' : ` --proxy ${proxy}`
    const options = `--server ${server} --token ${token} --fingerprint ${fingerprint}${by}`
    // Nobody vouches for our certificate (-k); its key alone is believed, and that is checked all the same.
    const fetching = `curl -fk --retry 9 --pinnedpubkey 'sha256//${keyPin}'${by} -o understudy-agent ${server}${agentPaths.program}/linux-$(uname -m)`
    return {
      command: `understudy-agent ${isReceiver(roles) ? 'receive' : 'enrol'} ${options}`,
      // A rescue system has the program, and nothing is installed in it.
      installCommand:
        !isReceiver(roles) && (await programs.isThere())
          ? `${fetching} && chmod +x understudy-agent && ./understudy-agent install ${options}`
          : null,
    }
  }

  const ask: AgentKeeper['ask'] = async (agent, { kind, by }) => {
    if (agent.revokedAt !== null) throw revoked(agent)
    if (!mayAgent(agent.roles, kind))
      throw new Refusal({
        code: 'agent/role-missing',
        message: `The roles of the agent ${agent.name} do not allow this`,
        remedy: 'Enrol an agent with another role.',
      })
    const order = await parts.stores.agents.order({
      id: parts.newId() as AgentOrderId,
      agentId: agent.id,
      kind,
      askedBy: by,
      askedAt: parts.clock.now(),
    })
    await connections.get(agent.id)?.pushOrders()
    parts.live.changed('agents', agent.id)
    return order
  }

  return {
    ask,
    offered: () => programs.versions(),
    async upgrade(agent, by) {
      if (agent.revokedAt !== null) throw revoked(agent)
      const versions = await programs.versions()
      const judged = judgeUpgrade(agent, (platform) => versions.get(platform) ?? null)
      if (judged === null) throw noUpgrade(agent)
      if (judged.whyNot !== null) throw notUpgradable(agent, judged.whyNot)
      return ask(agent, { kind: 'upgrade', by })
    },
    silentSeconds: parts.config.agentSilentSeconds,
    start: () => rounds.start(),
    async stop() {
      stopped = true
      await rounds.stop()
      lines.stop()
      writes.stop()
      for (const connection of connections.values()) connection.end(null)
      await oneAtATime(async () => {})
      await listening?.listener.close()
      listening = null
    },
    async invite({ siteId, roles, proxy, by }) {
      if (!goTogether(roles)) throw twoRoles()
      const { port } = await listen()
      // Never begins with a dash: command lines would take it for an option.
      const token = `us_${newSecret()}`
      const createdAt = parts.clock.now()
      const invitation: AgentInvitation = {
        id: parts.newId() as AgentInvitationId,
        siteId,
        tokenHash: hashSecret(token),
        roles: [...new Set(roles)],
        createdBy: by,
        createdAt,
        expiresAt: createdAt + INVITATION_MINUTES * 60_000,
        usedAt: null,
      }
      await parts.stores.agents.invite(invitation)
      return { invitation, token, ...(await commandsFor(port, token, { roles, proxy })) }
    },
    async revoke(agent, by) {
      if (await parts.stores.agents.revoke(agent.id, parts.clock.now(), by)) {
        await recordEvent(parts, {
          severity: 'warning',
          code: 'agent/revoked',
          message: `The agent ${agent.name} was revoked`,
          subject: agent,
          facts: { by },
        })
        await parts.stores.alerts.resolveAll(agent.id, parts.clock.now())
        parts.live.changed('alerts', null)
      }
      connections.get(agent.id)?.end(revoked(agent))
      parts.live.changed('agents', agent.id)
    },
    async acceptHardware(agent, at, by) {
      if (agent.revokedAt !== null) throw revoked(agent)
      if (!(await parts.stores.agents.acceptHardware(agent.id, at))) throw hardwareNotSeen(agent)
      await recordEvent(parts, {
        severity: 'warning',
        code: 'agent/hardware-accepted',
        message: `The hardware that the agent ${agent.name} came from was accepted as that of its server`,
        subject: agent,
        facts: { by, why: agent.otherHardware?.why ?? '' },
      })
      await resolveAlert(parts, OTHER_SERVER, agent)
      // Whoever is connected from the older one is not that server any more, and is told so when it comes again.
      connections.get(agent.id)?.end(null)
      parts.live.changed('agents', agent.id)
    },
  }
}

const twoRoles = (): Refusal =>
  new Refusal({
    code: 'agent/roles-apart',
    message: 'An agent protects its server, or receives one that comes home: never both',
    remedy: 'Choose one of the two roles.',
  })

const claimedTwice = (id: AgentId, name: string): Refusal =>
  new Refusal({
    code: CLAIMED_TWICE,
    message: `Two processes say that they are the agent ${name}; the second one was turned away`,
    remedy:
      'If its server or its folder was copied, enrol an agent of its own there. If you know nothing of a copy, revoke the agent: its key may have been taken.',
    facts: { agent: id },
  })

const noUpgrade = (agent: Agent): Refusal =>
  new Refusal({
    code: 'agent/no-upgrade',
    message: `There is no newer program here for the agent ${agent.name} (${agent.version})`,
    remedy:
      'Bring the control plane to a newer version, and build the programs: npm run build:agent -- --all',
  })

const notUpgradable = (agent: Agent, why: string): Refusal =>
  new Refusal({
    code: 'agent/not-upgradable',
    message: `The agent ${agent.name} cannot exchange its program: ${why}`,
    remedy:
      'Run the command of a new invitation on its server: it exchanges the program and keeps the agent.',
  })

const hardwareNotSeen = (agent: Agent): Refusal =>
  new Refusal({
    code: 'agent/hardware-not-seen',
    message: `The agent ${agent.name} does not come from that hardware any more`,
    remedy: 'Look at the agent again; it is told there what it comes from.',
    facts: { agent: agent.id },
  })

/** How agents reach this server, as far as it knows that itself. */
function addressFor({ config }: AgentParts, port: number): string {
  if (config.agentUrl !== null) return config.agentUrl.replace(/\/$/, '')
  const host = config.agentHost ?? config.host
  const everywhere = host === '0.0.0.0' || host === '::'
  const known = everywhere
    ? config.publicUrl === null
      ? hostname()
      : new URL(config.publicUrl).hostname
    : host
  return `https://${known.includes(':') && !known.startsWith('[') ? `[${known}]` : known}:${port}`
}
