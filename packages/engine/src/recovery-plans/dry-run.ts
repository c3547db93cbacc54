// Everything that comes before a run, and nothing of the run.
import { Outage, Refusal } from '@understudy/base/errors'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { EngineParts } from '../engine-parts.ts'
import { preflightFailover } from '../failover/preflight.ts'
import type { StartPlanRequest } from '../requests.ts'
import { fillIn, findingsOf } from './begin-run.ts'
import { cutFindings } from './group-cuts.ts'
import { loadPlan } from './save-plan.ts'

/** So many machines are asked about at once. */
const AT_ONCE = 8

export async function dryRun(parts: EngineParts, request: StartPlanRequest): Promise<readonly PlanFinding[]> {
  const { plan } = await loadPlan(parts, request.planId)
  const machines = machinesOf(plan)
  const found: PlanFinding[] = [
    ...(await findingsOf(parts, plan, request.kind)),
    ...(await parameterFindings(parts, plan, request)),
    ...(await cutFindings(parts, plan, request)),
  ]
  const mode = request.kind === 'test' ? 'test' : 'failover'
  for (let from = 0; from < machines.length; from += AT_ONCE) {
    const some = machines.slice(from, from + AT_ONCE)
    const answers = await Promise.all(
      some.map(({ id, protectionId }) => preflightOf(parts, { id, protectionId, mode })),
    )
    found.push(...answers.flat())
  }
  return found
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
    const findings = await preflightFailover(parts, what)
    return findings.map(({ level, code, message, remedy }) => ({ at, level, code, message, remedy }))
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof Outage)) throw error
    const { code, message, remedy } = error
    // A protection that has gone is told by the plan's own findings.
    return code === 'protection/not-found' ? [] : [{ at, level: 'blocker', code, message, remedy }]
  }
}
