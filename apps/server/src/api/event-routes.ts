import type { AlertId } from '@understudy/domain/events/event'
import { callerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { showAlert, showEvent } from './show-event.ts'

export function eventRoutes(deps: ApiDeps) {
  return {
    list: os.events.list.handler(async ({ input }) => {
      const { subjectId, severity, code, limit, cursor } = input
      const page = await deps.stores.events.list(
        {
          ...(subjectId === undefined ? {} : { subjectId }),
          ...(severity === undefined ? {} : { minimumSeverity: severity }),
          ...(code === undefined ? {} : { code }),
        },
        { limit, cursor: cursor ?? null },
      )
      return { items: page.rows.map(showEvent), next: page.next, total: null }
    }),
  }
}

export function alertRoutes(deps: ApiDeps) {
  return {
    list: os.alerts.list.handler(async ({ input }) => {
      const { open, limit, cursor } = input
      const page = await deps.stores.alerts.list(open === undefined ? {} : { open }, {
        limit,
        cursor: cursor ?? null,
      })
      return { items: page.rows.map(showAlert), next: page.next, total: null }
    }),
    acknowledge: os.alerts.acknowledge.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await deps.stores.alerts.acknowledge(input.id as AlertId, callerOf(context).name)
      deps.live.changed('alerts', input.id)
      return {}
    }),
  }
}
