import { toIso } from '@understudy/base/instant'
import type { Alert as ShownAlert, Event as ShownEvent } from '@understudy/contract/event'
import type { Alert, Event } from '@understudy/domain/events/event'

export const showEvent = (event: Event): ShownEvent => ({
  ...event,
  at: toIso(event.at),
  facts: { ...event.facts },
})

export const showAlert = (alert: Alert): ShownAlert => ({
  ...alert,
  raisedAt: toIso(alert.raisedAt),
  resolvedAt: alert.resolvedAt === null ? null : toIso(alert.resolvedAt),
})
