// The choice of one point for all machines, as a form holds it.
import type { PlanRun } from '@understudy/contract/recovery-plan'

export type PointDraft = {
  readonly kind: PlanRun['point']['kind']
  /** As a field of date and time has it, in the reader's own zone; empty: not chosen yet. */
  readonly localTime: string
}

export const latestPoint: PointDraft = { kind: 'latest', localTime: '' }

/** Null: not complete yet. */
export function pointOf({ kind, localTime }: PointDraft): PlanRun['point'] | null {
  if (kind !== 'at') return { kind }
  const milliseconds = Date.parse(localTime)
  return Number.isNaN(milliseconds) ? null : { kind, instant: new Date(milliseconds).toISOString() }
}

/** `2026-03-01T14:05:09` in the reader's own zone. */
export function localTimeOf(milliseconds: number): string {
  const local = new Date(milliseconds - new Date(milliseconds).getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19)
}
