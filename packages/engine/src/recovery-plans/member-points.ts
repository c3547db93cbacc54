// What the replicas of a plan's machines hold, and what a choice of one point for all of them comes to.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Protection } from '@understudy/domain/protection/protection'
import type { PlanMachine, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import {
  type ChosenPoint,
  checkPlanPoints,
  choosePlanPoints,
  fixPoint,
  type MemberPoints,
} from '@understudy/domain/recovery-plans/plan-points'
import type { PlanPointChoice, PlanRunPoint } from '@understudy/domain/recovery-plans/plan-run'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { EngineParts } from '../engine-parts.ts'
import { loadPoints } from '../recovery-points/load-points.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { someAtOnce } from './some-at-once.ts'

/** Of every machine of the plan that is protected still; one whose target does not answer is told as that. Touches nothing. */
export async function memberPoints(parts: EngineParts, plan: RecoveryPlan): Promise<readonly MemberPoints[]> {
  const read = await someAtOnce(machinesOf(plan), (machine) => pointsOf(parts, machine))
  return read.filter((member) => member !== null)
}

async function pointsOf(parts: EngineParts, { id, protectionId }: PlanMachine): Promise<MemberPoints | null> {
  const protection = await parts.stores.protections.find(protectionId)
  if (!protection) return null
  const member = { itemId: id, name: protection.name }
  try {
    return { ...member, points: await loadPointsInTime(parts, protection), why: null }
  } catch (error) {
    if (!(error instanceof Outage) && !(error instanceof Refusal)) throw error
    return { ...member, points: null, why: error.message }
  }
}

/** A store that hangs, without any error, must not keep whoever asks waiting: it is an outage like any other. */
export function loadPointsInTime(
  parts: EngineParts,
  protection: Protection,
): Promise<readonly RecoveryPoint[]> {
  const bound = { seconds: parts.config.deadSiteSeconds, signal: new AbortController().signal }
  return withinSeconds(parts, bound, () => loadPoints(parts, protection))
}

type LookedAt = {
  readonly members: readonly MemberPoints[]
  readonly point: PlanRunPoint
  readonly chosen: readonly ChosenPoint[]
  readonly findings: readonly PlanFinding[]
}

/** Which point each machine would be booted from now, and who has none that fits. */
export async function lookAtPoints(
  parts: EngineParts,
  plan: RecoveryPlan,
  choice: PlanPointChoice,
): Promise<LookedAt> {
  const members = await memberPoints(parts, plan)
  return {
    members,
    point: fixPoint(choice, members) ?? { kind: 'latest' },
    chosen: choosePlanPoints(members, choice),
    findings: checkPlanPoints(members, choice),
  }
}

type SettledPoint = { readonly point: PlanRunPoint; readonly findings: readonly PlanFinding[] }

/**
 * The choice as the run keeps it. `latest` asks no replica before its machine's turn comes: a store that is away must not hold up the
 * machines of the others.
 */
export async function settlePoint(
  parts: EngineParts,
  plan: RecoveryPlan,
  choice: PlanPointChoice,
): Promise<SettledPoint> {
  if (choice.kind === 'latest') return { point: choice, findings: [] }
  const members = await memberPoints(parts, plan)
  return {
    point: fixPoint(choice, members) ?? { kind: 'latest' },
    findings: checkPlanPoints(members, choice),
  }
}
