import type { Alert, AlertId, Severity } from '@understudy/domain/events/event'
import type { AlertStore } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import { refuseMissing, toDate, toInstant, withFailures } from './database.ts'
import type { Alert as AlertRow } from './generated/client.ts'
import { toPage, toPageQuery } from './paging.ts'

export function alertStore({ prisma, pool }: Database): AlertStore {
  return withFailures<AlertStore>({
    async raise(alert) {
      // One statement, so that two processes that raise it at once make one alert of it.
      const result = await pool.query<{ id: string }>(raiseStatement, [
        alert.id,
        toOpenKey(alert.code, alert.subjectId),
        alert.code,
        alert.severity,
        alert.message,
        alert.remedy,
        alert.subjectId,
        alert.subjectName,
        toDate(alert.raisedAt),
        alert.acknowledgedBy,
      ])
      return result.rows[0]?.id === alert.id
    },
    async resolve(code, subjectId, at) {
      const where = { openKey: toOpenKey(code, subjectId) }
      return (
        (await prisma.alert.updateMany({ where, data: { openKey: null, resolvedAt: toDate(at) } })).count > 0
      )
    },
    async resolveAll(subjectId, at) {
      const where = { subjectId, resolvedAt: null }
      return (await prisma.alert.updateMany({ where, data: { openKey: null, resolvedAt: toDate(at) } })).count
    },
    trim: async (before) =>
      (await prisma.alert.deleteMany({ where: { resolvedAt: { lt: toDate(before) } } })).count,
    async acknowledge(id, by) {
      await refuseMissing(prisma.alert.update({ where: { id }, data: { acknowledgedBy: by } }), 'alert', id)
    },
    async list({ open }, page) {
      const { where, ...rest } = toPageQuery('raisedAt', page)
      const filter = open === undefined ? {} : { resolvedAt: open ? null : { not: null } }
      const found = await prisma.alert.findMany({
        ...rest,
        orderBy: [...rest.orderBy],
        where: { AND: [filter, where] },
      })
      return toPage(found, page, (row) => ({ at: row.raisedAt, sequence: row.sequence }), toAlert)
    },
  })
}

const raiseStatement = `
  INSERT INTO "Alert" ("id", "openKey", "code", "severity", "message", "remedy", "subjectId", "subjectName", "raisedAt", "acknowledgedBy")
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT ("openKey") DO UPDATE SET "message" = EXCLUDED."message"
  RETURNING "id"`

/** JSON keeps apart what joining with a separator could mix up. */
const toOpenKey = (code: string, subjectId: string | null): string => JSON.stringify([code, subjectId])

const toAlert = (row: AlertRow): Alert => ({
  id: row.id as AlertId,
  code: row.code,
  severity: row.severity as Severity,
  message: row.message,
  remedy: row.remedy,
  subjectId: row.subjectId,
  subjectName: row.subjectName,
  raisedAt: toInstant(row.raisedAt),
  acknowledgedBy: row.acknowledgedBy,
  resolvedAt: toInstant(row.resolvedAt),
})
