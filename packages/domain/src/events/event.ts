import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'

export type EventId = Brand<'EventId'>
export type AlertId = Brand<'AlertId'>
export type Severity = 'info' | 'warning' | 'critical'

/** What happened. Written once, never changed. */
export type Event = {
  readonly id: EventId
  readonly at: Instant
  readonly severity: Severity
  readonly code: string
  readonly message: string
  readonly subjectId: string | null
  readonly subjectName: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

/** What wants attention until it is resolved. One open alert per (code, subject). */
export type Alert = {
  readonly id: AlertId
  readonly code: string
  readonly severity: Severity
  readonly message: string
  readonly remedy: string
  readonly subjectId: string | null
  readonly subjectName: string | null
  readonly raisedAt: Instant
  readonly acknowledgedBy: string | null
  readonly resolvedAt: Instant | null
}
