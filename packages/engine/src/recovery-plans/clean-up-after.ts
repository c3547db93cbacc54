// The machines of a test go: a run of its own, which begins before the test is said to be over.
import { followUpPlan } from '@understudy/domain/recovery-plans/follow-up-plan'
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
  const plan = followUpPlan(test.plan, 'clean-up')
  const id = cleanUpId(test.id)
  const run: PlanRun = {
    ...test,
    id,
    kind: 'clean-up',
    followsUp: test.id,
    state: 'running',
    plan,
    planRevision: 1,
    changes: 0,
    parameters: {},
    startedAt: clock.now(),
    endedAt: null,
    note: null,
  }
  await stores.planRuns.create(run, await activitiesOfFollowUp(parts, run), {})
  live.changed('plan-runs', id)
}

/** One clean-up that we start by ourselves, whoever repeats it. */
const cleanUpId = (id: PlanRunId): PlanRunId => `${id}-clean-up` as PlanRunId
