import type { Event, EventId, Severity } from '@understudy/domain/events/event'
import type { EventStore } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import { fromJson, toDate, toInstant, toJson, withFailures } from './database.ts'
import type { Event as EventRow, Prisma } from './generated/client.ts'
import { toPage, toPageQuery } from './paging.ts'

export function eventStore({ prisma }: Database): EventStore {
  return withFailures<EventStore>({
    async append(event) {
      const row = { ...event, at: toDate(event.at), facts: toJson(event.facts) }
      // Written once: a step that is repeated after a crash brings the same event again.
      await prisma.event.createMany({ data: [row], skipDuplicates: true })
    },
    async list({ subjectId, minimumSeverity, code }, page) {
      const { where, ...rest } = toPageQuery('at', page)
      const filter: Prisma.EventWhereInput = {
        ...(subjectId === undefined ? {} : { subjectId }),
        ...(code === undefined ? {} : { code }),
        ...(minimumSeverity === undefined ? {} : { severity: { in: atLeast(minimumSeverity) } }),
      }
      const found = await prisma.event.findMany({
        ...rest,
        orderBy: [...rest.orderBy],
        where: { AND: [filter, where] },
      })
      return toPage(found, page, (row) => row, toEvent)
    },
    trim: async (before) => (await prisma.event.deleteMany({ where: { at: { lt: toDate(before) } } })).count,
  })
}

const severities: readonly Severity[] = ['info', 'warning', 'critical']
const atLeast = (least: Severity): Severity[] => severities.slice(severities.indexOf(least))

const toEvent = (row: EventRow): Event => ({
  id: row.id as EventId,
  at: toInstant(row.at),
  severity: row.severity as Severity,
  code: row.code,
  message: row.message,
  subjectId: row.subjectId,
  subjectName: row.subjectName,
  facts: fromJson(row.facts),
})
