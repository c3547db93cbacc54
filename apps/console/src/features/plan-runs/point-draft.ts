// The choice of one point for all machines, as a form holds it.
import type { PlanPointChoice } from '@understudy/contract/recovery-plan'

export type PointDraft = {
  readonly kind: PlanPointChoice['kind']
  /** As a field of date and time has it, in the reader's own zone; empty: not chosen yet. */
  readonly localTime: string
}

export const latestPoint: PointDraft = { kind: 'latest', localTime: '' }

/** Null: not complete yet. */
export function pointOf({ kind, localTime }: PointDraft): PlanPointChoice | null {
  if (kind !== 'at') return { kind }
  const milliseconds = Date.parse(localTime)
  return Number.isNaN(milliseconds) ? null : { kind, instant: new Date(milliseconds).toISOString() }
}

/** `2026-03-01T14:05:09.120` in the reader's own zone: to the millisecond, for a point lies between two seconds. */
export function localTimeOf(milliseconds: number): string {
  const local = new Date(milliseconds - new Date(milliseconds).getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 23)
}
