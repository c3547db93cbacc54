import { z } from 'zod'
import { Id, InstantText } from './primitives.ts'

export const Severity = z.enum(['info', 'warning', 'critical'])
export const Event = z
  .object({
    id: Id,
    at: InstantText,
    severity: Severity,
    code: z.string(),
    message: z.string(),
    subjectId: Id.nullable(),
    subjectName: z.string().nullable(),
    facts: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Event' })
export type Event = z.infer<typeof Event>
export const Alert = z
  .object({
    id: Id,
    code: z.string(),
    severity: Severity,
    message: z.string(),
    remedy: z.string(),
    subjectId: Id.nullable(),
    subjectName: z.string().nullable(),
    raisedAt: InstantText,
    acknowledgedBy: z.string().nullable(),
    resolvedAt: InstantText.nullable(),
  })
  .meta({ id: 'Alert' })
export type Alert = z.infer<typeof Alert>
