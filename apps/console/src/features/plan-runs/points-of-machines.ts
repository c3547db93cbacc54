// What a chosen point means for each machine, in figures and words. Pure.
import type { PlanDryRun } from '@understudy/contract/recovery-plan'
import { formatDuration } from '../../lib/format.ts'

type Row = Pick<PlanDryRun['points'][number], 'instant'>

/** How far its point lies behind now; one that has none comes before all others. */
export const backSeconds = ({ instant }: Row, now: number): number =>
  instant === null ? Number.POSITIVE_INFINITY : (now - Date.parse(instant)) / 1000

/** Null: nothing was chosen that could be compared with. */
export function wordsOfAge(ageSeconds: number | null): string {
  if (ageSeconds === null) return '–'
  return ageSeconds === 0 ? 'the very instant' : `${formatDuration(ageSeconds)} older`
}
