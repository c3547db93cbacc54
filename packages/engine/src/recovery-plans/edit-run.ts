// The copy of the plan in a run is edited where nothing has started. What has started stays as it is and where it is.
import { Refusal } from '@understudy/base/errors'
import type { PlanGroup, PlanMachine, PlanStep, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { isPlanRunKind } from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { isStep, itemsOf, itemsOfGroup } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import { isSameValue } from '@understudy/domain/recovery-plans/same-value'
import { validatePlan } from '@understudy/domain/recovery-plans/validate-plan'
import type { EngineParts } from '../engine-parts.ts'
import type { EditRunRequest } from '../requests.ts'
import { findingsOf } from './begin-run.ts'
import { protectionNames } from './save-plan.ts'
import { loadRun, notNow, refuseOwnApproval, tell, titleOf } from './steer-run.ts'

type Item = PlanMachine | PlanStep

export async function editRun(parts: EngineParts, request: EditRunRequest): Promise<void> {
  const run = await loadRun(parts, request.planRunId)
  if (run.followsUp !== null || !['running', 'paused', 'failed'].includes(run.state))
    throw notNow(run, 'edited')
  const activities = await parts.stores.planRuns.activities(run.id)
  const started = new Set(activities.filter(({ state }) => state !== 'pending').map(({ itemId }) => itemId))
  const change = changeOf(run.plan, request.plan)
  refuseMovedStart(run.plan, request.plan, started)
  for (const item of [...change.removed, ...change.changed]) {
    if (started.has(item.id)) throw hasStarted(item)
    // Taken out or weakened, it would let the run pass as if it had been approved.
    refuseOwnApproval(run, item, request)
  }
  await refuseFaults(parts, run, request.plan, change.added)
  const replaced = await parts.stores.planRuns.replacePlan(run.id, request.planRevision, {
    plan: { ...request.plan, id: run.plan.id, name: run.plan.name, parameters: run.plan.parameters },
    added: change.added.map(({ id }) => id),
    removed: change.removed.map(({ id }) => id),
    changed: change.changed.map(({ id }) => id),
  })
  if (!replaced)
    throw new Refusal({
      code: 'plan-run/edited-meanwhile',
      message: 'The run has gone on, or somebody else has edited it meanwhile',
      remedy: 'Look at the run as it is now, and edit it again.',
    })
  parts.live.changed('plan-runs', run.id)
  await tell(parts, run, `was edited by ${request.by}`)
}

export type PlanChange = {
  readonly added: readonly Item[]
  /** As they were. */
  readonly removed: readonly Item[]
  readonly changed: readonly Item[]
}

/** Items by their ids, wherever they stand. Pure. */
export function changeOf(before: RecoveryPlan, after: RecoveryPlan): PlanChange {
  const [old, now] = [before, after].map((plan) => new Map(itemsOf(plan).map(({ item }) => [item.id, item])))
  const former = [...(old?.values() ?? [])]
  return {
    added: [...(now?.values() ?? [])].filter(({ id }) => !old?.has(id)),
    removed: former.filter(({ id }) => !now?.has(id)),
    changed: former.filter((item) => {
      const next = now?.get(item.id)
      return next !== undefined && !isSameValue(item, next)
    }),
  }
}

/**
 * Everything up to the last thing that has started is as it was: what ran in an order would else be said to have run in another, and what
 * waits for it would not wait any more.
 */
function refuseMovedStart(before: RecoveryPlan, after: RecoveryPlan, started: ReadonlySet<ItemId>): void {
  const last = before.groups.findLastIndex((group) => itemsOfGroup(group).some(({ id }) => started.has(id)))
  for (const [index, group] of before.groups.slice(0, last + 1).entries()) {
    const next = after.groups[index]
    const moved =
      next?.id !== group.id || next.start !== group.start ? itemsOfGroup(group) : movedIn(group, next)
    const item = moved.find(({ id }) => started.has(id))
    if (item) throw hasStarted(item)
    if (next?.id !== group.id) throw groupHasStarted(group)
  }
}

/** Of a group what does not stand where it stood, with everything that stood before it. */
const movedIn = (before: PlanGroup, after: PlanGroup): readonly Item[] => [
  ...movedSteps(before.before, after.before),
  ...before.machines.filter(({ id }) => after.machines.every((machine) => machine.id !== id)),
  ...movedSteps(before.after, after.after),
]

function movedSteps(before: readonly PlanStep[], after: readonly PlanStep[]): readonly PlanStep[] {
  const differs = before.findIndex(({ id }, index) => after[index]?.id !== id)
  return differs < 0 ? [] : before.slice(differs)
}

const hasStarted = (item: Item): Refusal =>
  new Refusal({
    code: 'plan-run/started',
    message: `${titleOf(item)} has started already: it can neither be changed, moved nor taken out`,
    remedy: 'Edit what has not started yet.',
  })

const groupHasStarted = ({ name }: PlanGroup): Refusal =>
  new Refusal({
    code: 'plan-run/started',
    message: `The group "${name}" stands before what has started already, and stays there`,
    remedy: 'Edit what has not started yet.',
  })

/** Of the plan by itself everything; of how its machines stand only what is new, for the others have been moved by this very run. */
async function refuseFaults(
  parts: EngineParts,
  run: PlanRun,
  plan: RecoveryPlan,
  added: readonly Item[],
): Promise<void> {
  const ids = new Set<string>(added.filter((item) => !isStep(item)).map(({ id }) => id))
  const ofNew = ({ at }: PlanFinding): boolean => at.kind === 'item' && ids.has(at.id)
  const findings = [
    ...validatePlan(plan, await protectionNames(parts)),
    ...(ids.size === 0
      ? []
      : await findingsOf(parts, plan, isPlanRunKind(run.kind) ? run.kind : 'planned')
    ).filter(ofNew),
  ]
  const fault = findings.find(({ level }) => level === 'blocker')
  if (!fault) return
  const { code, message, remedy } = fault
  throw new Refusal({ code, message, remedy, facts: { findings: [fault] } })
}
