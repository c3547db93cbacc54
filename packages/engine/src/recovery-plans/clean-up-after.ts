// The machines of a test go: a run of its own, which begins before the test is said to be over.
import { followUpRun } from '@understudy/domain/recovery-plans/follow-up-plan'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanActivity, PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import { activitiesOfFollowUp } from './boots-of-run.ts'

/** Nothing when nothing of it was begun. Repeatable: there is one of each test. */
export async function cleanUpAfter(
  parts: EngineParts,
  test: PlanRun,
  activities: readonly PlanActivity[],
): Promise<void> {
  const { stores, clock, live } = parts
  const machineIds = new Set(machinesOf(test.plan).map(({ id }) => id))
  if (!activities.some(({ itemId, attempt }) => machineIds.has(itemId) && attempt > 0)) return
  const run = followUpRun(test, { ...test, id: cleanUpId(test.id), kind: 'clean-up', startedAt: clock.now() })
  await stores.planRuns.create(run, await activitiesOfFollowUp(parts, run), {})
  live.changed('plan-runs', run.id)
}

/** One clean-up that we start by ourselves, whoever repeats it. */
const cleanUpId = (id: PlanRunId): PlanRunId => `${id}-clean-up` as PlanRunId
