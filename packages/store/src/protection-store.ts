import { Refusal } from '@understudy/base/errors'
import type { BootCheck } from '@understudy/domain/boot-check/boot-check'
import type { DiskKey, MachineId, MachineRef } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type {
  Direction,
  GroupId,
  Protection,
  ProtectionId,
  ProtectionState,
  ReplicaId,
} from '@understudy/domain/protection/protection'
import { protectionLife } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import type { ProtectionNotes, ProtectionStore, ProtectionSummary } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import {
  defined,
  fromJson,
  notFound,
  refuseMissing,
  refuseReferenced,
  refuseTaken,
  toDate,
  toInstant,
  toJson,
  withFailures,
} from './database.ts'
import type { Protection as ProtectionRow } from './generated/client.ts'

export function protectionStore(database: Database): ProtectionStore {
  const { prisma, pool } = database
  /** In one statement: two writers of different fields must not undo each other. */
  const merge = async (column: 'summary' | 'notes', id: ProtectionId, change: object): Promise<void> => {
    const statement = `UPDATE "Protection" SET "${column}" = "${column}" || $2::jsonb WHERE "id" = $1`
    const result = await pool.query(statement, [id, JSON.stringify(change)])
    if (result.rowCount !== 1) throw notFound('protection', id)
  }
  return withFailures<ProtectionStore>({
    list: async () =>
      (await prisma.protection.findMany({ omit: keptApart, orderBy: oldestFirst })).map(toProtection),
    async find(id) {
      const row = await prisma.protection.findUnique({ where: { id }, omit: keptApart })
      return row && toProtection(row)
    },
    async create(protection) {
      const columns = {
        ...protection,
        machineKey: protection.machineId,
        excludedDisks: [...protection.excludedDisks],
        adapters: toJson(protection.adapters),
        hardware: toJson(protection.hardware),
        cycleAskedAt: protection.cycleAskedAt === null ? null : toDate(protection.cycleAskedAt),
        createdAt: toDate(protection.createdAt),
        summary: toJson(emptySummary),
        notes: toJson(emptyNotes),
      }
      const write = prisma.protection.create({ data: columns })
      await refuseReferenced(
        refuseTaken(write, () => alreadyProtected(protection.name)),
        partMissing,
      )
    },
    async moveState(id, from, to, note, resumeState) {
      protectionLife.move(from, to)
      const columns = defined({
        state: to,
        stateNote: note,
        resumeState,
        machineKey: to === 'gone' ? null : undefined,
      })
      return (await prisma.protection.updateMany({ where: { id, state: from }, data: columns })).count === 1
    },
    async claimState(id, from, to, { note, notes }) {
      protectionLife.move(from, to)
      const statement = `UPDATE "Protection"
        SET "state" = $3, "stateNote" = $4, "resumeState" = $2, "notes" = "notes" || $5::jsonb
        WHERE "id" = $1 AND "state" = $2`
      const result = await pool.query(statement, [id, from, to, note, JSON.stringify(notes)])
      return result.rowCount === 1
    },
    async releaseState(id, from, to, { owner, note, resumeState }) {
      protectionLife.move(from, to)
      const statement = `UPDATE "Protection"
        SET "state" = $3, "stateNote" = $4, "resumeState" = $5, "notes" = "notes" || '{"claim": null}'
        WHERE "id" = $1 AND "state" = $2 AND "notes"->'claim'->>'jobId' IS NOT DISTINCT FROM $6::text`
      const result = await pool.query(statement, [id, from, to, note, resumeState, owner])
      return result.rowCount === 1
    },
    async giveUpClaim(id, owner) {
      const statement = `UPDATE "Protection" SET "notes" = jsonb_set("notes", '{claim,givenUp}', 'true')
        WHERE "id" = $1 AND "notes"->'claim'->>'jobId' = $2`
      await pool.query(statement, [id, owner])
    },
    async update(id, change) {
      const columns = defined({
        ...change,
        machineKey: change.machineId,
        excludedDisks: change.excludedDisks && [...change.excludedDisks],
        adapters: change.adapters && toJson(change.adapters),
        hardware: change.hardware && toJson(change.hardware),
        cycleAskedAt: change.cycleAskedAt == null ? change.cycleAskedAt : toDate(change.cycleAskedAt),
      })
      const write = prisma.protection.update({ where: { id }, data: columns, select: { id: true } })
      await refuseReferenced(
        refuseTaken(refuseMissing(write, 'protection', id), () =>
          alreadyProtected(change.name ?? 'The machine'),
        ),
        partMissing,
      )
    },
    async nextEpoch(id) {
      const data = { epoch: { increment: 1 } }
      const write = prisma.protection.update({ where: { id }, data, select: { epoch: true } })
      return (await refuseMissing(write, 'protection', id)).epoch
    },
    async summary(id) {
      const row = await prisma.protection.findUnique({ where: { id }, select: { summary: true } })
      if (!row) throw notFound('protection', id)
      return fromJson<ProtectionSummary>(row.summary)
    },
    async summaries() {
      const rows = await prisma.protection.findMany({
        select: { id: true, summary: true },
        orderBy: oldestFirst,
      })
      return new Map(rows.map((row) => [row.id as ProtectionId, fromJson<ProtectionSummary>(row.summary)]))
    },
    updateSummary: (id, change) => merge('summary', id, change),
    async notes(id) {
      const row = await prisma.protection.findUnique({ where: { id }, select: { notes: true } })
      if (!row) throw notFound('protection', id)
      return fromJson<ProtectionNotes>(row.notes)
    },
    updateNotes: (id, change) => merge('notes', id, change),
    async bootCheck(id) {
      const row = await prisma.protection.findUnique({ where: { id }, select: { bootCheck: true } })
      if (!row) throw notFound('protection', id)
      return row.bootCheck === null ? null : fromJson<BootCheck>(row.bootCheck)
    },
    async keepBootCheck(id, check) {
      const write = prisma.protection.update({
        where: { id },
        data: { bootCheck: toJson(check) },
        select: { id: true },
      })
      await refuseMissing(write, 'protection', id)
    },
    async turning() {
      const statement = `SELECT "id" FROM "Protection" WHERE jsonb_typeof("notes"->'turning') = 'object' OR jsonb_path_exists("notes", '$.setAside[*]')`
      return (await pool.query<{ id: ProtectionId }>(statement)).rows.map(({ id }) => id)
    },
    async withLeftReplicas() {
      const statement = `SELECT "id" FROM "Protection" WHERE jsonb_path_exists("notes", '$.leftReplicas[*]')`
      return (await pool.query<{ id: ProtectionId }>(statement)).rows.map(({ id }) => id)
    },
    async remove(id) {
      await prisma.lagSample.deleteMany({ where: { protectionId: id } })
      await prisma.protection.deleteMany({ where: { id } })
    },
  })
}

/** Read by methods of their own. With them, a list of a thousand rows took twice the time. */
const keptApart = { summary: true, notes: true, bootCheck: true } as const

const oldestFirst = [{ createdAt: 'asc' as const }, { id: 'asc' as const }]

const emptySummary: ProtectionSummary = {
  newestPoint: null,
  newestApplicationPoint: null,
  pointCount: 0,
  storedBytes: 0,
  lastCycle: null,
  lastTestAt: null,
  lastTestPassed: null,
  lastRecoverySeconds: null,
}

const emptyNotes: ProtectionNotes = {
  resyncReason: null,
  originalFingerprints: [],
  originalPoint: null,
  runningCheckpoint: null,
  lastApplicationConsistentAt: null,
}

const toProtection = (row: Omit<ProtectionRow, keyof typeof keptApart>): Protection => ({
  id: row.id as ProtectionId,
  name: row.name,
  state: row.state as ProtectionState,
  stateNote: row.stateNote,
  resumeState: row.resumeState as ProtectionState | null,
  direction: row.direction as Direction,
  machineId: row.machineId as MachineId,
  sourceSiteId: row.sourceSiteId as SiteId,
  sourceRef: row.sourceRef as MachineRef,
  targetSiteId: row.targetSiteId as SiteId,
  originalRef: row.originalRef as MachineRef | null,
  policyId: row.policyId as PolicyId,
  groupId: row.groupId as GroupId | null,
  replicaId: row.replicaId as ReplicaId,
  epoch: row.epoch,
  excludedDisks: row.excludedDisks as DiskKey[],
  adapters: fromJson(row.adapters),
  hardware: fromJson(row.hardware),
  cycleAskedAt: row.cycleAskedAt === null ? null : toInstant(row.cycleAskedAt),
  createdAt: toInstant(row.createdAt),
})

const alreadyProtected = (name: string): Refusal =>
  new Refusal({
    code: 'protection/exists',
    message: `${name} is protected already`,
    remedy: 'Open its protection instead, or end that first.',
  })

export const partMissing = (): Refusal =>
  new Refusal({
    code: 'protection/part-missing',
    message: 'The machine, the policy, the group or one of the sites is not there any more',
    remedy: 'Reload the page and choose again.',
  })
