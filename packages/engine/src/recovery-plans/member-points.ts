// What the replicas of a plan's machines hold, and what a choice of one point for all of them comes to.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
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

/** `points` null: they cannot be read now, and why. */
export type ReadPoints =
  | { readonly points: readonly RecoveryPoint[]; readonly why: null }
  | { readonly points: null; readonly why: string }

export type PointReader = (protection: Protection) => Promise<ReadPoints>

/** For one question about a plan: each replica is opened once, however many parts of the answer need its points. */
export function pointReader(parts: EngineParts): PointReader {
  const known = new Map<ProtectionId, Promise<ReadPoints>>()
  return (protection) => {
    const reading = known.get(protection.id) ?? readPoints(parts, protection)
    known.set(protection.id, reading)
    return reading
  }
}

async function readPoints(parts: EngineParts, protection: Protection): Promise<ReadPoints> {
  // A store that hangs, without any error, must not keep whoever asks waiting: it is an outage like any other.
  const bound = { seconds: parts.config.deadSiteSeconds, signal: new AbortController().signal }
  try {
    return { points: await withinSeconds(parts, bound, () => loadPoints(parts, protection)), why: null }
  } catch (error) {
    if (!(error instanceof Outage) && !(error instanceof Refusal)) throw error
    return { points: null, why: error.message }
  }
}

/** Of every machine of the plan that is protected still; one whose target does not answer is told as that. Touches nothing. */
export async function memberPoints(
  parts: EngineParts,
  plan: RecoveryPlan,
  read: PointReader = pointReader(parts),
): Promise<readonly MemberPoints[]> {
  const members = await someAtOnce(machinesOf(plan), async ({ id, protectionId }) => {
    const protection = await parts.stores.protections.find(protectionId)
    return protection && { itemId: id, name: protection.name, ...(await read(protection)) }
  })
  return members.filter((member) => member !== null)
}

type Asked = { readonly choice: PlanPointChoice; readonly read: PointReader }

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
  { choice, read }: Asked,
): Promise<LookedAt> {
  const members = await memberPoints(parts, plan, read)
  return {
    members,
    point: fixPoint(choice, members) ?? { kind: 'latest' },
    chosen: choosePlanPoints(members, choice),
    findings: checkPlanPoints(members, choice, parts.clock.now()),
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
  { choice, read }: Asked,
): Promise<SettledPoint> {
  if (choice.kind === 'latest') return { point: choice, findings: [] }
  const members = await memberPoints(parts, plan, read)
  return {
    point: fixPoint(choice, members) ?? { kind: 'latest' },
    findings: checkPlanPoints(members, choice, parts.clock.now()),
  }
}
