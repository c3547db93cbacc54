import { Refusal } from '@understudy/base/errors'
import {
  activeJobStates,
  type Job,
  type JobId,
  type JobKind,
  type JobState,
} from '@understudy/domain/jobs/job'
import type { JobStore } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import {
  defined,
  fromJson,
  refuseMissing,
  refuseTaken,
  toDate,
  toInstant,
  toJson,
  toNullableJson,
  withFailures,
} from './database.ts'
import type { Job as JobRow, Prisma } from './generated/client.ts'
import { toPage, toPageQuery } from './paging.ts'

export function jobStore({ prisma }: Database): JobStore {
  return withFailures<JobStore>({
    async create(job) {
      const columns = {
        ...defined({ failure: toNullableJson(job.failure), question: toNullableJson(job.question) }),
        id: job.id,
        kind: job.kind,
        state: job.state,
        subjectId: job.subjectId,
        subjectName: job.subjectName,
        tasks: toJson(job.tasks),
        createdAt: toDate(job.createdAt),
        endedAt: toDate(job.endedAt),
        startedBy: job.startedBy,
      }
      // A request may be repeated while its job is at work: only the first one writes.
      const write = prisma.job.upsert({ where: { id: job.id }, create: columns, update: {} })
      await refuseTaken(write, () => anotherWorks(job.subjectName))
    },
    async find(id) {
      const row = await prisma.job.findUnique({ where: { id } })
      return row && toJob(row)
    },
    async list({ subjectId, states, kinds }, page) {
      const { where, ...rest } = toPageQuery('createdAt', page)
      const filter: Prisma.JobWhereInput = {
        ...(subjectId === undefined ? {} : { subjectId }),
        ...(states === undefined ? {} : { state: { in: [...states] } }),
        ...(kinds === undefined ? {} : { kind: { in: [...kinds] } }),
      }
      const found = await prisma.job.findMany({
        ...rest,
        orderBy: [...rest.orderBy],
        where: { AND: [filter, where] },
      })
      return toPage(found, page, (row) => ({ at: row.createdAt, sequence: row.sequence }), toJob)
    },
    async update(id, change) {
      const columns = defined({
        ...change,
        tasks: change.tasks && toJson(change.tasks),
        failure: toNullableJson(change.failure),
        question: toNullableJson(change.question),
        endedAt: toDate(change.endedAt),
      })
      const write = prisma.job.update({ where: { id }, data: columns, select: { id: true } })
      await refuseTaken(refuseMissing(write, 'job', id), () => anotherWorks(change.subjectName ?? 'it'))
    },
    async closeQuestion(id, questionId) {
      const where = { id, state: 'waiting', question: { path: ['id'], equals: questionId } }
      const data = defined({ question: toNullableJson(null) })
      return (await prisma.job.updateMany({ where, data })).count > 0
    },
    async failActive(id, failure, endedAt) {
      const where = { id, state: { in: [...activeJobStates] } }
      const columns = defined({
        state: 'failed',
        failure: toNullableJson(failure),
        endedAt: toDate(endedAt),
      })
      return (await prisma.job.updateMany({ where, data: columns })).count > 0
    },
    trim: async (before) =>
      (await prisma.job.deleteMany({ where: { endedAt: { lt: toDate(before) } } })).count,
  })
}

const anotherWorks = (name: string): Refusal =>
  new Refusal({
    code: 'job/another-works',
    message: `Another job works on ${name}`,
    remedy: 'Wait until it is over, then look again.',
  })

const toJob = (row: JobRow): Job => ({
  id: row.id as JobId,
  kind: row.kind as JobKind,
  state: row.state as JobState,
  subjectId: row.subjectId,
  subjectName: row.subjectName,
  tasks: fromJson(row.tasks),
  failure: fromJson(row.failure),
  question: fromJson(row.question),
  createdAt: toInstant(row.createdAt),
  endedAt: toInstant(row.endedAt),
  startedBy: row.startedBy,
})
