// Receivers: which computers in a rescue system are there, for which servers they stand in, and what a platform needs of them.
import type { Answer } from '@understudy/agent-protocol/asks'
import type { ReceiverLine } from '@understudy/agent-protocol/receiver-line'
import { Outage, Refusal } from '@understudy/base/errors'
import { type Agent, type AgentId, isReceiver } from '@understudy/domain/agents/agent'
import { unknownHardware } from '@understudy/domain/agents/server-hardware'
import {
  assignDisks,
  type ChosenDisk,
  type ReceiverAssignment,
  type ReceiverAssignmentId,
  runsElsewhere,
} from '@understudy/domain/failover/receiver'
import type { Machine } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import { recordEvent } from '@understudy/engine/events/report'
import type { AuditEntryId, ControlPlaneStores } from '@understudy/engine/ports/access-stores'
import type { Live } from '@understudy/engine/ports/live'
import type { Stores } from '@understudy/engine/ports/stores'
import type { AgentLines } from './agent-lines.ts'
import type { WriteLines } from './write-lines.ts'

export type ReceiverParts = {
  readonly stores: Stores & Pick<ControlPlaneStores, 'agents' | 'audit' | 'receivers'>
  readonly live: Live
  readonly clock: { now(): number }
  readonly newId: () => string
  readonly lines: AgentLines
  readonly writes: WriteLines
}

export type DescribedReceiver = Answer<'describe-receiver'>

export type Receiver = {
  readonly agent: Agent
  readonly assignment: ReceiverAssignment | null
  /** Null: it is not connected, or does not answer now. */
  readonly described: DescribedReceiver | null
}

export type Receivers = {
  readonly line: ReceiverLine
  /** Those that are not revoked, each asked for its disks. */
  list(siteId: SiteId | null): Promise<readonly Receiver[]>
  /** Servers of its site that it could stand in for now. */
  serversFor(agent: Agent): Promise<readonly Machine[]>
  /** Refuses (`receiver/...`) what must not be overwritten, or is no server that comes home. */
  assign(
    agent: Agent,
    choice: { readonly machine: Machine; readonly disks: readonly ChosenDisk[]; readonly by: string },
  ): Promise<ReceiverAssignment>
  /** Refuses (`receiver/is-written`) while something is written. Repeatable. */
  takeBack(agent: Agent, by: string): Promise<void>
}

const DESCRIBE_SECONDS = 10
const SYSTEM = 'understudy'

export function createReceivers(parts: ReceiverParts): Receivers {
  const { stores, live, clock, lines, writes } = parts
  /** In this process; another one that writes finds its assignment gone. */
  const held = new Map<ReceiverAssignmentId, number>()

  /** Those whose receivers may still come: with a revoked one its assignment is over. */
  const current = async (): Promise<readonly ReceiverAssignment[]> => {
    const assignments = await stores.receivers.list()
    const allowed = await stores.agents.allowed(assignments.map(({ agentId }) => agentId))
    for (const { id, agentId } of assignments) if (!allowed.has(agentId)) await stores.receivers.end(id)
    return assignments.filter(({ agentId }) => allowed.has(agentId))
  }
  const describe = async (agent: Agent): Promise<DescribedReceiver | null> => {
    if (!lines.isConnected(agent.id)) return null
    return await lines
      .ask(agent.id, 'describe-receiver', {}, AbortSignal.timeout(DESCRIBE_SECONDS * 1000))
      .catch(() => null)
  }
  const audit = (action: string, agent: Agent, facts: Record<string, unknown>): Promise<void> =>
    stores.audit.append({
      id: parts.newId() as AuditEntryId,
      at: clock.now(),
      who: SYSTEM,
      action,
      subject: agent.id,
      subjectName: agent.name,
      outcome: 'granted',
      facts,
      ip: null,
    })
  const serversFor = async (agent: Agent): Promise<readonly Machine[]> => {
    const [machines, protections, assignments] = await Promise.all([
      stores.machines.list(agent.siteId),
      stores.protections.list(),
      current(),
    ])
    return machines.filter(
      ({ ref }) =>
        protections.some((protection) => runsElsewhere(agent.siteId, ref, protection)) &&
        !assignments.some((each) => each.siteId === agent.siteId && each.serverRef === ref),
    )
  }

  const line: ReceiverLine = {
    async standInOf(siteId, ref) {
      const assignment = await stores.receivers.findByServer(siteId, ref)
      if (!assignment) return null
      const agent = await stores.agents.find(assignment.agentId)
      if (!agent || agent.revokedAt !== null) {
        await stores.receivers.end(assignment.id)
        return null
      }
      return {
        ...assignment,
        agentName: agent.name,
        hostName: agent.facts.hostName,
        connected: lines.isConnected(agent.id),
      }
    },
    async free(siteId) {
      const [agents, assignments] = await Promise.all([stores.agents.list(), current()])
      return agents.filter(
        (agent) =>
          agent.siteId === siteId &&
          agent.revokedAt === null &&
          isReceiver(agent.roles) &&
          lines.isConnected(agent.id) &&
          !assignments.some(({ agentId }) => agentId === agent.id),
      ).length
    },
    hold(id) {
      held.set(id, (held.get(id) ?? 0) + 1)
      let isHeld = true
      return () => {
        if (!isHeld) return
        isHeld = false
        const left = (held.get(id) ?? 1) - 1
        if (left > 0) held.set(id, left)
        else held.delete(id)
      }
    },
    async note(id, state) {
      if (!(await stores.receivers.note(id, state))) throw isOver()
      live.changed('agents', null)
    },
    write: ({ agentId }, piece, signal) => writes.write(agentId, piece, signal),
    async expectHome({ siteId, serverRef, agentId }) {
      const [receiver, own] = await Promise.all([
        stores.agents.find(agentId),
        ownAgent(stores, siteId, serverRef),
      ])
      if (own) await stores.agents.setHardware(own.id, receiver?.hardware ?? unknownHardware)
    },
    async tellFinished({ agentId, agentName, serverRef }, changes) {
      await recordEvent(parts, {
        severity: 'info',
        code: 'receiver/finished',
        message:
          `The disks of ${agentName} were made fit to start there: ${changes.length === 0 ? 'nothing had to be changed' : changes.join('; ')}`.slice(
            0,
            4000,
          ),
        subject: { id: agentId, name: agentName },
        facts: { server: serverRef, changes },
      })
    },
    async cameHome({ id, agentId, serverRef, disks }) {
      const agent = await stores.agents.find(agentId)
      const isFirst = agent !== null && (await stores.agents.revoke(agent.id, clock.now(), SYSTEM))
      await stores.receivers.end(id)
      if (!isFirst) return
      await audit('agents.cameHome', agent, { server: serverRef, disks })
      await recordEvent(parts, {
        severity: 'info',
        code: 'receiver/came-home',
        message: `The server that ${agent.name} received has come home; the receiver was let go`,
        subject: agent,
        facts: { server: serverRef },
      })
      live.changed('agents', agent.id)
    },
  }

  return {
    line,
    serversFor,
    async list(siteId) {
      const [agents, assignments] = await Promise.all([stores.agents.list(), current()])
      return await Promise.all(
        agents
          .filter((agent) => isReceiver(agent.roles) && agent.revokedAt === null)
          .filter((agent) => siteId === null || agent.siteId === siteId)
          .map(async (agent) => ({
            agent,
            assignment: assignments.find(({ agentId }) => agentId === agent.id) ?? null,
            described: await describe(agent),
          })),
      )
    },
    async assign(agent, { machine, disks, by }) {
      if (!isReceiver(agent.roles) || agent.revokedAt !== null) throw noReceiver(agent)
      const servers = await serversFor(agent)
      if (!servers.some(({ id }) => id === machine.id)) {
        const taken = await stores.receivers.findByServer(machine.siteId, machine.ref)
        throw taken ? serverTaken(machine) : doesNotComeHome(machine)
      }
      const described = await describe(agent)
      if (!described) throw away(agent)
      const assignment = await stores.receivers.assign({
        id: parts.newId() as ReceiverAssignmentId,
        agentId: agent.id,
        siteId: agent.siteId,
        serverRef: machine.ref,
        disks: assignDisks(machine.hardware.disks, described.disks, disks),
        assignedBy: by,
        assignedAt: clock.now(),
      })
      if (!assignment) throw alreadyAssigned(agent)
      await recordEvent(parts, {
        severity: 'warning',
        code: 'receiver/assigned',
        message: `The disks of ${agent.name} are for the server ${machine.name}, and will be overwritten when it comes home`,
        subject: agent,
        facts: { by, server: machine.ref, disks: assignment.disks },
      })
      live.changed('agents', agent.id)
      return assignment
    },
    async takeBack(agent, by) {
      const assignment = (await stores.receivers.list()).find(({ agentId }) => agentId === agent.id)
      if (!assignment) return
      if (held.has(assignment.id)) throw isWritten(agent)
      if (!(await stores.receivers.end(assignment.id))) return
      await recordEvent(parts, {
        severity: 'info',
        code: 'receiver/taken-back',
        message: `${agent.name} stands in for no server any more`,
        subject: agent,
        facts: { by, server: assignment.serverRef, state: assignment.state },
      })
      live.changed('agents', agent.id)
    },
  }
}

const ownAgent = async (
  stores: ReceiverParts['stores'],
  siteId: SiteId,
  identity: string,
): Promise<{ readonly id: AgentId } | null> =>
  (await stores.agents.list()).find(
    (agent) =>
      agent.siteId === siteId &&
      agent.serverIdentity === identity &&
      agent.revokedAt === null &&
      !isReceiver(agent.roles),
  ) ?? null

const isOver = (): Refusal =>
  new Refusal({
    code: 'receiver/assigned-anew',
    message: 'The receiver stands in for this server no more',
    remedy: 'Look at the receivers of the site, and begin anew with what is assigned now.',
  })

const noReceiver = ({ name }: Agent): Refusal =>
  new Refusal({
    code: 'receiver/none',
    message: `${name} is no receiver whose disks may be written`,
    remedy: 'Start the computer from the rescue system, and enrol its agent as a receiver.',
  })

const serverTaken = ({ name }: Machine): Refusal =>
  new Refusal({
    code: 'receiver/server-taken',
    message: `Another receiver stands in for ${name} already`,
    remedy: 'Take that assignment back first.',
  })

const doesNotComeHome = ({ name }: Machine): Refusal =>
  new Refusal({
    code: 'receiver/not-failed-over',
    message: `${name} is not failed over: its own disks are in use`,
    remedy: 'Fail it over first. Only a server whose replica runs elsewhere comes home.',
  })

const alreadyAssigned = ({ name }: Agent): Refusal =>
  new Refusal({
    code: 'receiver/taken',
    message: `${name} stands in for a server already, or that server has another receiver now`,
    remedy: 'Read the list again; take the assignment back first.',
  })

const away = ({ name }: Agent): Outage =>
  new Outage({
    code: 'receiver/away',
    message: `The receiver ${name} does not answer`,
    remedy: 'See whether its rescue system runs and reaches this server.',
  })

const isWritten = ({ name }: Agent): Refusal =>
  new Refusal({
    code: 'receiver/is-written',
    message: `The disks of ${name} are being written`,
    remedy: 'Cancel the fail-back first, or wait for its end.',
  })
