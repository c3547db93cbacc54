// What an approval that is not given yet holds back in a run, and that an edit of the run does not let it slip past.
import type { PlanMachine, PlanStep, ProtectionNames, RecoveryPlan } from './plan.ts'
import { atItem, type PlanFinding } from './plan-finding.ts'
import type { ItemId } from './plan-ids.ts'
import { isApproval, isStep, itemsOf, stepsOf } from './plan-items.ts'
import { orderOf } from './plan-order.ts'
import { titleOf } from './plan-words.ts'
import { isSameValue } from './same-value.ts'
import { type ActivityState, isPassed, type RunPurpose, runsFor, whenItFailsOf } from './schedule-plan.ts'
import type { StepAction } from './step-action.ts'

type Item = PlanMachine | PlanStep

/** Of this kind of run the approvals that nothing has passed yet: not asked, not answered, or refused. Pure. */
export const openApprovals = (
  plan: RecoveryPlan,
  purpose: RunPurpose,
  states: ReadonlyMap<ItemId, ActivityState>,
): readonly PlanStep[] =>
  stepsOf(plan)
    .filter((step) => isApproval(step) && runsFor(step, purpose))
    .filter((step) => !isPassed(states.get(step.id) ?? 'pending', whenItFailsOf(step)))

/** Everything that waits for the item, directly or not. A plan with a cycle has an answer too. Pure. */
export function waitingFor(plan: RecoveryPlan, id: ItemId): ReadonlySet<string> {
  const neededBy = new Map<string, string[]>()
  for (const node of orderOf(plan))
    for (const need of node.needs) {
      const others = neededBy.get(need)
      if (others) others.push(node.id)
      else neededBy.set(need, [node.id])
    }
  // Grows while it is read.
  const found = new Set<string>(neededBy.get(id))
  for (const node of found) for (const next of neededBy.get(node) ?? []) found.add(next)
  return found
}

/**
 * What an edit by somebody who may not give `approvals` would let go ahead of them. Each stays as it is; what waits for it still does,
 * is not taken out, and does what it did; and nothing that need not wait does the same as what has to. Nothing may be taken out, because
 * the next edit could put it in again further in front. What has run already waits for nothing any more; what was skipped has not run, and
 * would else be let go ahead as a copy. Pure.
 */
export function approvalFindings(
  before: RecoveryPlan,
  after: RecoveryPlan,
  {
    approvals,
    ran,
    names,
  }: {
    readonly approvals: readonly PlanStep[]
    /** Or runs. */
    readonly ran: ReadonlySet<ItemId>
    readonly names: ProtectionNames
  },
): readonly PlanFinding[] {
  const former = itemsOf(before).map(({ item }) => item)
  const now = itemsOf(after).map(({ item }) => item)
  const byId = new Map(now.map((item) => [item.id, item]))
  return approvals.flatMap((approval): readonly PlanFinding[] => {
    const kept = byId.get(approval.id)
    if (!kept || !isSameValue(kept, approval)) return [stays(approval)]
    const waited = waitingFor(before, approval.id)
    const held = former.filter(({ id }) => waited.has(id) && !ran.has(id))
    const wait = waitingFor(after, approval.id)
    const isHeld = (item: Item): boolean => {
      const next = byId.get(item.id)
      return next !== undefined && wait.has(item.id) && doesTheSame(item, next)
    }
    // Two that always did the same, one before the approval and one behind it, are as the plan has them. One that was left out of this
    // kind of run, and is not any more, did not.
    const isNew = (item: Item): boolean =>
      !former.some((other) => other.id === item.id && doesTheSame(other, item))
    const inFront = now.filter((item) => !wait.has(item.id) && isNew(item))
    const slipped = [
      ...held.filter((item) => !isHeld(item)),
      ...inFront.filter((item) => acts(item) && held.some((other) => isCopyOf(other, item))),
    ]
    return slipped.map((item) => isHeldBack(item, approval, names))
  })
}

/** What it does, and for which runs. Its name, what else it needs and what happens when it fails are another matter. */
const doesTheSame = (one: Item, other: Item): boolean =>
  isCopyOf(one, other) &&
  (!isStep(one) ||
    !isStep(other) ||
    (isSameValue(one.kinds, other.kinds) && isSameValue(one.directions, other.directions)))

const isCopyOf = (one: Item, other: Item): boolean => {
  if (isStep(one)) return isStep(other) && isSameValue(deedOf(one.action), deedOf(other.action))
  return !isStep(other) && one.protectionId === other.protectionId
}

/** Without how long it may take and how often it is tried: that makes it no other deed. */
const deedOf = (action: StepAction): object => ({ ...action, timeoutSeconds: 0, intervalSeconds: 0 })

/** To wait, or to ask somebody, moves nothing ahead. */
const acts = (item: Item): boolean =>
  !isStep(item) || !['wait', 'manual', 'approval'].includes(item.action.kind)

const remedyOf = ({ action }: PlanStep): string =>
  `Have it approved first; or ask somebody who may approve it${action.kind === 'approval' ? ` (role ${action.approverRole} or above, and not who has started the run)` : ''} to edit the run.`

const stays = (approval: PlanStep): PlanFinding => ({
  at: atItem(approval.id),
  level: 'blocker',
  code: 'plan-run/own-approval',
  message: `The approval "${approval.name}" is not given yet: whoever may not give it can neither change it nor take it out`,
  remedy: remedyOf(approval),
})

const isHeldBack = (item: Item, approval: PlanStep, names: ProtectionNames): PlanFinding => ({
  at: atItem(item.id),
  level: 'blocker',
  code: 'plan-run/held-by-approval',
  message: `The ${titleOf(item, names)} waits for the approval "${approval.name}", which is not given yet: it stays in the run behind that, as it is`,
  remedy: remedyOf(approval),
})
