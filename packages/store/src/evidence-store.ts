import { randomUUID } from 'node:crypto'
import { activePlanRunStates, type PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { openTestStates } from '@understudy/domain/recovery-plans/test-schedule'
import type { DueEvidence, Evidence, EvidenceStore } from '@understudy/engine/ports/test-stores'
import type { Database } from './database.ts'
import { fromJson, inTransaction, toDate, toInstant, toJson, withFailures } from './database.ts'
import type { PlanEvidence as EvidenceRow } from './generated/client.ts'

export function evidenceStore(database: Database): EvidenceStore {
  const { prisma, pool } = database
  return withFailures<EvidenceStore>({
    async due(limit) {
      const values = [[...activePlanRunStates], [...openTestStates], limit]
      return (await pool.query<DueEvidence>(dueStatement, values)).rows
    },
    save: (evidence, bundle) =>
      inTransaction(database, async (transaction) => {
        const { planRunId, edition, sha256, bytes } = evidence
        // Held, so that it does not go between the look and the row that points to it.
        const runs = await transaction.$queryRaw<
          { planId: string; planName: string }[]
        >`SELECT "planId", "planName" FROM "PlanRun" WHERE "id" = ${planRunId} FOR UPDATE`
        const [run] = runs
        if (!run) return false
        const data = [{ ...evidence, files: toJson(evidence.files), madeAt: toDate(evidence.madeAt) }]
        const { count } = await transaction.planEvidence.createMany({ data, skipDuplicates: true })
        if (count === 0) return false
        await transaction.planEvidenceBundle.create({
          data: { planRunId, edition, content: Uint8Array.from(bundle) },
        })
        await transaction.auditEntry.create({
          data: {
            id: randomUUID(),
            at: toDate(evidence.madeAt),
            who: 'system',
            action: 'planRuns.evidence',
            subject: planRunId,
            subjectName: run.planName,
            outcome: 'granted',
            facts: toJson({ planId: run.planId, edition, sha256, bytes }),
            ip: null,
          },
        })
        return true
      }),
    list: async (planRunId) =>
      (await prisma.planEvidence.findMany({ where: { planRunId }, orderBy: { edition: 'desc' } })).map(
        toEvidence,
      ),
    async newest(planRunIds) {
      const rows = await prisma.planEvidence.findMany({
        where: { planRunId: { in: [...planRunIds] } },
        orderBy: { edition: 'asc' },
      })
      return new Map(rows.map((row) => [row.planRunId as PlanRunId, toEvidence(row)]))
    },
    async bundle(planRunId, edition) {
      const where = { planRunId_edition: { planRunId, edition } }
      const row = await prisma.planEvidenceBundle.findUnique({ where })
      return row && Buffer.from(row.content)
    },
  })
}

/** How a run stands: its state, and how often anything of it was changed. */
const standing = (alias: string): string =>
  `concat_ws(' ', ${alias}."id", ${alias}."state", ${alias}."changes")`

const dueStatement = `
  SELECT s."planRunId", s."edition", s."basis" FROM (
    SELECT r."id" AS "planRunId", r."startedAt", r."sequence", coalesce(e."edition", 0) + 1 AS "edition",
      e."basis" AS "known", concat_ws(',', ${standing('r')}, f."basis") AS "basis"
    FROM "PlanRun" r
    LEFT JOIN LATERAL (
      SELECT string_agg(${standing('x')}, ',' ORDER BY x."sequence") AS "basis", bool_or(x."state" = ANY($1)) AS "busy"
      FROM "PlanRun" x WHERE x."followsUp" = r."id"
    ) f ON true
    LEFT JOIN LATERAL (
      SELECT n."edition", n."basis" FROM "PlanEvidence" n WHERE n."planRunId" = r."id" ORDER BY n."edition" DESC LIMIT 1
    ) e ON true
    WHERE r."followsUp" IS NULL AND r."state" <> ALL($1) AND f."busy" IS NOT TRUE
      AND NOT EXISTS (SELECT 1 FROM "ScheduledTest" t WHERE t."planRunId" = r."id" AND t."state" = ANY($2))
  ) s
  WHERE s."known" IS DISTINCT FROM s."basis"
  ORDER BY s."startedAt" DESC, s."sequence" DESC LIMIT $3`

const toEvidence = (row: EvidenceRow): Evidence => ({
  ...row,
  planRunId: row.planRunId as PlanRunId,
  madeAt: toInstant(row.madeAt),
  files: fromJson(row.files),
})
