import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Direction } from '@understudy/domain/protection/protection'
import type { ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import {
  activePlanRunStates,
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
  type PlanRunState,
  pendingActivity,
  planRunLife,
} from '@understudy/domain/recovery-plans/plan-run'
import { type ActivityState, activityLife } from '@understudy/domain/recovery-plans/schedule-plan'
import type { ActivityChange, PlanRunStore } from '@understudy/engine/ports/plan-stores'
import type { Database, Transaction } from './database.ts'
import {
  defined,
  fromJson,
  inTransaction,
  takeTurn,
  toDate,
  toInstant,
  toJson,
  toNullableJson,
  withFailures,
} from './database.ts'
import { type PlanActivity as ActivityRow, type PlanRun as PlanRunRow, Prisma } from './generated/client.ts'
import { toPage, toPageQuery } from './paging.ts'
import { openSecrets, sealSecrets } from './secret-box.ts'
import { openTurns } from './turns.ts'

export function planRunStore(database: Database, secretKey: Buffer): PlanRunStore {
  const { prisma, pool } = database
  // A hundred machines of a run begin and end together: they must not take every connection to wait for one row.
  const turns = openTurns()
  /**
   * Whoever changes an activity holds its run to the end: so neither the run's state nor its copy of the plan changes between the
   * look at them and the change. False: there is no such run.
   */
  const withLockedRun = (
    id: PlanRunId,
    work: (transaction: Transaction, run: LockedRun) => Promise<boolean>,
  ): Promise<boolean> =>
    turns(id, () =>
      inTransaction(database, async (transaction) => {
        const run = await lockRun(transaction, id)
        return run !== null && (await work(transaction, run))
      }),
    )
  return withFailures<PlanRunStore>({
    create: (run, activities, secrets) =>
      inTransaction(database, async (transaction) => {
        await takePlanTurn(transaction, run.planId)
        if ((await transaction.planRun.count({ where: { id: run.id } })) > 0) return
        await refuseActive(transaction, run.planId, run.kind === 'clean-up' ? run.followsUp : null)
        await transaction.planRun.create({ data: toRunColumns(run) })
        await transaction.planActivity.createMany({ data: activities.map(toActivityRow) })
        if (Object.keys(secrets).length === 0) return
        const sealed = Uint8Array.from(sealSecrets(secretKey, run.id, secrets))
        await transaction.planRunSecrets.create({ data: { planRunId: run.id, sealed } })
      }),
    async find(id) {
      const row = await prisma.planRun.findUnique({ where: { id } })
      return row && toRun(row)
    },
    async list({ planId, states, kinds }, page) {
      const { where, ...rest } = toPageQuery('startedAt', page)
      const filter: Prisma.PlanRunWhereInput = {
        ...(planId === undefined ? {} : { planId }),
        ...(states === undefined ? {} : { state: { in: [...states] } }),
        ...(kinds === undefined ? {} : { kind: { in: [...kinds] } }),
      }
      const found = await prisma.planRun.findMany({
        ...rest,
        orderBy: [...rest.orderBy],
        where: { AND: [filter, where] },
      })
      return toPage(found, page, (row) => ({ at: row.startedAt, sequence: row.sequence }), toRun)
    },
    active: async () => (await prisma.planRun.findMany({ where: isActive, orderBy: oldestFirst })).map(toRun),
    move(id, from, to, change = {}, ifChanges) {
      planRunLife.move(from, to)
      return inTransaction(database, async (transaction) => {
        if (from === 'failed') await refuseToGoOn(transaction, id)
        const where = { id, state: from, ...(ifChanges === undefined ? {} : { changes: ifChanges }) }
        const data = defined({ ...change, state: to, endedAt: toDate(change.endedAt) })
        if ((await transaction.planRun.updateMany({ where, data })).count === 0) return false
        if (to === 'succeeded' || to === 'cancelled')
          await transaction.planRunSecrets.deleteMany({ where: { planRunId: id } })
        return true
      })
    },
    replacePlan: (id, fromRevision, { plan, added, removed, changed, cuts }) =>
      withLockedRun(id, async (transaction, run) => {
        if (run.planRevision !== fromRevision || !isEditable(run.state)) return false
        const untouched = [...new Set([...removed, ...changed])]
        const pending = { planRunId: id, itemId: { in: untouched }, state: 'pending' }
        if ((await transaction.planActivity.count({ where: pending })) < untouched.length) return false
        await transaction.planActivity.deleteMany({ where: { planRunId: id, itemId: { in: [...removed] } } })
        await transaction.planActivity.createMany({
          data: added.map((itemId) => toActivityRow(pendingActivity(id, itemId))),
        })
        const data = {
          plan: toJson(plan),
          planRevision: fromRevision + 1,
          changes: { increment: 1 },
          ...(cuts === undefined ? {} : { cuts: toJson(cuts) }),
        }
        await transaction.planRun.update({ where: { id }, data, select: { id: true } })
        return true
      }),
    async secrets(id) {
      const row = await prisma.planRunSecrets.findUnique({ where: { planRunId: id } })
      return row ? openSecrets(secretKey, id, row.sealed) : {}
    },
    activities: async (id) =>
      (await prisma.planActivity.findMany({ where: { planRunId: id } })).map(toActivity),
    async moveActivity(id, itemId, from, change) {
      if (change.state !== undefined && change.state !== from.state)
        activityLife.move(from.state, change.state)
      const { state, attempt, planRevision } = from
      return await withLockedRun(id, async (transaction, run) => {
        if (!from.run.includes(run.state)) return false
        if (planRevision !== undefined && run.planRevision !== planRevision) return false
        const where = { planRunId: id, itemId, state, attempt }
        return await changeActivity(transaction, where, toActivityChange(change))
      })
    },
    answer: (id, itemId, attempt, answer) =>
      withLockedRun(id, async (transaction) => {
        const unanswered = { equals: Prisma.DbNull }
        const where = { planRunId: id, itemId, state: 'running', attempt, answer: unanswered }
        return await changeActivity(transaction, where, { answer: toJson(answer) })
      }),
    async ofBoots(bootIds) {
      const where = { bootId: { in: [...bootIds] } }
      const rows = await prisma.planActivity.findMany({ where, select: { bootId: true, planRunId: true } })
      return new Map(rows.map((row) => [row.bootId as RunId, row.planRunId as PlanRunId]))
    },
    async ofJobs(jobIds) {
      const where = { jobId: { in: [...jobIds] } }
      const rows = await prisma.planActivity.findMany({ where, select: { jobId: true, planRunId: true } })
      return new Map(rows.map((row) => [row.jobId as JobId, row.planRunId as PlanRunId]))
    },
    async durations(planId, kinds, limit) {
      type Row = { readonly itemId: ItemId; readonly seconds: number }
      const { rows } = await pool.query<Row>(durationsStatement, [planId, kinds, limit])
      const seconds = new Map<ItemId, number[]>()
      for (const row of rows) {
        const known = seconds.get(row.itemId)
        if (known) known.push(row.seconds)
        else seconds.set(row.itemId, [row.seconds])
      }
      return seconds
    },
    async trim(before) {
      const where = { NOT: isActive, endedAt: { lt: toDate(before) } }
      return (await prisma.planRun.deleteMany({ where })).count
    },
  })
}

const isActive = { state: { in: [...activePlanRunStates] } }

const oldestFirst = [{ startedAt: 'asc' as const }, { sequence: 'asc' as const }]

const isEditable = (state: PlanRunState): boolean => activePlanRunStates.includes(state) || state === 'failed'

/** One after the other per plan, among all processes: whether one of its runs is active stays so until the transaction is over. */
const takePlanTurn = (transaction: Transaction, planId: PlanId): Promise<void> =>
  takeTurn(transaction, `runs of plan ${planId}`)

async function refuseActive(
  transaction: Transaction,
  planId: PlanId,
  except: PlanRunId | null,
): Promise<void> {
  const where = { ...isActive, planId, ...(except === null ? {} : { id: { not: except } }) }
  if ((await transaction.planRun.count({ where })) === 0) return
  throw new Refusal({
    code: 'recovery-plan/running',
    message: 'A run of the recovery plan is under way',
    remedy: 'Wait for its end, or cancel it first.',
  })
}

/** Refuses while a run of the plan is active; none becomes active before the transaction is over. */
export async function refuseWhileActive(
  transaction: Transaction,
  planId: PlanId,
  except: PlanRunId | null,
): Promise<void> {
  await takePlanTurn(transaction, planId)
  await refuseActive(transaction, planId, except)
}

/** One that has failed is active again when it goes on; meanwhile another may have begun. */
async function refuseToGoOn(transaction: Transaction, id: PlanRunId): Promise<void> {
  const run = await transaction.planRun.findUnique({ where: { id }, select: { planId: true } })
  if (run) await refuseWhileActive(transaction, run.planId as PlanId, id)
}

type LockedRun = Pick<PlanRun, 'state' | 'planRevision'>

async function lockRun(transaction: Transaction, id: PlanRunId): Promise<LockedRun | null> {
  const rows = await transaction.$queryRaw<LockedRun[]>`
    SELECT "state", "planRevision" FROM "PlanRun" WHERE "id" = ${id} FOR UPDATE`
  return rows[0] ?? null
}

async function changeActivity(
  transaction: Transaction,
  where: Prisma.PlanActivityWhereInput & { readonly planRunId: PlanRunId },
  data: Prisma.PlanActivityUpdateManyMutationInput,
): Promise<boolean> {
  if ((await transaction.planActivity.updateMany({ where, data })).count === 0) return false
  const change = { changes: { increment: 1 } }
  await transaction.planRun.update({ where: { id: where.planRunId }, data: change, select: { id: true } })
  return true
}

const durationsStatement = `
  SELECT a."itemId",
    greatest(0, extract(epoch FROM a."endedAt" - a."startedAt")::float8 - coalesce(b."waitedSeconds", 0)) AS "seconds"
  FROM (
    SELECT "id", "startedAt", "sequence" FROM "PlanRun" WHERE "planId" = $1 AND "kind" = ANY($2)
    ORDER BY "startedAt" DESC, "sequence" DESC LIMIT $3
  ) r JOIN "PlanActivity" a ON a."planRunId" = r."id" LEFT JOIN "Run" b ON b."id" = a."bootId"
  WHERE a."state" = 'succeeded' AND a."startedAt" IS NOT NULL AND a."endedAt" IS NOT NULL
  ORDER BY r."startedAt", r."sequence"`

const toRunColumns = (run: PlanRun) => ({
  ...run,
  plan: toJson(run.plan),
  point: toJson(run.point),
  parameters: toJson(run.parameters),
  cuts: toJson(run.cuts),
  settings: toJson(run.settings),
  startedAt: toDate(run.startedAt),
  endedAt: toDate(run.endedAt),
})

const toRun = ({ sequence: _sequence, ...row }: PlanRunRow): PlanRun => ({
  ...row,
  id: row.id as PlanRunId,
  planId: row.planId as PlanId,
  kind: row.kind as PlanRun['kind'],
  followsUp: row.followsUp as PlanRunId | null,
  direction: row.direction as Direction,
  state: row.state as PlanRunState,
  plan: fromJson(row.plan),
  point: fromJson(row.point),
  parameters: fromJson(row.parameters),
  cuts: fromJson(row.cuts),
  settings: fromJson(row.settings),
  startedAt: toInstant(row.startedAt),
  endedAt: toInstant(row.endedAt),
})

const toActivityRow = (activity: PlanActivity) => ({
  ...activity,
  failure: toJsonOrNull(activity.failure),
  answer: toJsonOrNull(activity.answer),
  startedAt: toDate(activity.startedAt),
  endedAt: toDate(activity.endedAt),
  deadline: toDate(activity.deadline),
})

const toJsonOrNull = (value: object | null) => (value === null ? Prisma.DbNull : toJson(value))

const toActivityChange = (change: ActivityChange) =>
  defined({
    ...change,
    failure: toNullableJson(change.failure),
    answer: toNullableJson(change.answer),
    startedAt: toDate(change.startedAt),
    endedAt: toDate(change.endedAt),
    deadline: toDate(change.deadline),
  })

const toActivity = (row: ActivityRow): PlanActivity => ({
  ...row,
  planRunId: row.planRunId as PlanRunId,
  itemId: row.itemId as ItemId,
  state: row.state as ActivityState,
  startedAt: toInstant(row.startedAt),
  endedAt: toInstant(row.endedAt),
  deadline: toInstant(row.deadline),
  failure: fromJson(row.failure),
  answer: fromJson(row.answer),
})
