// How plans stand, many at once: what stands in the way of a run, and how long it would take.
import { Refusal } from '@understudy/base/errors'
import type { PlanRunKind, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { EngineParts } from '../engine-parts.ts'
import { findingsOf } from './begin-run.ts'
import { membersReadOnce } from './members-read-once.ts'
import { type Timetable, timetableOf } from './timetable.ts'

export type PlanOutlook = {
  readonly findings: readonly PlanFinding[]
  /** Null: its order cannot be kept, and the findings say why. */
  readonly timetable: Timetable | null
}

/** The machines are read once, however many plans there are. Touches nothing. */
export async function planOutlooks(
  parts: EngineParts,
  plans: readonly RecoveryPlan[],
  kind: PlanRunKind,
): Promise<ReadonlyMap<PlanId, PlanOutlook>> {
  const known = { ...parts, stores: await membersReadOnce(parts.stores) }
  const judged = await Promise.all(
    plans.map(async (plan) => {
      const findings = await findingsOf(known, plan, kind)
      return [plan.id, { findings, timetable: await timetableOrNull(known, plan, kind) }] as const
    }),
  )
  return new Map(judged)
}

/** An order that cannot be kept is told by the findings. */
export async function timetableOrNull(
  parts: Pick<EngineParts, 'stores'>,
  plan: RecoveryPlan,
  kind: PlanRunKind,
): Promise<Timetable | null> {
  try {
    const direction = kind === 'fail-back' ? 'reverse' : 'forward'
    return await timetableOf(parts, plan, { kind, direction }, null)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'recovery-plan/not-runnable') return null
    throw error
  }
}
