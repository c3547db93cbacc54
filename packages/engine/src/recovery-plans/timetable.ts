// How long a run of a plan will take: from how long its machines and steps took before, or by a careful guess.

import type { ProtectionId } from '@understudy/domain/protection/protection'
import {
  type Duration,
  expectDuration,
  type Prediction,
  predictPlan,
  type RunProgress,
} from '@understudy/domain/recovery-plans/critical-path'
import type { PlanMachine, PlanRunKind, PlanStep, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { planRunKinds } from '@understudy/domain/recovery-plans/plan'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { isStep, itemsOf } from '@understudy/domain/recovery-plans/plan-items'
import { planActivities, type RunPurpose } from '@understudy/domain/recovery-plans/schedule-plan'
import type { EngineParts } from '../engine-parts.ts'

export type Timetable = Prediction & {
  /** Of how many items the duration is known from earlier runs. */
  readonly measured: number
}

/** Of these runs, the newest. */
const RUNS = 10

/** Throws a Refusal when the order of the plan cannot be kept (`recovery-plan/not-runnable`). `run` null: before it begins. */
export async function timetableOf(
  { stores }: Pick<EngineParts, 'stores'>,
  plan: RecoveryPlan,
  purpose: RunPurpose,
  run: RunProgress | null,
): Promise<Timetable> {
  const activities = planActivities(plan, purpose)
  const others = planRunKinds.filter((kind) => kind !== purpose.kind)
  const [same, similar, summaries] = await Promise.all([
    stores.planRuns.durations(plan.id, [purpose.kind], RUNS),
    stores.planRuns.durations(plan.id, others, RUNS),
    stores.protections.summaries(),
  ])
  const lastSeconds = (id: ProtectionId): number | null => summaries.get(id)?.lastRecoverySeconds ?? null
  const durations = new Map<ItemId, Duration>()
  let measured = 0
  const takesPart = new Set(activities.map(({ id }) => id))
  for (const { item } of itemsOf(plan)) {
    const known = same.get(item.id) ?? similar.get(item.id) ?? []
    if (known.length > 0 && takesPart.has(item.id)) measured += 1
    durations.set(item.id, expectDuration(known, assumed(item, lastSeconds, purpose.kind)))
  }
  return { ...predictPlan({ activities, durations, run }), measured }
}

/** Of a machine of which nothing is known: a boot under load. */
const ASSUMED_BOOT: Duration = { expectedSeconds: 60, spreadSeconds: 30 }
/** A planned move also shuts the source down and copies the last changes. */
const ASSUMED_SHUT_DOWN_SECONDS = 30

function assumed(
  item: PlanMachine | PlanStep,
  lastSeconds: (id: ProtectionId) => number | null,
  kind: PlanRunKind,
): Duration {
  if (isStep(item)) return assumedOfStep(item)
  const last = lastSeconds(item.protectionId)
  const boot: Duration =
    last === null ? ASSUMED_BOOT : { expectedSeconds: last, spreadSeconds: Math.max(1, last / 4) }
  return kind === 'planned' || kind === 'fail-back'
    ? { ...boot, expectedSeconds: boot.expectedSeconds + ASSUMED_SHUT_DOWN_SECONDS }
    : boot
}

function assumedOfStep({ action }: PlanStep): Duration {
  switch (action.kind) {
    case 'wait':
      return { expectedSeconds: action.seconds, spreadSeconds: 0 }
    case 'script':
      return { expectedSeconds: 10, spreadSeconds: 10 }
    case 'probe':
      return { expectedSeconds: 5, spreadSeconds: 5 }
    case 'http':
    case 'dns':
    case 'load-balancer':
      return { expectedSeconds: 1, spreadSeconds: 1 }
    case 'traffic-manager':
    case 'azure-load-balancer':
    case 'azure-dns':
      return { expectedSeconds: 10, spreadSeconds: 10 }
    // Azure's agent looks for work now and then.
    case 'azure-run-command':
      return { expectedSeconds: 60, spreadSeconds: 30 }
    case 'manual':
    case 'approval':
      return { expectedSeconds: 300, spreadSeconds: 300 }
  }
}
