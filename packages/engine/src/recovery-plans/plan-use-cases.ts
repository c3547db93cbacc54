// What can be asked about recovery plans: the part of the engine that the API speaks to.

import type { RunProgress } from '@understudy/domain/recovery-plans/critical-path'
import type { PlanRunKind, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { MemberPoints } from '@understudy/domain/recovery-plans/plan-points'
import type { PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type { PlanTimer } from '@understudy/domain/recovery-plans/plan-timer'
import type { Readiness } from '@understudy/domain/recovery-plans/readiness'
import type { RunPurpose } from '@understudy/domain/recovery-plans/schedule-plan'
import type { SiteFailover, SiteFailoverId, SiteScope } from '@understudy/domain/recovery-plans/site-failover'
import type { TestSettings } from '@understudy/domain/recovery-plans/test-schedule'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { saveTestSettings, testSettingsOf } from '../plan-tests/save-test-settings.ts'
import type { PlanVersion } from '../ports/plan-stores.ts'
import { planReadinesses } from '../readiness/judge-readiness.ts'
import type {
  ActivityRequest,
  AnswerActivityRequest,
  Asker,
  EditRunRequest,
  FailOverSiteRequest,
  FollowUpRequest,
  MergeRunRequest,
  NewPlan,
  SavePlanRequest,
  SaveTestSettingsRequest,
  StartPlanRequest,
} from '../requests.ts'
import { beginFollowUp, beginRun, findingsOf } from './begin-run.ts'
import { type DryRun, dryRun } from './dry-run.ts'
import { editRun, mergeEdit } from './edit-run.ts'
import { changeAtOnce, failOverSite, siteScope, stopSiteFailover } from './fail-over-site.ts'
import { memberPoints } from './member-points.ts'
import { type PlanOutlook, planOutlooks } from './plan-outlooks.ts'
import { planTimer } from './plan-timers.ts'
import { type RunningTwice, runningTwice } from './running-twice.ts'
import { createPlan, removePlan, restorePlan, savePlan } from './save-plan.ts'
import { answerActivity, cancelRun, pauseRun, resumeRun, retryActivity, skipActivity } from './steer-run.ts'
import { type Timetable, timetableOf } from './timetable.ts'

/** Throws as the functions of Engine do. A run that is answered has only begun: watch it. */
export type PlanUseCases = {
  /** A plan may be kept with faults. Refuses a name that is taken (`recovery-plan/name-taken`). */
  create(plan: NewPlan, asker: Asker): Promise<PlanVersion>
  /** Refuses when another version was saved meanwhile (`recovery-plan/edited-meanwhile`). */
  save(request: SavePlanRequest): Promise<PlanVersion>
  /** That version becomes the newest one. */
  restore(id: PlanId, version: number, asker: Asker): Promise<PlanVersion>
  /** Refuses while it runs (`recovery-plan/running`), and while what it brought up is not seen to (`recovery-plan/not-settled`). Its runs stay. */
  remove(id: PlanId, asker: Asker): Promise<void>
  /** Everything that would keep a run of that kind from working, or make it surprise. Of any plan, kept or not. Touches nothing. */
  findings(plan: RecoveryPlan, kind: PlanRunKind): Promise<readonly PlanFinding[]>

  /** The same of many plans at once, and how long each would take. Touches nothing. */
  outlooks(plans: readonly RecoveryPlan[], kind: PlanRunKind): Promise<ReadonlyMap<PlanId, PlanOutlook>>

  /** How long it will take, or with `progress` will have taken. Refuses an order that cannot be kept (`recovery-plan/not-runnable`). */
  timetable(plan: RecoveryPlan, purpose: RunPurpose, progress?: RunProgress): Promise<Timetable>
  /** The findings, and what every machine's target says now. Touches nothing. */
  dryRun(request: StartPlanRequest): Promise<DryRun>
  /** What the replicas of its machines hold, from old to new. Touches nothing. */
  points(plan: RecoveryPlan): Promise<readonly MemberPoints[]>

  /** When it is tested by itself. */
  testSettings(id: PlanId): Promise<TestSettings>
  /** Refuses when somebody else has changed them meanwhile (`test-schedule/edited-meanwhile`). */
  saveTestSettings(request: SaveTestSettingsRequest): Promise<TestSettings>
  /** How far one may rely on each, of plans that were just read. */
  readiness(plans: readonly PlanVersion[]): Promise<ReadonlyMap<PlanId, Readiness>>

  /** Refuses a plan with blockers (`recovery-plan/not-ready`), wrong parameters and a second run at a time. */
  start(request: StartPlanRequest): Promise<PlanRun>
  followUp(request: FollowUpRequest): Promise<PlanRun>
  pause(id: PlanRunId, asker: Asker): Promise<void>
  resume(id: PlanRunId, asker: Asker): Promise<void>
  cancel(id: PlanRunId, asker: Asker): Promise<void>
  retry(request: ActivityRequest): Promise<void>
  skip(request: ActivityRequest): Promise<void>
  answer(request: AnswerActivityRequest): Promise<void>
  edit(request: EditRunRequest): Promise<void>
  /** What becomes of an edit that was overtaken. Touches nothing. */
  mergeEdit(request: MergeRunRequest): ReturnType<typeof mergeEdit>

  /** Until when its machines wait to be committed or rolled back, all alike, and what comes then. Null: it goes on, or there is no timer. */
  timer(id: PlanRunId): Promise<PlanTimer | null>

  /** Machines of the plan of which two run: the one that serves, and the one from before. */
  runningTwice(plan: RecoveryPlan): Promise<readonly RunningTwice[]>

  /** What a site takes down with it, and what of that its plans bring back. Touches nothing. */
  siteScope(siteId: SiteId): Promise<SiteScope>
  /** Refuses another name than the site's, plans without machines there, and a second one at a time. */
  failOverSite(request: FailOverSiteRequest): Promise<SiteFailover>
  stopSiteFailover(id: SiteFailoverId, asker: Asker): Promise<SiteFailover>
  changeAtOnce(id: SiteFailoverId, atOnce: number): Promise<SiteFailover>
}

export const planUseCases = (parts: EngineParts): PlanUseCases => ({
  create: (plan, asker) => createPlan(parts, plan, asker),
  save: (request) => savePlan(parts, request),
  restore: (id, version, asker) => restorePlan(parts, id, version, asker),
  remove: (id, asker) => removePlan(parts, id, asker),
  findings: (plan, kind) => findingsOf(parts, plan, kind),
  outlooks: (plans, kind) => planOutlooks(parts, plans, kind),
  timetable: (plan, purpose, progress) => timetableOf(parts, plan, purpose, progress ?? null),
  dryRun: (request) => dryRun(parts, request),
  testSettings: (id) => testSettingsOf(parts, id),
  saveTestSettings: (request) => saveTestSettings(parts, request),
  readiness: (plans) => planReadinesses(parts, plans),
  points: (plan) => memberPoints(parts, plan),
  start: (request) => beginRun(parts, request),
  followUp: (request) => beginFollowUp(parts, request),
  pause: (id, asker) => pauseRun(parts, id, asker),
  resume: (id, asker) => resumeRun(parts, id, asker),
  cancel: (id, asker) => cancelRun(parts, id, asker),
  retry: (request) => retryActivity(parts, request),
  skip: (request) => skipActivity(parts, request),
  answer: (request) => answerActivity(parts, request),
  edit: (request) => editRun(parts, request),
  mergeEdit: (request) => mergeEdit(parts, request),
  timer: (id) => planTimer(parts, id),
  runningTwice: (plan) => runningTwice(parts, plan),
  siteScope: (siteId) => siteScope(parts, siteId),
  failOverSite: (request) => failOverSite(parts, request),
  stopSiteFailover: (id, asker) => stopSiteFailover(parts, id, asker),
  changeAtOnce: (id, atOnce) => changeAtOnce(parts, id, atOnce),
})
