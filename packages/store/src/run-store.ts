import type { FailoverKind, Run, RunId, TestState } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { SiteId } from '@understudy/domain/sites/site'
import type { RunStore } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import {
  defined,
  notFound,
  refuseMissing,
  refuseReferenced,
  toDate,
  toInstant,
  withFailures,
} from './database.ts'
import type { Run as RunRow } from './generated/client.ts'

export function runStore({ prisma, pool }: Database): RunStore {
  return withFailures<RunStore>({
    async create(run) {
      const columns = {
        ...run,
        addresses: [...run.addresses],
        pointInstant: toDate(run.pointInstant),
        startedAt: toDate(run.startedAt),
        answeredAt: toDate(run.answeredAt),
        endedAt: toDate(run.endedAt),
        commitDeadline: toDate(run.commitDeadline),
      }
      // A durable step that creates a run may be repeated after a crash.
      const write = prisma.run.upsert({ where: { id: run.id }, create: columns, update: columns })
      await refuseReferenced(write, () => notFound('protection', run.protectionId))
    },
    async find(id) {
      const row = await prisma.run.findUnique({ where: { id } })
      return row && toRun(row)
    },
    async active(protectionId) {
      const where = { over: false, ...(protectionId === undefined ? {} : { protectionId }) }
      return (await prisma.run.findMany({ where, orderBy: newestFirst })).map(toRun)
    },
    async history(protectionId, limit) {
      return (await prisma.run.findMany({ where: { protectionId }, orderBy: newestFirst, take: limit })).map(
        toRun,
      )
    },
    async update(id, change) {
      const columns = defined({
        ...change,
        addresses: change.addresses && [...change.addresses],
        pointInstant: toDate(change.pointInstant),
        startedAt: toDate(change.startedAt),
        answeredAt: toDate(change.answeredAt),
        endedAt: toDate(change.endedAt),
        commitDeadline: toDate(change.commitDeadline),
      })
      await refuseMissing(prisma.run.update({ where: { id }, data: columns }), 'run', id)
    },
    async endClaimed(id, owner, endedAt) {
      const result = await pool.query(endStatement, [id, owner, toDate(endedAt)])
      return result.rowCount === 1
    },
    async saveScreenshot(id, png) {
      const bytes = Uint8Array.from(png)
      const write = prisma.runScreenshot.upsert({
        where: { runId: id },
        create: { runId: id, png: bytes },
        update: { png: bytes },
      })
      await refuseReferenced(write, () => notFound('run', id))
    },
    async withScreenshot(ids) {
      const where = { runId: { in: [...ids] } }
      const rows = await prisma.runScreenshot.findMany({ where, select: { runId: true } })
      return new Set(rows.map(({ runId }) => runId as RunId))
    },
    async screenshot(id) {
      const row = await prisma.runScreenshot.findUnique({ where: { runId: id } })
      return row && Buffer.from(row.png)
    },
    async trim(before) {
      const where = { kind: 'test', over: true, endedAt: { lt: toDate(before) } }
      return (await prisma.run.deleteMany({ where })).count
    },
  })
}

// Locked: whoever gives the claim up at this moment waits, and finds the run over, or is waited for, and it stays.
const endStatement = `
  WITH claimed AS (
    SELECT "id" FROM "Protection"
    WHERE "id" = (SELECT "protectionId" FROM "Run" WHERE "id" = $1)
      AND "notes"->'claim'->>'jobId' = $2 AND "notes"->'claim'->'givenUp' IS NULL
    FOR SHARE
  )
  UPDATE "Run" SET "over" = true, "endedAt" = coalesce("endedAt", $3::timestamptz), "commitDeadline" = NULL
  WHERE "id" = $1 AND EXISTS (SELECT 1 FROM claimed)`

const newestFirst = [{ startedAt: 'desc' as const }, { sequence: 'desc' as const }]

const toRun = (row: RunRow): Run => ({
  id: row.id as RunId,
  protectionId: row.protectionId as ProtectionId,
  kind: row.kind as FailoverKind,
  testState: row.testState as TestState | null,
  over: row.over,
  targetSiteId: row.targetSiteId as SiteId,
  replicaId: row.replicaId as ReplicaId,
  pointId: row.pointId as PointId,
  pointInstant: toInstant(row.pointInstant),
  place: row.place,
  machineRef: row.machineRef as MachineRef | null,
  addresses: row.addresses,
  hydrated: row.hydrated,
  failure: row.failure,
  startedAt: toInstant(row.startedAt),
  answeredAt: toInstant(row.answeredAt),
  waitedSeconds: row.waitedSeconds,
  endedAt: toInstant(row.endedAt),
  commitDeadline: toInstant(row.commitDeadline),
})
