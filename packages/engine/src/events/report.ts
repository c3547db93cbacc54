// Telling people: events for what happened, alerts for what wants attention until it is resolved.
import type { AlertId, EventId, Severity } from '@understudy/domain/events/event'
import type { EngineParts } from '../engine-parts.ts'

export type Subject = { readonly id: string; readonly name: string }

export type Report = {
  readonly severity: Severity
  readonly code: string
  readonly message: string
  readonly subject: Subject | null
  readonly facts?: Readonly<Record<string, unknown>>
}

type ReportParts = Pick<EngineParts, 'stores' | 'live' | 'clock' | 'newId'>

/**
 * Appends an event. Not idempotent: a repeated step may tell twice, which is better than not at all. Under an `id` that is known
 * beforehand it is told once.
 */
export async function recordEvent(
  parts: ReportParts,
  report: Report,
  id: EventId = parts.newId() as EventId,
): Promise<void> {
  const { severity, code, message, subject, facts = {} } = report
  await parts.stores.events.append({
    id,
    at: parts.clock.now(),
    severity,
    code,
    message,
    subjectId: subject?.id ?? null,
    subjectName: subject?.name ?? null,
    facts,
  })
  parts.live.changed('events', id)
}

/** Repeatable: one open alert per code and subject. */
export async function raiseAlert(
  parts: ReportParts,
  report: Report & { readonly remedy: string },
): Promise<void> {
  const id = parts.newId() as AlertId
  const raised = await parts.stores.alerts.raise({
    id,
    code: report.code,
    severity: report.severity,
    message: report.message,
    remedy: report.remedy,
    subjectId: report.subject?.id ?? null,
    subjectName: report.subject?.name ?? null,
    raisedAt: parts.clock.now(),
    acknowledgedBy: null,
    resolvedAt: null,
  })
  parts.live.changed('alerts', raised === 'new' ? id : null)
  if (raised !== 'known') await recordEvent(parts, report)
}

/** Repeatable: nothing happens when none is open. */
export async function resolveAlert(parts: ReportParts, code: string, subject: Subject): Promise<void> {
  const resolved = await parts.stores.alerts.resolve(code, subject.id, parts.clock.now())
  if (resolved) parts.live.changed('alerts', null)
}
