import type { AgentId } from '@understudy/domain/agents/agent'
import type {
  AssignedDisk,
  AssignmentState,
  ReceiverAssignment,
  ReceiverAssignmentId,
} from '@understudy/domain/failover/receiver'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { ReceiverStore } from '@understudy/engine/ports/receiver-store'
import {
  type Database,
  fromJson,
  inTransaction,
  takeTurn,
  toDate,
  toInstant,
  toJson,
  withFailures,
} from './database.ts'
import type { ReceiverAssignment as Row } from './generated/client.ts'

export function receiverStore(database: Database): ReceiverStore {
  const { prisma } = database
  return withFailures<ReceiverStore>({
    list: async () =>
      (await prisma.receiverAssignment.findMany({ orderBy: { epoch: 'asc' } })).map(toAssignment),
    async findByServer(siteId, serverRef) {
      const row = await prisma.receiverAssignment.findUnique({
        where: { siteId_serverRef: { siteId, serverRef } },
      })
      return row && toAssignment(row)
    },
    assign: (wanted) =>
      inTransaction(database, async (transaction) => {
        // Two who assign at once must not both find nobody before them.
        await takeTurn(transaction, 'agents')
        const { agentId, siteId, serverRef } = wanted
        const taken = await transaction.receiverAssignment.findFirst({
          where: { OR: [{ agentId }, { siteId, serverRef }] },
        })
        if (taken !== null) return null
        const row = await transaction.receiverAssignment.create({
          data: {
            ...wanted,
            disks: toJson(wanted.disks),
            state: 'assigned',
            assignedAt: toDate(wanted.assignedAt),
          },
        })
        return toAssignment(row)
      }),
    async note(id, state) {
      const { count } = await prisma.receiverAssignment.updateMany({ where: { id }, data: { state } })
      return count === 1
    },
    async end(id) {
      const { count } = await prisma.receiverAssignment.deleteMany({ where: { id } })
      return count === 1
    },
  })
}

const toAssignment = (row: Row): ReceiverAssignment => ({
  id: row.id as ReceiverAssignmentId,
  epoch: row.epoch,
  agentId: row.agentId as AgentId,
  siteId: row.siteId as SiteId,
  serverRef: row.serverRef as MachineRef,
  disks: fromJson<AssignedDisk[]>(row.disks),
  state: row.state as AssignmentState,
  assignedBy: row.assignedBy,
  assignedAt: toInstant(row.assignedAt),
})
