// A recovery plan as the API shows it.

import { secondsBetween, toIso, toIsoOrNull } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type {
  PlanCheck,
  PlanDetail,
  PlanSummary,
  PlanTimetable,
  PlanFinding as ShownFinding,
} from '@understudy/contract/recovery-plan'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { lastTestOf } from '@understudy/domain/recovery-plans/last-test'
import type { PlanRunKind, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { machinesOf, stepsOf } from '@understudy/domain/recovery-plans/plan-items'
import { activePlanRunStates } from '@understudy/domain/recovery-plans/plan-run'
import type { Readiness } from '@understudy/domain/recovery-plans/readiness'
import type { PlanVersion } from '@understudy/engine/ports/plan-stores'
import type { ProtectionSummary } from '@understudy/engine/ports/stores'
import { type PlanOutlook, timetableOrNull } from '@understudy/engine/recovery-plans/plan-outlooks'
import type { Timetable } from '@understudy/engine/recovery-plans/timetable'
import type { ApiDeps } from './context.ts'
import { showDocument } from './show-document.ts'
import { summarizePlanRun } from './show-plan-run.ts'
import { showReadiness } from './show-readiness.ts'
import { showRunningTwice } from './show-running-twice.ts'

/** The newest runs of a plan, among which what runs and what ran last is looked for. */
const RECENT_RUNS = { limit: 20, cursor: null }

/** Every plan there is. */
export async function showPlanSummaries(deps: ApiDeps): Promise<PlanSummary[]> {
  const kept = await deps.stores.plans.list()
  return (await judgePlans(deps, kept)).map(({ summary }) => summary)
}

export type JudgedPlan = { readonly summary: PlanSummary; readonly findings: readonly PlanFinding[] }

/** In the order of what is given; what they have in common is read once. */
export async function judgePlans(
  deps: ApiDeps,
  kept: readonly PlanVersion[],
): Promise<readonly JudgedPlan[]> {
  const { plans } = deps.engine
  const [readiness, summaries, outlooks] = await Promise.all([
    plans.readiness(kept),
    deps.stores.protections.summaries(),
    plans.outlooks(
      kept.map(({ plan }) => plan),
      'unplanned',
    ),
  ])
  return await Promise.all(kept.map((each) => lookAt(deps, each, { readiness, summaries, outlooks })))
}

export async function showPlan(deps: ApiDeps, kept: PlanVersion): Promise<PlanDetail> {
  const [judged] = await judgePlans(deps, [kept])
  const { summary, findings } = present(judged, 'the plan has been judged')
  const keptSecrets = Object.keys(await deps.stores.plans.secrets(kept.plan.id)).toSorted()
  return {
    ...summary,
    plan: showDocument(kept.plan),
    findings: findings.map(showFinding),
    runningTwice: await showRunningTwice(deps, kept.plan),
    keptSecrets,
  }
}

async function lookAt(
  deps: ApiDeps,
  kept: PlanVersion,
  {
    readiness,
    summaries,
    outlooks,
  }: {
    readonly readiness: ReadonlyMap<PlanId, Readiness>
    readonly summaries: ReadonlyMap<ProtectionId, ProtectionSummary>
    readonly outlooks: ReadonlyMap<PlanId, PlanOutlook>
  },
): Promise<JudgedPlan> {
  const { plan } = kept
  const { findings, timetable } = present(outlooks.get(plan.id), 'every plan has been looked at')
  const [{ rows }, tests, settings] = await Promise.all([
    deps.stores.planRuns.list({ planId: plan.id }, RECENT_RUNS),
    deps.stores.planRuns.list({ planId: plan.id, kinds: ['test'] }, RECENT_RUNS),
    deps.engine.plans.testSettings(plan.id),
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
      lastTest: showLastTest(lastTestOf(tests.rows)),
      readiness: showReadiness(present(readiness.get(plan.id), 'every plan has been judged')),
      nextTestAt: toIsoOrNull(settings.nextAt),
      activeRun: active && (await summarizePlanRun(deps, active)),
      lastRun: last && (await summarizePlanRun(deps, last)),
    },
  }
}

const showLastTest = (test: ReturnType<typeof lastTestOf>): PlanSummary['lastTest'] =>
  test && { runId: test.run.id, at: toIso(test.at), passed: test.passed }

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
