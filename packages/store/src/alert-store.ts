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
      const result = await pool.query<{ id: string; graver: boolean | null }>(raiseStatement, [
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
      const [row] = result.rows
      if (row?.id === alert.id) return 'new'
      return row?.graver ? 'graver' : 'known'
    },
    async findOpen(code, subjectId) {
      const row = await prisma.alert.findUnique({ where: { openKey: toOpenKey(code, subjectId) } })
      return row && toAlert(row)
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
    async openSubjects(code) {
      const rows = await prisma.alert.findMany({
        where: { code, resolvedAt: null },
        select: { subjectId: true },
      })
      return new Set(rows.flatMap(({ subjectId }) => (subjectId === null ? [] : [subjectId])))
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

const rank = (severity: string): string => `array_position(ARRAY['info', 'warning', 'critical'], ${severity})`

// The former severity as it was before this statement: two processes that raise it at once may both say that it is graver.
const raiseStatement = `
  WITH former AS (SELECT "severity" FROM "Alert" WHERE "openKey" = $2)
  INSERT INTO "Alert" ("id", "openKey", "code", "severity", "message", "remedy", "subjectId", "subjectName", "raisedAt", "acknowledgedBy")
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT ("openKey") DO UPDATE SET
    "message" = EXCLUDED."message", "remedy" = EXCLUDED."remedy", "severity" = EXCLUDED."severity",
    "acknowledgedBy" = CASE
      WHEN ${rank('EXCLUDED."severity"')} > ${rank('"Alert"."severity"')} THEN NULL ELSE "Alert"."acknowledgedBy" END
  RETURNING "id", ${rank('$4::text')} > (SELECT ${rank('"severity"')} FROM former) AS graver`

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
