import type { AuditEntry, AuditEntryId, AuditStore } from '@understudy/engine/ports/access-stores'
import type { Database } from './database.ts'
import { fromJson, toDate, toInstant, toJson, withFailures } from './database.ts'
import type { AuditEntry as AuditRow, Prisma } from './generated/client.ts'
import { toPage, toPageQuery } from './paging.ts'

export function auditStore({ prisma }: Database): AuditStore {
  return withFailures<AuditStore>({
    async append(entry) {
      const row = { ...entry, at: toDate(entry.at), facts: toJson(entry.facts) }
      await prisma.auditEntry.createMany({ data: [row], skipDuplicates: true })
    },
    async list({ who, action, subject, from, to }, page) {
      const { where, ...rest } = toPageQuery('at', page)
      const filter: Prisma.AuditEntryWhereInput = {
        ...(who === undefined ? {} : { who }),
        ...(action === undefined ? {} : { action }),
        ...(subject === undefined ? {} : { subject }),
        AND: [
          from === undefined ? {} : { at: { gte: toDate(from) } },
          to === undefined ? {} : { at: { lt: toDate(to) } },
        ],
      }
      const found = await prisma.auditEntry.findMany({
        ...rest,
        orderBy: [...rest.orderBy],
        where: { AND: [filter, where] },
      })
      return toPage(found, page, (row) => row, toAuditEntry)
    },
    trim: async (before) =>
      (await prisma.auditEntry.deleteMany({ where: { at: { lt: toDate(before) } } })).count,
  })
}

const toAuditEntry = (row: AuditRow): AuditEntry => ({
  id: row.id as AuditEntryId,
  at: toInstant(row.at),
  who: row.who,
  action: row.action,
  subject: row.subject,
  subjectName: row.subjectName,
  outcome: row.outcome as AuditEntry['outcome'],
  facts: fromJson(row.facts),
  ip: row.ip,
})
