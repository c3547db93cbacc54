// Everything that comes before a run, and nothing of the run.
import { Outage, Refusal } from '@understudy/base/errors'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { ChosenPoint } from '@understudy/domain/recovery-plans/plan-points'
import type { EngineParts } from '../engine-parts.ts'
import { preflightFailover } from '../failover/preflight.ts'
import type { StartPlanRequest } from '../requests.ts'
import { NO_TARGET } from '../sites/no-target.ts'
import { choosesPoint, fillIn, findingsOf } from './begin-run.ts'
import { foreseeCuts, withCuts } from './group-cuts.ts'
import { lookAtPoints, pointReader } from './member-points.ts'
import { loadPlan } from './save-plan.ts'
import { someAtOnce } from './some-at-once.ts'

const latest = { kind: 'latest' } as const

export type DryRun = {
  readonly findings: readonly PlanFinding[]
  /** What each machine would be booted from. Of a move on purpose none: it ships what was written last. */
  readonly points: readonly ChosenPoint[]
}

export async function dryRun(parts: EngineParts, request: StartPlanRequest): Promise<DryRun> {
  const { plan } = await loadPlan(parts, request.planId)
  const mode = request.kind === 'test' ? 'test' : 'failover'
  const read = pointReader(parts)
  const points = choosesPoint(request.kind)
    ? await lookAtPoints(parts, plan, { choice: request.point ?? latest, read })
    : { members: [], point: latest, chosen: [], findings: [] }
  const { cuts, findings } = await foreseeCuts(parts, plan, { kind: request.kind, point: points.point, read })
  const answers = await someAtOnce(machinesOf(plan), ({ id, protectionId }) =>
    preflightOf(parts, { id, protectionId, mode }),
  )
  return {
    findings: [
      ...(await findingsOf(parts, plan, request.kind)),
      ...(await parameterFindings(parts, plan, request)),
      ...points.findings,
      ...findings,
      ...answers.flat(),
    ],
    points: withCuts(plan, { ...points, cuts }),
  }
}

async function parameterFindings(
  parts: EngineParts,
  plan: Parameters<typeof fillIn>[1],
  { parameters = {} }: StartPlanRequest,
): Promise<readonly PlanFinding[]> {
  try {
    await fillIn(parts, plan, parameters)
    return []
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'recovery-plan/parameters') throw error
    return error.facts.findings as readonly PlanFinding[]
  }
}

async function preflightOf(
  parts: EngineParts,
  what: {
    readonly id: ReturnType<typeof machinesOf>[number]['id']
    readonly protectionId: ReturnType<typeof machinesOf>[number]['protectionId']
    readonly mode: 'test' | 'failover'
  },
): Promise<readonly PlanFinding[]> {
  const at = { kind: 'item', id: what.id } as const
  try {
    // That no machine can run there is told by the plan's own findings.
    const findings = (await preflightFailover(parts, what)).filter(({ code }) => code !== NO_TARGET)
    return findings.map(({ level, code, message, remedy }) => ({ at, level, code, message, remedy }))
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof Outage)) throw error
    const { code, message, remedy } = error
    // A protection that has gone is told by the plan's own findings.
    return code === 'protection/not-found' ? [] : [{ at, level: 'blocker', code, message, remedy }]
  }
}
