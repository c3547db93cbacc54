// A recovery plan as the API shows it.

import { Refusal } from '@understudy/base/errors'
import { secondsBetween, toIso } from '@understudy/base/instant'
import type {
  PlanCheck,
  PlanDetail,
  PlanSummary,
  PlanTimetable,
  PlanFinding as ShownFinding,
} from '@understudy/contract/recovery-plan'
import type { PlanRunKind, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import { machinesOf, stepsOf } from '@understudy/domain/recovery-plans/plan-items'
import { activePlanRunStates, type PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import type { PlanVersion } from '@understudy/engine/ports/plan-stores'
import type { Timetable } from '@understudy/engine/recovery-plans/timetable'
import type { ApiDeps } from './context.ts'
import { showDocument } from './show-document.ts'
import { summarizePlanRun } from './show-plan-run.ts'

/** The newest runs of a plan among which its last test is looked for. */
const RECENT_RUNS = { limit: 50, cursor: null }

export async function showPlanSummary(deps: ApiDeps, kept: PlanVersion): Promise<PlanSummary> {
  return (await lookAt(deps, kept)).summary
}

export async function showPlan(deps: ApiDeps, kept: PlanVersion): Promise<PlanDetail> {
  const { summary, findings } = await lookAt(deps, kept)
  const keptSecrets = Object.keys(await deps.stores.plans.secrets(kept.plan.id)).toSorted()
  return {
    ...summary,
    plan: showDocument(kept.plan),
    findings: findings.map(showFinding),
    keptSecrets,
  }
}

async function lookAt(
  deps: ApiDeps,
  kept: PlanVersion,
): Promise<{ readonly summary: PlanSummary; readonly findings: readonly PlanFinding[] }> {
  const { plan } = kept
  const [findings, { rows }, summaries, timetable] = await Promise.all([
    deps.engine.plans.findings(plan, 'unplanned'),
    deps.stores.planRuns.list({ planId: plan.id }, RECENT_RUNS),
    deps.stores.protections.summaries(),
    timetableOrNull(deps, plan, 'unplanned'),
  ])
  const active = rows.find(({ state }) => activePlanRunStates.includes(state)) ?? null
  const last = rows.find(({ followsUp }) => followsUp === null) ?? null
  const lags = machinesOf(plan).map(({ protectionId }) => {
    const newest = summaries.get(protectionId)?.newestPoint
    return newest ? Math.max(0, secondsBetween(newest.instant, deps.clock.now())) : null
  })
  return {
    findings,
    summary: {
      id: plan.id,
      name: plan.name,
      priority: plan.priority,
      targetRtoSeconds: plan.targetRtoSeconds,
      version: kept.version,
      savedAt: toIso(kept.savedAt),
      savedBy: kept.savedBy,
      comment: kept.comment,
      machineCount: machinesOf(plan).length,
      stepCount: stepsOf(plan).length,
      blockers: findings.filter(({ level }) => level === 'blocker').length,
      warnings: findings.filter(({ level }) => level === 'warning').length,
      predictedSeconds: timetable?.totalSeconds ?? null,
      worstLagSeconds: lags.length === 0 || lags.includes(null) ? null : Math.max(...lags.map(Number)),
      lastTest: lastTestOf(rows),
      activeRun: active && (await summarizePlanRun(deps, active)),
      lastRun: last && (await summarizePlanRun(deps, last)),
    },
  }
}

/** Passed: everything of it succeeded. What went on although something had failed, or was skipped, proves less. */
function lastTestOf(runs: readonly PlanRun[]): PlanSummary['lastTest'] {
  const test = runs.find(({ kind, state }) => kind === 'test' && !activePlanRunStates.includes(state))
  if (!test) return null
  return {
    runId: test.id,
    at: toIso(test.endedAt ?? test.startedAt),
    passed: test.state === 'succeeded' && test.note === null,
  }
}

export const showFinding = ({ at, level, code, message, remedy }: PlanFinding): ShownFinding => ({
  at,
  level,
  code,
  message,
  remedy,
})

export const showTimetable = (timetable: Timetable): PlanTimetable => ({
  totalSeconds: timetable.totalSeconds,
  spreadSeconds: timetable.spreadSeconds,
  criticalPath: [...timetable.criticalPath],
  measured: timetable.measured,
  items: timetable.activities.map(({ item, startSeconds, endSeconds, slackSeconds, critical }) => ({
    itemId: item,
    startSeconds,
    endSeconds,
    slackSeconds,
    critical,
  })),
})

/** The findings and, where the order can be kept, how long it takes. */
export async function checkPlan(
  deps: ApiDeps,
  plan: RecoveryPlan,
  kind: PlanRunKind,
  findings: readonly PlanFinding[],
): Promise<PlanCheck> {
  const timetable = await timetableOrNull(deps, plan, kind)
  return { findings: findings.map(showFinding), timetable: timetable && showTimetable(timetable) }
}

/** An order that cannot be kept is told by the findings. */
async function timetableOrNull(
  deps: ApiDeps,
  plan: RecoveryPlan,
  kind: PlanRunKind,
): Promise<Timetable | null> {
  try {
    const direction = kind === 'fail-back' ? 'reverse' : 'forward'
    return await deps.engine.plans.timetable(plan, { kind, direction })
  } catch (error) {
    if (error instanceof Refusal && error.code === 'recovery-plan/not-runnable') return null
    throw error
  }
}
