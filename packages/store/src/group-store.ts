import { Refusal } from '@understudy/base/errors'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { GroupId } from '@understudy/domain/protection/protection'
import type { GroupStore, GroupSummary } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import {
  fromJson,
  refuseMissing,
  refuseReferenced,
  refuseTaken,
  toDate,
  toInstant,
  toJson,
  toKey,
  withFailures,
} from './database.ts'
import type { ConsistencyGroup as GroupRow } from './generated/client.ts'
import { partMissing } from './protection-store.ts'

export function groupStore({ prisma, pool }: Database): GroupStore {
  return withFailures<GroupStore>({
    list: async () =>
      (
        await prisma.consistencyGroup.findMany({
          omit: { summary: true },
          orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        })
      ).map(toGroup),
    async find(id) {
      const row = await prisma.consistencyGroup.findUnique({ where: { id }, omit: { summary: true } })
      return row && toGroup(row)
    },
    async create({ id, name, createdAt }) {
      const columns = { id, name, nameKey: toKey(name), createdAt: toDate(createdAt) }
      const data = { ...columns, summary: toJson(emptySummary) }
      await refuseTaken(prisma.consistencyGroup.create({ data }), () => nameTaken(name))
    },
    async rename(id, name) {
      const data = { name, nameKey: toKey(name) }
      const write = prisma.consistencyGroup.update({ where: { id }, data, select: { id: true } })
      await refuseTaken(refuseMissing(write, 'group', id), () => nameTaken(name))
    },
    async remove(id) {
      // The references of its machines become null with it.
      await prisma.consistencyGroup.deleteMany({ where: { id } })
    },
    async changePolicy(id, policyId) {
      const write = prisma.protection.updateMany({ where: { groupId: id }, data: { policyId } })
      await refuseReferenced(write, partMissing)
    },
    async summaries() {
      const rows = await prisma.consistencyGroup.findMany({ select: { id: true, summary: true } })
      return new Map(rows.map((row) => [row.id as GroupId, fromJson<GroupSummary>(row.summary)]))
    },
    async updateSummary(id, change) {
      // In one statement: two writers of different fields must not undo each other.
      const statement = `UPDATE "ConsistencyGroup" SET "summary" = "summary" || $2::jsonb WHERE "id" = $1`
      await pool.query(statement, [id, JSON.stringify(change)])
    },
  })
}

const emptySummary: GroupSummary = { newestCut: null, newestWholeCut: null, apart: null }

const toGroup = (row: Pick<GroupRow, 'id' | 'name' | 'createdAt'>): ConsistencyGroup => ({
  id: row.id as GroupId,
  name: row.name,
  createdAt: toInstant(row.createdAt),
})

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'group/name-taken',
    message: `There is a group called "${name}" already`,
    remedy: 'Choose another name.',
  })
