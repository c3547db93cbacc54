import { Refusal } from '@understudy/base/errors'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import {
  openTestStates,
  type ScheduledTest,
  type ScheduledTestState,
  scheduledTestLife,
  type TestSettings,
} from '@understudy/domain/recovery-plans/test-schedule'
import type { TestStore } from '@understudy/engine/ports/test-stores'
import type { Database } from './database.ts'
import {
  defined,
  fromJson,
  inTransaction,
  notFound,
  refuseReferenced,
  refuseTaken,
  takeTurn,
  toDate,
  toInstant,
  toJson,
  withFailures,
} from './database.ts'
import {
  Prisma,
  type ScheduledTest as ScheduledTestRow,
  type PlanTestSettings as SettingsRow,
} from './generated/client.ts'
import { toPage, toPageQuery } from './paging.ts'

export function testStore(database: Database): TestStore {
  const { prisma } = database
  return withFailures<TestStore>({
    list: async () =>
      (await prisma.planTestSettings.findMany({ orderBy: { planId: 'asc' } })).map(toSettings),
    async find(planId) {
      const row = await prisma.planTestSettings.findUnique({ where: { planId } })
      return row && toSettings(row)
    },
    async save(next) {
      const { planId, revision } = next
      const data = toSettingsRow(next)
      if (revision === 1) {
        const create = refuseTaken(prisma.planTestSettings.create({ data }), savedMeanwhile)
        return await refuseReferenced(create, () => notFound('recovery-plan', planId)).then(
          () => true,
          (error: unknown) => {
            if (error instanceof Refusal && error.code === SAVED_MEANWHILE) return false
            throw error
          },
        )
      }
      const where = { planId, revision: revision - 1 }
      if ((await prisma.planTestSettings.updateMany({ where, data })).count > 0) return true
      if ((await prisma.recoveryPlan.count({ where: { id: planId } })) === 0)
        throw notFound('recovery-plan', planId)
      return false
    },
    async noteWaiting(planId, dueAt, waitsFor) {
      const where = { planId, nextAt: toDate(dueAt) }
      await prisma.planTestSettings.updateMany({ where, data: { waitsFor } })
    },
    claim: (test, next, most) =>
      inTransaction(database, async (transaction) => {
        // One after the other among all processes, so that no two of them count the open ones at once.
        if (most !== null) await takeTurn(transaction, 'scheduled tests')
        const { planId, dueAt } = test
        const due = { planId, revision: next.revision, nextAt: toDate(dueAt) }
        if ((await transaction.planTestSettings.count({ where: due })) === 0) return 'taken'
        if (most !== null && (await transaction.scheduledTest.count({ where: isOpen })) >= most) return 'full'
        const data = { nextAt: toDate(next.nextAt), waitsFor: null }
        if ((await transaction.planTestSettings.updateMany({ where: due, data })).count === 0) return 'taken'
        const rows = [toTestRow(test)]
        const { count } = await transaction.scheduledTest.createMany({ data: rows, skipDuplicates: true })
        return count === 1 ? 'claimed' : 'taken'
      }),
    open: async () =>
      (await prisma.scheduledTest.findMany({ where: isOpen, orderBy: { dueAt: 'asc' } })).map(toTest),
    async move(planId, dueAt, from, to, change = {}) {
      scheduledTestLife.move(from, to)
      const data = defined({ ...change, state: to, settledAt: toDate(change.settledAt) })
      const where = { planId, dueAt: toDate(dueAt), state: from }
      return (await prisma.scheduledTest.updateMany({ where, data })).count > 0
    },
    async history(planId, page) {
      const { where, ...rest } = toPageQuery('dueAt', page)
      const found = await prisma.scheduledTest.findMany({
        ...rest,
        orderBy: [...rest.orderBy],
        where: { AND: [{ planId }, where] },
      })
      return toPage(found, page, (row) => ({ at: row.dueAt, sequence: row.sequence }), toTest)
    },
    async trim(before) {
      const where = { dueAt: { lt: toDate(before) }, NOT: isOpen }
      return (await prisma.scheduledTest.deleteMany({ where })).count
    },
  })
}

const isOpen = { state: { in: [...openTestStates] } }

const SAVED_MEANWHILE = 'test-schedule/saved-meanwhile'
const savedMeanwhile = (): Refusal =>
  new Refusal({ code: SAVED_MEANWHILE, message: 'Saved meanwhile', remedy: 'Load it again.' })

const toSettingsRow = (settings: TestSettings) => ({
  ...settings,
  schedule: settings.schedule === null ? Prisma.DbNull : toJson(settings.schedule),
  nextAt: toDate(settings.nextAt),
  changedAt: toDate(settings.changedAt),
})

const toSettings = (row: SettingsRow): TestSettings => ({
  ...row,
  planId: row.planId as PlanId,
  schedule: fromJson(row.schedule),
  nextAt: toInstant(row.nextAt),
  changedAt: toInstant(row.changedAt),
})

const toTestRow = (test: ScheduledTest) => ({
  ...test,
  dueAt: toDate(test.dueAt),
  beginBy: toDate(test.beginBy),
  settledAt: toDate(test.settledAt),
})

const toTest = ({ sequence: _sequence, ...row }: ScheduledTestRow): ScheduledTest => ({
  ...row,
  planId: row.planId as PlanId,
  state: row.state as ScheduledTestState,
  planRunId: row.planRunId as PlanRunId | null,
  dueAt: toInstant(row.dueAt),
  beginBy: toInstant(row.beginBy),
  settledAt: toInstant(row.settledAt),
})
