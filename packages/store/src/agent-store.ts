import {
  type Agent,
  type AgentFacts,
  type AgentHealth,
  type AgentId,
  type AgentInvitationId,
  type AgentOrderId,
  type AgentOrderKind,
  type AgentRole,
  isReceiver,
} from '@understudy/domain/agents/agent'
import type { OtherHardware, ServerHardware } from '@understudy/domain/agents/server-hardware'
import type { SiteId } from '@understudy/domain/sites/site'
import type { AgentAnswer, AgentOrder, AgentStore } from '@understudy/engine/ports/agent-store'
import {
  type Database,
  fromJson,
  inTransaction,
  notFound,
  refuseReferenced,
  takeTurn,
  toDate,
  toInstant,
  toJson,
  withFailures,
} from './database.ts'
import { type AgentOrder as OrderRow, Prisma, type Agent as Row } from './generated/client.ts'

export function agentStore(database: Database): AgentStore {
  const { prisma, pool } = database
  return withFailures<AgentStore>({
    list: async () =>
      (await prisma.agent.findMany({ orderBy: [{ name: 'asc' }, { id: 'asc' }] })).map(toAgent),
    async find(id) {
      const row = await prisma.agent.findUnique({ where: { id } })
      return row && toAgent(row)
    },
    async invite(invitation) {
      const data = {
        ...invitation,
        roles: [...invitation.roles],
        createdAt: toDate(invitation.createdAt),
        expiresAt: toDate(invitation.expiresAt),
        usedAt: toDate(invitation.usedAt),
      }
      await refuseReferenced(prisma.agentInvitation.create({ data }), () =>
        notFound('site', invitation.siteId),
      )
    },
    enrol: (tokenHash, at, wanted, receives = false) =>
      inTransaction(database, async (transaction) => {
        // Two agents with one token, or two on one server, must not both find nobody before them.
        await takeTurn(transaction, 'agents')
        const invitation = await transaction.agentInvitation.findUnique({ where: { tokenHash } })
        if (invitation === null) return { kind: 'token-not-valid' }
        if (invitation.usedAt !== null) {
          const made = await transaction.agent.findUnique({ where: { invitationId: invitation.id } })
          const same =
            made?.publicKey === wanted.publicKey &&
            made.serverIdentity === wanted.serverIdentity &&
            made.revokedAt === null
          return same ? { kind: 'repeated', agent: toAgent(made) } : { kind: 'token-not-valid' }
        }
        if (invitation.expiresAt <= toDate(at)) return { kind: 'token-not-valid' }
        if (isReceiver(invitation.roles as AgentRole[]) !== receives) return { kind: 'other-role' }
        const there = await transaction.agent.findUnique({ where: { serverKey: wanted.serverIdentity } })
        if (there !== null) return { kind: 'server-taken', by: toAgent(there) }
        await transaction.agentInvitation.update({
          where: { tokenHash },
          data: { usedAt: toDate(at) },
        })
        const row = await transaction.agent.create({
          data: {
            ...wanted,
            facts: toJson(wanted.facts),
            hardware: toJsonOrNull(wanted.hardware),
            siteId: invitation.siteId,
            invitationId: invitation.id,
            roles: invitation.roles,
            serverKey: wanted.serverIdentity,
            enrolledAt: toDate(at),
          },
        })
        return { kind: 'enrolled', agent: toAgent(row) }
      }),
    async revoke(id, at, by) {
      const { count } = await prisma.agent.updateMany({
        where: { id, revokedAt: null },
        data: { revokedAt: toDate(at), revokedBy: by, serverKey: null },
      })
      return count === 1
    },
    async allowed(ids) {
      if (ids.length === 0) return new Set()
      const rows = await prisma.agent.findMany({
        where: { id: { in: [...ids] }, revokedAt: null },
        select: { id: true },
      })
      return new Set(rows.map((row) => row.id as AgentId))
    },
    async seen(id, { seenAt, clockSkewMilliseconds, health, version, facts, hardware }) {
      await prisma.agent.updateMany({
        where: { id },
        data: {
          seenAt: toDate(seenAt),
          clockSkewMilliseconds,
          ...(health === undefined ? {} : { health: toJson(health) }),
          ...(version === undefined ? {} : { version }),
          ...(facts === undefined ? {} : { facts: toJson(facts) }),
          ...(hardware === undefined ? {} : { hardware: toJson(hardware) }),
        },
      })
    },
    async setOtherHardware(id, other) {
      await prisma.agent.updateMany({ where: { id }, data: { otherHardware: toJsonOrNull(other) } })
    },
    acceptHardware: (id, at) =>
      inTransaction(database, async (transaction) => {
        await takeTurn(transaction, 'agents')
        const row = await transaction.agent.findUnique({ where: { id }, select: { otherHardware: true } })
        const other = row?.otherHardware == null ? null : fromJson<OtherHardware>(row.otherHardware)
        if (other?.at !== at) return false
        await transaction.agent.update({
          where: { id },
          data: { hardware: toJson(other.hardware), otherHardware: toJsonOrNull(null) },
        })
        return true
      }),
    async setHardware(id, hardware) {
      await prisma.agent.updateMany({
        where: { id },
        data: { hardware: toJson(hardware), otherHardware: toJsonOrNull(null) },
      })
    },
    received: async (id) =>
      (await prisma.agent.findUnique({ where: { id }, select: { received: true } }))?.received ?? 0,
    take: (id, sequence, answered) =>
      inTransaction(database, async (transaction) => {
        // Compare and set, which also locks the row: of two connections that bring it one takes it.
        const { count } = await transaction.agent.updateMany({
          where: { id, received: sequence - 1 },
          data: { received: sequence },
        })
        if (count === 0) return false
        if (answered === null) return true
        const { orderId, answer, at } = answered
        await transaction.agentOrder.updateMany({
          where: { id: orderId, agentId: id, answeredAt: null },
          data: { answeredAt: toDate(at), answer: toJson(answer) },
        })
        if (answer.kind === 'facts')
          await transaction.agent.updateMany({ where: { id }, data: { facts: toJson(answer.facts) } })
        return true
      }),
    order: (order) =>
      inTransaction(database, async (transaction) => {
        const there = await transaction.agent.updateMany({
          where: { id: order.agentId },
          data: { ordered: { increment: 1 } },
        })
        if (there.count === 0) throw notFound('agent', order.agentId)
        const { ordered } = await transaction.agent.findUniqueOrThrow({
          where: { id: order.agentId },
          select: { ordered: true },
        })
        const row = await transaction.agentOrder.create({
          data: {
            ...order,
            sequence: ordered,
            askedAt: toDate(order.askedAt),
          },
        })
        return toOrder(row)
      }),
    async catchUp(id, ordered) {
      await prisma.agent.updateMany({ where: { id, ordered: { lt: ordered } }, data: { ordered } })
    },
    async waitedFor() {
      const rows = await prisma.agentOrder.findMany({
        where: { answeredAt: null },
        distinct: ['agentId'],
        select: { agentId: true },
      })
      return new Set(rows.map((row) => row.agentId as AgentId))
    },
    async open(id, behind) {
      const rows = await prisma.agentOrder.findMany({
        where: { agentId: id, sequence: { gt: behind }, answeredAt: null },
        orderBy: { sequence: 'asc' },
      })
      return rows.map(toOrder)
    },
    async findOrder(id) {
      const row = await prisma.agentOrder.findUnique({ where: { id } })
      return row && toOrder(row)
    },
    async newestAnswers() {
      const rows = await prisma.agentOrder.findMany({
        where: { answeredAt: { not: null } },
        distinct: ['agentId', 'kind'],
        orderBy: [{ agentId: 'asc' }, { kind: 'asc' }, { sequence: 'desc' }],
      })
      return rows.map(toOrder)
    },
    async trim(before) {
      const orders = await pool.query(trimStatement, [toDate(before)])
      const invitations = await prisma.agentInvitation.deleteMany({
        where: { expiresAt: { lt: toDate(before) } },
      })
      return (orders.rowCount ?? 0) + invitations.count
    },
  })
}

// An order that nobody will answer any more goes with the others of its time.
const trimStatement = `
  DELETE FROM "AgentOrder" o WHERE o."askedAt" < $1 AND EXISTS (
    SELECT 1 FROM "AgentOrder" newer
    WHERE newer."agentId" = o."agentId" AND newer."kind" = o."kind" AND newer."sequence" > o."sequence"
      AND newer."answeredAt" IS NOT NULL)`

const toJsonOrNull = (value: object | null) => (value === null ? Prisma.DbNull : toJson(value))

const toAgent = (row: Row): Agent => ({
  id: row.id as AgentId,
  siteId: row.siteId as SiteId,
  invitationId: row.invitationId as AgentInvitationId,
  name: row.name,
  roles: row.roles as AgentRole[],
  publicKey: row.publicKey,
  serverIdentity: row.serverIdentity,
  hardware: row.hardware === null ? null : fromJson<ServerHardware>(row.hardware),
  otherHardware: row.otherHardware === null ? null : fromJson<OtherHardware>(row.otherHardware),
  enrolledAt: toInstant(row.enrolledAt),
  version: row.version,
  facts: fromJson<AgentFacts>(row.facts),
  health: row.health === null ? null : fromJson<AgentHealth>(row.health),
  seenAt: toInstant(row.seenAt),
  clockSkewMilliseconds: row.clockSkewMilliseconds,
  revokedAt: toInstant(row.revokedAt),
  revokedBy: row.revokedBy,
})

const toOrder = (row: OrderRow): AgentOrder => ({
  id: row.id as AgentOrderId,
  agentId: row.agentId as AgentId,
  sequence: row.sequence,
  kind: row.kind as AgentOrderKind,
  askedBy: row.askedBy,
  askedAt: toInstant(row.askedAt),
  answeredAt: toInstant(row.answeredAt),
  answer: row.answer === null ? null : fromJson<AgentAnswer>(row.answer),
})
