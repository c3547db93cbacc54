// The copy of the plan in a run is edited where nothing has started. What has started stays as it is and where it is.
import { Refusal } from '@understudy/base/errors'
import { approvalFindings, openApprovals } from '@understudy/domain/recovery-plans/held-by-approval'
import type {
  PlanMachine,
  PlanStep,
  ProtectionNames,
  RecoveryPlan,
} from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { isStep, itemsOf } from '@understudy/domain/recovery-plans/plan-items'
import { type PlanActivity, type PlanRun, purposeOf } from '@understudy/domain/recovery-plans/plan-run'
import {
  changeOf,
  type MergedRun,
  mergeRunEdit,
  mustNotStart,
  startedFindings,
} from '@understudy/domain/recovery-plans/run-edit'
import { validatePlan } from '@understudy/domain/recovery-plans/validate-plan'
import { validateSites } from '@understudy/domain/recovery-plans/validate-sites'
import type { EngineParts } from '../engine-parts.ts'
import type { EditRunRequest, MergeRunRequest } from '../requests.ts'
import { findingsOf } from './begin-run.ts'
import { cutsWithAdded } from './group-cuts.ts'
import { siteFacts } from './program-sites.ts'
import { protectionNames } from './save-plan.ts'
import { isStarter, loadRun, notNow, tell } from './steer-run.ts'

type Item = PlanMachine | PlanStep

export async function editRun(parts: EngineParts, request: EditRunRequest): Promise<void> {
  const run = await loadRun(parts, request.planRunId)
  if (run.followsUp !== null || !['running', 'paused', 'failed'].includes(run.state))
    throw notNow(run, 'edited')
  const activities = await parts.stores.planRuns.activities(run.id)
  const started = startedOf(activities)
  const change = changeOf(run.plan, request.plan)
  const names = await protectionNames(parts)
  refuseFirst(startedFindings(run.plan, request.plan, { started, names }))
  await refuseFaults(parts, run, request.plan, { ...change, names })
  refuseFirst(
    approvalFindings(run.plan, request.plan, {
      approvals: foreignApprovals(run, activities, request),
      ran: ranOf(activities),
      names,
    }),
  )
  const kept = new Set(itemsOf(request.plan).map(({ item }) => item.id))
  const replaced = await parts.stores.planRuns.replacePlan(run.id, request.planRevision, {
    plan: { ...request.plan, id: run.plan.id, name: run.plan.name, parameters: run.plan.parameters },
    added: change.added.map(({ id }) => id),
    removed: change.removed.map(({ id }) => id),
    changed: mustNotStart(run.plan, request.plan, { started }).filter((id) => kept.has(id)),
    cuts: await cutsWithAdded(parts, run, request.plan),
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

/** The approvals still open that whoever edits may not give: what waits for them has to go on doing so. */
const foreignApprovals = (
  run: PlanRun,
  activities: readonly PlanActivity[],
  { mayAnswer = () => true, ...asker }: EditRunRequest,
): readonly PlanStep[] => {
  const states = new Map(activities.map(({ itemId, state }) => [itemId, state]))
  return openApprovals(run.plan, purposeOf(run), states).filter(
    (approval) => isStarter(run, asker) || !mayAnswer(approval),
  )
}

/** Of the plan by itself everything; of how its machines stand only what is new, for the others have been moved by this very run. */
async function refuseFaults(
  parts: EngineParts,
  run: PlanRun,
  plan: RecoveryPlan,
  {
    added,
    changed,
    names,
  }: { readonly added: readonly Item[]; readonly changed: readonly Item[]; readonly names: ProtectionNames },
): Promise<void> {
  const about =
    (items: readonly Item[]) =>
    ({ at }: PlanFinding): boolean =>
      at.kind === 'item' && items.some(({ id }) => id === at.id)
  const machines = added.filter((item) => !isStep(item))
  const findings = [
    ...validatePlan(plan, names),
    ...validateSites(plan, await siteFacts(parts, plan)).filter(about([...added, ...changed])),
    ...(machines.length === 0 ? [] : await findingsOf(parts, plan, purposeOf(run).kind)).filter(
      about(machines),
    ),
  ]
  refuseFirst(findings)
}

function refuseFirst(findings: readonly PlanFinding[]): void {
  const fault = findings.find(({ level }) => level === 'blocker')
  if (!fault) return
  const { code, message, remedy } = fault
  throw new Refusal({ code, message, remedy, facts: { findings: [fault] } })
}

/** An edit that somebody else, or the run itself, has overtaken: joined with how the run stands now. Touches nothing. */
export async function mergeEdit(
  parts: EngineParts,
  { planRunId, base, plan }: MergeRunRequest,
): Promise<{ readonly merged: MergedRun; readonly planRevision: number; readonly theirs: RecoveryPlan }> {
  const run = await loadRun(parts, planRunId)
  const started = startedOf(await parts.stores.planRuns.activities(run.id))
  // Name and parameters are those of the run, whatever was sent.
  const own = (edit: RecoveryPlan): RecoveryPlan => ({ ...run.plan, groups: edit.groups })
  const merged = mergeRunEdit({
    base: own(base),
    mine: own(plan),
    theirs: run.plan,
    started,
    names: await protectionNames(parts),
  })
  return { merged, planRevision: run.planRevision, theirs: run.plan }
}

const startedOf = (activities: readonly PlanActivity[]): ReadonlySet<ItemId> =>
  new Set(activities.filter(({ state }) => state !== 'pending').map(({ itemId }) => itemId))

/** Or runs. What was skipped after it had failed may not have had its effect, and counts as what never ran. */
const ranOf = (activities: readonly PlanActivity[]): ReadonlySet<ItemId> =>
  new Set(
    activities.filter(({ state }) => state !== 'pending' && state !== 'skipped').map(({ itemId }) => itemId),
  )
