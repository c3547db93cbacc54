// Agents in plain memory: the model that the PostgreSQL store is judged by.
import { Refusal } from '@understudy/base/errors'
import {
  type Agent,
  type AgentId,
  type AgentInvitation,
  type AgentOrderId,
  isReceiver,
} from '@understudy/domain/agents/agent'
import type { AgentOrder, AgentStore, EnrolVerdict } from '@understudy/engine/ports/agent-store'

type Numbers = { received: number; ordered: number }

const copy = <Value>(value: Value): Value => structuredClone(value)

/** Every operation is atomic: nothing awaits between reading and writing. */
export function memoryAgentStore(): AgentStore {
  const agents = new Map<AgentId, Agent>()
  const numbers = new Map<AgentId, Numbers>()
  const invitations = new Map<string, AgentInvitation>()
  const orders = new Map<AgentOrderId, AgentOrder>()
  const ordersOf = (id: AgentId): AgentOrder[] =>
    [...orders.values()].filter(({ agentId }) => agentId === id).sort((a, b) => a.sequence - b.sequence)

  const enrol: (...given: Parameters<AgentStore['enrol']>) => EnrolVerdict = (
    tokenHash,
    at,
    wanted,
    receives = false,
  ) => {
    const invitation = invitations.get(tokenHash)
    if (!invitation) return { kind: 'token-not-valid' }
    const all = [...agents.values()]
    if (invitation.usedAt !== null) {
      const made = all.find(({ invitationId }) => invitationId === invitation.id)
      const same =
        made?.publicKey === wanted.publicKey &&
        made.serverIdentity === wanted.serverIdentity &&
        made.revokedAt === null
      return same ? { kind: 'repeated', agent: copy(made) } : { kind: 'token-not-valid' }
    }
    if (invitation.expiresAt <= at) return { kind: 'token-not-valid' }
    if (isReceiver(invitation.roles) !== receives) return { kind: 'other-role' }
    const there = all.find(
      (agent) => agent.serverIdentity === wanted.serverIdentity && agent.revokedAt === null,
    )
    if (there) return { kind: 'server-taken', by: copy(there) }
    invitations.set(tokenHash, { ...invitation, usedAt: at })
    const agent: Agent = {
      ...wanted,
      siteId: invitation.siteId,
      invitationId: invitation.id,
      roles: invitation.roles,
      enrolledAt: at,
      otherHardware: null,
      health: null,
      seenAt: null,
      clockSkewMilliseconds: null,
      revokedAt: null,
      revokedBy: null,
    }
    agents.set(agent.id, copy(agent))
    numbers.set(agent.id, { received: 0, ordered: 0 })
    return { kind: 'enrolled', agent: copy(agent) }
  }

  return {
    list: async () =>
      copy(
        [...agents.values()].sort((a, b) =>
          a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1,
        ),
      ),
    find: async (id) => copy(agents.get(id) ?? null),
    async invite(invitation) {
      invitations.set(invitation.tokenHash, copy(invitation))
    },
    enrol: async (...given) => enrol(...given),
    async revoke(id, at, by) {
      const agent = agents.get(id)
      if (!agent || agent.revokedAt !== null) return false
      agents.set(id, { ...agent, revokedAt: at, revokedBy: by })
      return true
    },
    allowed: async (ids) => new Set(ids.filter((id) => agents.get(id)?.revokedAt === null)),
    async seen(id, contact) {
      const agent = agents.get(id)
      if (agent) agents.set(id, copy({ ...agent, ...contact }))
    },
    async setOtherHardware(id, otherHardware) {
      const agent = agents.get(id)
      if (agent) agents.set(id, copy({ ...agent, otherHardware }))
    },
    async acceptHardware(id, at) {
      const agent = agents.get(id)
      if (!agent || agent.otherHardware?.at !== at) return false
      agents.set(id, { ...agent, hardware: agent.otherHardware.hardware, otherHardware: null })
      return true
    },
    async setHardware(id, hardware) {
      const agent = agents.get(id)
      if (agent) agents.set(id, copy({ ...agent, hardware, otherHardware: null }))
    },
    received: async (id) => numbers.get(id)?.received ?? 0,
    async take(id, sequence, answered) {
      const number = numbers.get(id)
      if (!number || number.received !== sequence - 1) return false
      number.received = sequence
      const order = answered && orders.get(answered.orderId)
      if (answered && order && order.agentId === id && order.answeredAt === null)
        orders.set(order.id, copy({ ...order, answeredAt: answered.at, answer: answered.answer }))
      const agent = agents.get(id)
      if (agent && answered?.answer.kind === 'facts')
        agents.set(id, { ...agent, facts: answered.answer.facts })
      return true
    },
    async order(order) {
      const number = numbers.get(order.agentId)
      if (!number)
        throw new Refusal({
          code: 'agent/not-found',
          message: `There is no agent ${order.agentId}`,
          remedy: 'Reload the list; somebody may have removed it.',
        })
      number.ordered += 1
      const made: AgentOrder = { ...order, sequence: number.ordered, answeredAt: null, answer: null }
      orders.set(made.id, copy(made))
      return copy(made)
    },
    async catchUp(id, ordered) {
      const number = numbers.get(id)
      if (number) number.ordered = Math.max(number.ordered, ordered)
    },
    waitedFor: async () =>
      new Set(
        [...orders.values()].filter(({ answeredAt }) => answeredAt === null).map((each) => each.agentId),
      ),
    open: async (id, behind) =>
      copy(ordersOf(id).filter(({ sequence, answeredAt }) => sequence > behind && answeredAt === null)),
    findOrder: async (id) => copy(orders.get(id) ?? null),
    newestAnswers: async () => {
      const answered = [...agents.keys()]
        .flatMap((id) => ordersOf(id))
        .filter(({ answeredAt }) => answeredAt !== null)
      return copy([...new Map(answered.map((order) => [`${order.agentId} ${order.kind}`, order])).values()])
    },
    async trim(before) {
      const old = [...orders.values()].filter(
        (order) =>
          order.askedAt < before &&
          ordersOf(order.agentId).some(
            (newer) =>
              newer.kind === order.kind && newer.sequence > order.sequence && newer.answeredAt !== null,
          ),
      )
      const ended = [...invitations.values()].filter(({ expiresAt }) => expiresAt < before)
      for (const { id } of old) orders.delete(id)
      for (const { tokenHash } of ended) invitations.delete(tokenHash)
      return old.length + ended.length
    },
  }
}
