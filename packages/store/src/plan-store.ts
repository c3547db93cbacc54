import { Refusal } from '@understudy/base/errors'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanStore, PlanVersion } from '@understudy/engine/ports/plan-stores'
import type { Database } from './database.ts'
import {
  fromJson,
  inTransaction,
  notFound,
  refuseTaken,
  toDate,
  toInstant,
  toJson,
  toKey,
  withFailures,
} from './database.ts'
import type { PlanVersion as PlanVersionRow } from './generated/client.ts'
import { refuseWhileActive } from './plan-run-store.ts'
import { openSecrets, sealSecrets } from './secret-box.ts'

export function planStore(database: Database, secretKey: Buffer): PlanStore {
  const { prisma, pool } = database
  const newest = async (condition: string, values: readonly string[]): Promise<readonly PlanVersion[]> =>
    (await pool.query<PlanVersionRow>(`${newestStatement} ${condition}`, [...values])).rows.map(toVersion)
  return withFailures<PlanStore>({
    list: () => newest('ORDER BY p."nameKey"', []),
    find: async (id) => (await newest('WHERE p."id" = $1', [id]))[0] ?? null,
    async create(first) {
      const { id, name } = first.plan
      const versions = { create: toColumns(first) }
      const columns = { id, name, nameKey: toKey(name), version: first.version, versions }
      await refuseTaken(prisma.recoveryPlan.create({ data: columns }), () => nameTaken(name))
    },
    async save(next) {
      const { id, name } = next.plan
      const write = inTransaction(database, async (transaction) => {
        const { count } = await transaction.recoveryPlan.updateMany({
          where: { id, version: next.version - 1 },
          data: { name, nameKey: toKey(name), version: next.version },
        })
        if (count === 0) return false
        await transaction.planVersion.create({ data: { planId: id, ...toColumns(next) } })
        return true
      })
      return await refuseTaken(write, () => nameTaken(name))
    },
    async versions(id) {
      const rows = await prisma.planVersion.findMany({
        where: { planId: id },
        omit: { document: true },
        orderBy: { version: 'desc' },
      })
      return rows.map(({ planId: _planId, savedAt, ...row }) => ({ ...row, savedAt: toInstant(savedAt) }))
    },
    async version(id, version) {
      const row = await prisma.planVersion.findUnique({ where: { planId_version: { planId: id, version } } })
      return row && toVersion(row)
    },
    async remove(id) {
      await inTransaction(database, async (transaction) => {
        await refuseWhileActive(transaction, id, null)
        await transaction.recoveryPlan.deleteMany({ where: { id } })
      })
    },
    async secrets(id) {
      const row = await prisma.planSecrets.findUnique({ where: { planId: id } })
      return row ? openSecrets(secretKey, id, row.sealed) : {}
    },
    async changeSecrets(id, change) {
      await inTransaction(database, async (transaction) => {
        // Locked: all values lie in one box, and of two who change different ones neither must undo the other.
        const locked = await transaction.$queryRaw<
          object[]
        >`SELECT "id" FROM "RecoveryPlan" WHERE "id" = ${id} FOR UPDATE`
        if (locked.length === 0) throw notFound('recovery-plan', id)
        const where = { planId: id }
        const row = await transaction.planSecrets.findUnique({ where })
        const former = row ? openSecrets(secretKey, id, row.sealed) : {}
        const sealed = Uint8Array.from(sealSecrets(secretKey, id, withChange(former, change)))
        await transaction.planSecrets.upsert({ where, create: { planId: id, sealed }, update: { sealed } })
      })
    },
  })
}

// Prisma has no words for a join by two columns of which one is no key.
const newestStatement = `
  SELECT v.* FROM "RecoveryPlan" p JOIN "PlanVersion" v ON v."planId" = p."id" AND v."version" = p."version"`

const toColumns = ({ plan, version, savedAt, savedBy, comment }: PlanVersion) => ({
  version,
  document: toJson(plan),
  savedAt: toDate(savedAt),
  savedBy,
  comment,
})

const toVersion = ({ document, version, savedAt, savedBy, comment }: PlanVersionRow): PlanVersion => ({
  plan: fromJson<RecoveryPlan>(document),
  version,
  savedAt: toInstant(savedAt),
  savedBy,
  comment,
})

const withChange = (
  former: Readonly<Record<string, string>>,
  change: Readonly<Record<string, string | null>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries({ ...former, ...change }).flatMap(([name, value]) =>
      value === null ? [] : [[name, value]],
    ),
  )

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'recovery-plan/name-taken',
    message: `There is a recovery plan called "${name}" already`,
    remedy: 'Choose another name.',
  })
