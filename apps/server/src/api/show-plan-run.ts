// A run of a plan as the API shows it: its activities with what they ask, and what can be done with the run now.
import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type {
  PlanRunSummary,
  PlanActivity as ShownActivity,
  PlanRun as ShownRun,
} from '@understudy/contract/recovery-plan'
import type { Run } from '@understudy/domain/failover/failover'
import type { Job, JobId } from '@understudy/domain/jobs/job'
import type { PredictedActivity } from '@understudy/domain/recovery-plans/critical-path'
import { isPlanRunKind, type PlanMachine, type PlanStep } from '@understudy/domain/recovery-plans/plan'
import { isStep, itemsOf, nameOfItem, type PlacedItem } from '@understudy/domain/recovery-plans/plan-items'
import {
  activePlanRunStates,
  type FollowUpKind,
  type PlanActivity,
  type PlanRun,
} from '@understudy/domain/recovery-plans/plan-run'
import { runsFor, whenItFailsOf } from '@understudy/domain/recovery-plans/schedule-plan'
import { followersOf } from '@understudy/engine/recovery-plans/begin-run'
import { followUpsOf } from '@understudy/engine/recovery-plans/boots-of-run'
import type { Timetable } from '@understudy/engine/recovery-plans/timetable'
import type { ApiDeps } from './context.ts'
import { showDocument } from './show-document.ts'
import { showEvidenceSummary } from './show-evidence.ts'
import { showRunningTwice } from './show-running-twice.ts'

type Around = {
  readonly names: ReadonlyMap<string, string>
  readonly jobs: ReadonlyMap<string, Job>
  /** The boot that belongs to a machine of the run. */
  readonly bootOf: (machine: PlanMachine) => Run | null
  readonly pictures: ReadonlySet<string>
  readonly timetable: Timetable | null
  readonly standing: Standing
}

export async function showPlanRun(deps: ApiDeps, run: PlanRun): Promise<ShownRun> {
  const activities = await deps.stores.planRuns.activities(run.id)
  const around = await lookAround(deps, run, activities)
  const byId = new Map(activities.map((activity) => [activity.itemId, activity]))
  const predicted = new Map(around.timetable?.activities.map((each) => [each.item, each]))
  const shown = itemsOf(run.plan).flatMap((placed) => {
    const activity = byId.get(placed.item.id)
    if (!activity) return []
    return [showActivity(run, placed, { activity, predicted: predicted.get(placed.item.id) ?? null }, around)]
  })
  const followers = await followUpsOf(deps, run)
  const followUps = await Promise.all(followers.map((each) => summarizePlanRun(deps, each)))
  return {
    ...summaryOf(run, shown, await evidenceOf(deps, run)),
    plan: showDocument(run.plan),
    planRevision: run.planRevision,
    point: 'instant' in run.point ? { ...run.point, instant: toIso(run.point.instant) } : run.point,
    parameters: { ...run.parameters },
    activities: shown,
    predictedSeconds: around.timetable?.totalSeconds ?? null,
    spreadSeconds: around.timetable?.spreadSeconds ?? null,
    targetRtoSeconds: run.plan.targetRtoSeconds,
    actions: actionsOf(run, followUps, around.standing),
    followUps,
    runningTwice: await showRunningTwice(deps, run.plan),
    timer: await timerOf(deps, run),
  }
}

/** Only what a failover leaves is waited for. */
async function timerOf(deps: ApiDeps, run: PlanRun): Promise<ShownRun['timer']> {
  if (run.followsUp !== null || run.kind === 'test' || activePlanRunStates.includes(run.state)) return null
  const timer = await deps.engine.plans.timer(run.id)
  return timer && { deadline: toIso(timer.deadline), action: timer.action }
}

/** Without its activities' details: for lists. */
export async function summarizePlanRun(deps: ApiDeps, run: PlanRun): Promise<PlanRunSummary> {
  const activities = await deps.stores.planRuns.activities(run.id)
  const jobs = await jobsOf(deps, activities)
  const byId = new Map(activities.map((activity) => [activity.itemId, activity]))
  const shown = itemsOf(run.plan).flatMap((placed) => {
    const activity = byId.get(placed.item.id)
    if (!activity) return []
    return [{ state: stateOf(run, placed, activity), asks: asksOf(run, placed.item, activity, jobs) }]
  })
  return summaryOf(run, shown, await evidenceOf(deps, run))
}

async function evidenceOf(deps: ApiDeps, { id }: PlanRun): Promise<PlanRunSummary['evidence']> {
  const newest = (await deps.stores.evidence.newest([id])).get(id)
  return newest ? showEvidenceSummary(newest) : null
}

function summaryOf(
  run: PlanRun,
  activities: readonly Pick<ShownActivity, 'state' | 'asks'>[],
  evidence: PlanRunSummary['evidence'],
): PlanRunSummary {
  const counted = activities.filter(({ state }) => state !== 'left-out')
  return {
    id: run.id,
    planId: run.planId,
    planName: run.planName,
    version: run.version,
    kind: run.kind,
    followsUp: run.followsUp,
    direction: run.direction,
    state: run.state,
    startedBy: run.startedBy,
    startedAt: toIso(run.startedAt),
    endedAt: toIsoOrNull(run.endedAt),
    note: run.note,
    doneItems: counted.filter(({ state }) => state !== 'pending' && state !== 'running').length,
    totalItems: counted.length,
    waitingForPeople: counted.filter(({ asks }) => asks !== null).length,
    evidence,
  }
}

async function lookAround(deps: ApiDeps, run: PlanRun, activities: readonly PlanActivity[]): Promise<Around> {
  const machines = itemsOf(run.plan).flatMap(({ item }) => (isStep(item) ? [] : [item]))
  const [protections, jobs, boots, timetable] = await Promise.all([
    deps.stores.protections.list(),
    jobsOf(deps, activities),
    bootsOf(deps, run, machines),
    timetableOf(deps, run, activities),
  ])
  const committedIds = new Set(protections.flatMap(({ id, state }) => (state === 'committed' ? [id] : [])))
  const pictures = await deps.stores.runs.withScreenshot([...boots.values()].map(({ id }) => id))
  return {
    names: new Map(protections.map(({ id, name }) => [id, name])),
    jobs,
    bootOf: ({ protectionId }) => boots.get(protectionId) ?? null,
    pictures,
    timetable,
    standing: {
      boots: [...boots.values()].some(({ over }) => !over),
      committed: machines.some(({ protectionId }) => committedIds.has(protectionId)),
    },
  }
}

async function jobsOf(
  { stores }: ApiDeps,
  activities: readonly PlanActivity[],
): Promise<ReadonlyMap<string, Job>> {
  const running = activities.filter(({ state, jobId }) => state === 'running' && jobId !== null)
  const jobs = await Promise.all(running.map(({ jobId }) => stores.jobs.find(jobId as JobId)))
  return new Map(jobs.flatMap((job) => (job ? [[job.id, job]] : [])))
}

/** The newest boot of each machine since the run began; of a follow-up, what it is about. */
async function bootsOf(
  { stores }: ApiDeps,
  run: PlanRun,
  machines: readonly PlanMachine[],
): Promise<ReadonlyMap<string, Run>> {
  const isTest = run.kind === 'test' || run.kind === 'clean-up'
  const fits = (boot: Run): boolean => (boot.kind === 'test') === isTest
  const active = (await stores.runs.active()).filter(fits)
  const boots = new Map<string, Run>(active.map((boot) => [boot.protectionId, boot]))
  if (activePlanRunStates.includes(run.state)) return boots
  const until = run.endedAt ?? Number.POSITIVE_INFINITY
  await Promise.all(
    machines.map(async ({ protectionId }) => {
      const history = await stores.runs.history(protectionId, 20)
      const mine = history.find(
        (boot) => fits(boot) && boot.startedAt >= run.startedAt && boot.startedAt <= until,
      )
      if (mine) boots.set(protectionId, mine)
      else if (run.followsUp === null) boots.delete(protectionId)
    }),
  )
  return boots
}

async function timetableOf(
  deps: ApiDeps,
  run: PlanRun,
  activities: readonly PlanActivity[],
): Promise<Timetable | null> {
  const progress = new Map(
    activities.map(({ itemId, state, startedAt, endedAt }) => [itemId, { state, startedAt, endedAt }]),
  )
  const kind = isPlanRunKind(run.kind) ? run.kind : 'planned'
  return await deps.engine.plans.timetable(
    run.plan,
    { kind, direction: run.direction },
    { startedAt: run.startedAt, now: run.endedAt ?? deps.clock.now(), progress },
  )
}

function showActivity(
  run: PlanRun,
  placed: PlacedItem,
  { activity, predicted }: { readonly activity: PlanActivity; readonly predicted: PredictedActivity | null },
  around: Around,
): ShownActivity {
  const { item } = placed
  const boot = isStep(item) ? null : around.bootOf(item)
  return {
    itemId: item.id,
    name: nameOfItem(item, around.names as Parameters<typeof nameOfItem>[1]),
    groupId: placed.groupId,
    part: placed.part,
    kind: isStep(item) ? item.action.kind : 'machine',
    state: stateOf(run, placed, activity),
    attempt: activity.attempt,
    jobId: activity.jobId,
    protectionId: isStep(item) ? null : item.protectionId,
    runId: boot?.id ?? null,
    addresses: boot === null ? [] : [...boot.addresses],
    pointInstant: boot === null ? null : toIso(boot.pointInstant),
    hasScreenshot: boot !== null && around.pictures.has(boot.id),
    startedAt: toIsoOrNull(activity.startedAt),
    endedAt: toIsoOrNull(activity.endedAt),
    deadline: toIsoOrNull(activity.deadline),
    note: noteOf(activity, around),
    failure: activity.failure,
    output: activity.output,
    answer: activity.answer && { ...activity.answer, at: toIso(activity.answer.at) },
    steeredBy: activity.steeredBy,
    asks: asksOf(run, item, activity, around.jobs),
    predicted: predicted && {
      startSeconds: predicted.startSeconds,
      endSeconds: predicted.endSeconds,
      slackSeconds: predicted.slackSeconds,
      critical: predicted.critical,
    },
  }
}

/** While its job works: what the job is at. */
function noteOf(activity: PlanActivity, { jobs }: Around): string | null {
  if (activity.state !== 'running' || activity.jobId === null) return activity.note
  const task = jobs.get(activity.jobId)?.tasks.find(({ state }) => state === 'running')
  if (!task) return activity.note
  return task.note === null ? task.name : `${task.name}: ${task.note}`
}

const stateOf = (run: PlanRun, { item }: PlacedItem, { state }: PlanActivity): ShownActivity['state'] => {
  const kind = isPlanRunKind(run.kind) ? run.kind : null
  const leftOut =
    state === 'pending' && isStep(item) && kind !== null && !runsFor(item, { kind, direction: run.direction })
  return leftOut ? 'left-out' : state
}

function asksOf(
  run: PlanRun,
  item: PlanMachine | PlanStep,
  activity: PlanActivity,
  jobs: ReadonlyMap<string, Job>,
): ShownActivity['asks'] {
  const question = activity.jobId === null ? null : (jobs.get(activity.jobId)?.question ?? null)
  if (activity.state === 'running' && question) return { kind: 'job', text: question.text, role: 'operator' }
  if (activity.state === 'running' && isStep(item) && activity.answer === null) {
    if (item.action.kind === 'manual')
      return { kind: 'manual', text: item.action.instructions, role: item.action.assigneeRole }
    if (item.action.kind === 'approval')
      return { kind: 'approval', text: item.action.question, role: item.action.approverRole }
  }
  const whenItFails = whenItFailsOf(item)
  const held =
    activity.state === 'failed' &&
    ((whenItFails === 'ask' && activePlanRunStates.includes(run.state)) ||
      (whenItFails === 'stop' && run.state === 'failed'))
  return held
    ? { kind: 'failed', text: activity.failure?.message ?? 'It has failed', role: 'operator' }
    : null
}

/** What there is for a follow-up to act on. */
type Standing = { readonly boots: boolean; readonly committed: boolean }

function actionsOf(
  run: PlanRun,
  followUps: readonly PlanRunSummary[],
  standing: Standing,
): ShownRun['actions'] {
  const when = (holds: boolean, reason: string): string | null => (holds ? null : reason)
  const goesOn = run.state === 'running' || run.state === 'paused'
  const steer = [
    { action: 'pause', reason: when(run.state === 'running', 'Only while it runs') },
    { action: 'resume', reason: when(run.state === 'paused', 'Only while it is paused') },
    { action: 'cancel', reason: when(goesOn || run.state === 'failed', 'It is over, or being cancelled') },
    {
      action: 'edit',
      reason: when(
        (goesOn || run.state === 'failed') && run.followsUp === null,
        'Nothing of it is still to come',
      ),
    },
  ] as const
  const possible = run.followsUp === null && isPlanRunKind(run.kind) ? followersOf[run.kind] : []
  const busy = followUps.some(({ state }) => activePlanRunStates.includes(state))
  return [
    ...steer,
    ...possible.map((action) => ({
      action,
      reason: activePlanRunStates.includes(run.state)
        ? 'Wait for the end of the run, or cancel it'
        : busy
          ? 'Something else is being done with its machines'
          : whyNothingIsLeft(action, standing),
    })),
  ]
}

function whyNothingIsLeft(action: FollowUpKind, { boots, committed }: Standing): string | null {
  if (action !== 'reprotect') return boots ? null : 'Nothing of it is left standing'
  if (committed) return null
  return boots ? 'Commit its failover first' : 'None of its machines stands as it has left it'
}
