// What a run will cost, in words, before it is started. Pure.
import type { PlanDetail, PlanDryRun } from '@understudy/contract/recovery-plan'
import { formatDuration } from '../../lib/format.ts'
import { pointOf } from './point-draft.ts'
import { backSeconds } from './points-of-machines.ts'
import type { StartDraft } from './start-draft.ts'

type Facts = {
  readonly detail: Pick<PlanDetail, 'worstLagSeconds' | 'targetRtoSeconds' | 'machineCount' | 'stepCount'>
  readonly draft: StartDraft
  readonly check: PlanDryRun | undefined
  readonly now: number
}
export type Foreseen = {
  readonly loss: { readonly value: string; readonly note: string; readonly isLoss: boolean }
  readonly time: { readonly value: string; readonly note: string }
  readonly target: { readonly words: string; readonly isMissed: boolean }
}

export const foreseen = (facts: Facts): Foreseen => ({
  loss: lossOf(facts),
  time: timeOf(facts),
  target: targetOf(facts),
})

function lossOf({ detail, draft, check, now }: Facts): Foreseen['loss'] {
  if (draft.kind === 'test') return { value: 'none', note: 'a test loses nothing', isLoss: false }
  if (draft.kind !== 'unplanned')
    return { value: 'none', note: 'what is written last is shipped first', isLoss: false }
  const worst = worstBack(check, now)
  if (worst !== null && draft.point.kind !== 'latest')
    return {
      value: formatDuration(Math.round(worst)),
      note: 'of the machine that goes back farthest',
      isLoss: true,
    }
  const point = pointOf(draft.point)
  if (point?.kind === 'at') {
    const age = Math.max(0, Math.round((now - Date.parse(point.instant)) / 1000))
    return { value: formatDuration(age), note: 'at least: what was written since the instant', isLoss: true }
  }
  if (detail.worstLagSeconds === null)
    return { value: 'not known', note: 'a machine has no recovery point yet', isLoss: true }
  return {
    value: formatDuration(Math.round(detail.worstLagSeconds)),
    note:
      draft.point.kind === 'latest'
        ? 'at most, of the machine farthest behind'
        : 'at least; consistent points are older',
    isLoss: true,
  }
}

/** What the server found for the chosen point; null: not known, or a machine has none. */
function worstBack(check: PlanDryRun | undefined, now: number): number | null {
  const points = check?.points ?? []
  if (points.length === 0 || points.some(({ instant }) => instant === null)) return null
  return Math.max(0, ...points.map((point) => backSeconds(point, now)))
}

function timeOf({ check }: Facts): Foreseen['time'] {
  if (check === undefined) return { value: '…', note: 'being worked out' }
  const { timetable } = check
  if (timetable === null) return { value: 'not known', note: 'its order cannot be kept' }
  const { totalSeconds, spreadSeconds, measured, items } = timetable
  return {
    value: formatDuration(Math.round(totalSeconds)),
    note: `give or take ${formatDuration(Math.round(spreadSeconds))}; ${measured} of ${items.length} measured in earlier runs`,
  }
}

function targetOf({ detail, check }: Facts): Foreseen['target'] {
  const target = detail.targetRtoSeconds
  const machines = detail.machineCount === 1 ? '1 machine' : `${detail.machineCount} machines`
  const steps = detail.stepCount === 1 ? '1 step' : `${detail.stepCount} steps`
  const total = check?.timetable?.totalSeconds ?? null
  if (target === null || total === null) return { words: `${machines}, ${steps}`, isMissed: false }
  return total > target
    ? { words: `missed by ${formatDuration(Math.round(total - target))}`, isMissed: true }
    : { words: `${formatDuration(Math.round(target - total))} to spare`, isMissed: false }
}
