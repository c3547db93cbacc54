import { invariant } from '@understudy/base/invariant'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { HistoryStore, LagSample } from '@understudy/engine/ports/history-store'
import type { Database } from './database.ts'
import { toDate, withFailures } from './database.ts'

export function historyStore({ prisma, pool }: Database): HistoryStore {
  return withFailures<HistoryStore>({
    async append(samples) {
      const last = new Map(samples.map((sample) => [`${sample.at}/${sample.protectionId}`, sample]))
      const rows = [...last.values()]
      if (rows.length === 0) return
      // By columns: fifty times as fast as row by row, and that is what a thousand protections need.
      await pool.query(appendStatement, [
        rows.map((row) => row.protectionId),
        rows.map((row) => toDate(row.at)),
        rows.map((row) => row.lagSeconds),
        rows.map((row) => Math.round(row.bytes)),
      ])
    },
    async range(protectionId, from, to, maximumRows) {
      invariant(maximumRows >= 1, 'A range has room for a row')
      const values = [protectionId, toDate(from), toDate(to), maximumRows]
      const result = await pool.query<SampleRow>(rangeStatement, values)
      return result.rows.map((row) => toSample(protectionId, row))
    },
    trim: async (before) =>
      (await prisma.lagSample.deleteMany({ where: { at: { lt: toDate(before) } } })).count,
  })
}

const appendStatement = `
  INSERT INTO "LagSample" ("protectionId", "at", "lagSeconds", "bytes")
  SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::bigint[])
  ON CONFLICT ("protectionId", "at") DO UPDATE SET "lagSeconds" = EXCLUDED."lagSeconds", "bytes" = EXCLUDED."bytes"`

// Equal slots of time when there are more rows than asked for, else a slot for every row.
const rangeStatement = `
  WITH wanted AS (
    SELECT "at", "lagSeconds", "bytes", count(*) OVER () AS total, row_number() OVER (ORDER BY "at") AS place
    FROM "LagSample" WHERE "protectionId" = $1 AND "at" >= $2 AND "at" < $3
  ), slotted AS (
    SELECT *, CASE WHEN total <= $4::int THEN place
      ELSE floor(extract(epoch FROM "at" - $2) / extract(epoch FROM $3::timestamptz - $2) * $4::int) END AS slot
    FROM wanted
  )
  SELECT max("at") AS "at", max("lagSeconds") AS "lagSeconds", sum("bytes")::text AS "bytes"
  FROM slotted GROUP BY slot ORDER BY slot`

type SampleRow = { readonly at: Date; readonly lagSeconds: number | null; readonly bytes: string }

const toSample = (protectionId: ProtectionId, row: SampleRow): LagSample => ({
  protectionId,
  at: row.at.getTime(),
  lagSeconds: row.lagSeconds,
  bytes: Number(row.bytes),
})
