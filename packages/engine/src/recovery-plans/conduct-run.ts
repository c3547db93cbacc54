// One look at a run of a plan: what is over is taken over, what may start is started, and what is done is said to be done. Everything
// is decided by the rows, and every act is a compare-and-set or repeatable: two processes that look at once, or one that died between
// any two lines, come to the same.
import { type FailureReport, isAbort, Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import { toIso } from '@understudy/base/instant'
import type { Run } from '@understudy/domain/failover/failover'
import type { Job, JobId } from '@understudy/domain/jobs/job'
import { activeJobStates, harmlessKinds } from '@understudy/domain/jobs/job'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanMachine, PlanStep } from '@understudy/domain/recovery-plans/plan'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { isStep, itemsOf, nameOfItem } from '@understudy/domain/recovery-plans/plan-items'
import {
  activePlanRunStates,
  isOneWay,
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
  type PlanRunState,
  planRunLife,
  purposeOf,
} from '@understudy/domain/recovery-plans/plan-run'
import {
  type Activity,
  type ActivityState,
  chooseNext,
  type NextActivities,
  planActivities,
} from '@understudy/domain/recovery-plans/schedule-plan'
import { isUpAtTarget } from '@understudy/domain/recovery-plans/validate-against'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import { newestBoot } from '../failover/newest-boot.ts'
import { activeJobsOf, LOST, startJob } from '../jobs/start-job.ts'
import type { ActivityChange } from '../ports/plan-stores.ts'
import { attemptOf, hasJob } from './attempt.ts'
import { activeBoot, followedActivities, isBootOf, isOfRun } from './boots-of-run.ts'
import { cleanUpAfter } from './clean-up-after.ts'
import {
  answersNow,
  bringsUp,
  type MachineJobs,
  noteOfJob,
  startMachineJob,
  whyNotUp,
} from './machine-activity.ts'
import { verdictOfWaiting } from './waiting-step.ts'

export type Conducting = {
  readonly parts: EngineParts
  readonly jobs: MachineJobs
  /** Asks a job to stop; one that is over already is no failure. */
  cancelJob(jobId: JobId): Promise<void>
}

type Item = PlanMachine | PlanStep
type Scene = {
  readonly conducting: Conducting
  readonly run: PlanRun
  readonly items: ReadonlyMap<ItemId, Item>
  readonly order: readonly Activity[]
}

/** True: something has moved, so another look at once may find more to do. */
export async function conductRun(conducting: Conducting, id: PlanRunId): Promise<boolean> {
  const { planRuns } = conducting.parts.stores
  const run = await planRuns.find(id)
  if (!run || !activePlanRunStates.includes(run.state)) return false
  // What follows a run up begins once that has ended: until then somebody may still have it go on.
  const followed = run.followsUp === null ? null : await planRuns.find(run.followsUp)
  if (followed !== null && activePlanRunStates.includes(followed.state)) return false
  const scene = sceneOf(conducting, run)
  const activities = await planRuns.activities(id)
  // What has moved is seen at the next look, which follows at once.
  if (await settleRunning(scene, activities)) return true
  switch (run.state) {
    case 'running':
      return await goOn(scene, activities)
    case 'cancelling':
      return await windUp(scene, activities)
    case 'paused':
    case 'succeeded':
    case 'failed':
    case 'cancelled':
      return false
  }
}

function sceneOf(conducting: Conducting, run: PlanRun): Scene {
  const items = new Map(itemsOf(run.plan).map(({ item }) => [item.id, item]))
  return { conducting, run, items, order: planActivities(run.plan, purposeOf(run)) }
}

const isFollowUp = (run: PlanRun): boolean => run.followsUp !== null

// What runs

async function settleRunning(scene: Scene, activities: readonly PlanActivity[]): Promise<boolean> {
  const running = activities.filter(({ state }) => state === 'running')
  const moved = await Promise.all(running.map((activity) => settleOne(scene, activity)))
  return moved.includes(true)
}

async function settleOne(scene: Scene, activity: PlanActivity): Promise<boolean> {
  const item = scene.items.get(activity.itemId)
  if (!item) return false
  const { parts } = scene.conducting
  if (activity.jobId === null) {
    const verdict = isStep(item) ? verdictOfWaiting(item, activity, parts.clock.now()) : null
    return verdict === null ? false : await end(scene, activity, verdict)
  }
  const job = await parts.stores.jobs.find(activity.jobId as JobId)
  // A crash between the row and the job, or between the job and its work, or a start that had to wait.
  if (job === null || job.failure?.code === LOST) return await beginAgain(scene, activity, { item, job })
  if (job.state === 'queued') return await startJobOf(scene, activity, item)
  if (activeJobStates.includes(job.state)) return false
  const boot = isStep(item) ? null : await bootOf(scene, job, item)
  const verdict = await verdictOfJob(scene, { item, boot }, job)
  return await end(scene, activity, { ...verdict, bootId: boot?.id ?? null })
}

/** What has not begun yet does so only while the run goes on. */
async function beginAgain(
  scene: Scene,
  activity: PlanActivity,
  { item, job }: { readonly item: Item; readonly job: Job | null },
): Promise<boolean> {
  switch (scene.run.state) {
    case 'running':
      return job === null ? await startJobOf(scene, activity, item) : await begin(scene, activity, item)
    case 'cancelling':
      return await end(scene, activity, { state: 'skipped', note: 'The run was cancelled', failure: null })
    case 'paused':
    case 'succeeded':
    case 'failed':
    case 'cancelled':
      return false
  }
}

/** The boot that its job has made, whatever came of it. */
async function bootOf(
  { conducting, run }: Scene,
  job: Job,
  { protectionId }: PlanMachine,
): Promise<Run | null> {
  if (!bringsUp(run.kind)) return null
  const boot = await activeBoot(conducting.parts, protectionId, run.kind)
  return boot !== null && isBootOf(boot, job) ? boot : null
}

type Verdict = Pick<PlanActivity, 'state' | 'note' | 'failure'> & Partial<Pick<PlanActivity, 'bootId'>>

async function verdictOfJob(
  { conducting, run }: Scene,
  { item, boot }: { readonly item: Item; readonly boot: Run | null },
  job: Job,
): Promise<Verdict> {
  const note = noteOfJob(job.tasks)
  if (job.state !== 'succeeded') return failed(job.failure ?? cancelled)
  const why = isStep(item) ? null : await whyNotUp(conducting.parts, run, boot)
  return why === null ? { state: 'succeeded', note, failure: null } : failed(noAnswer(why))
}

const failed = (failure: FailureReport): Verdict => ({ state: 'failed', note: failure.message, failure })

const cancelled: FailureReport = {
  kind: 'aborted',
  code: 'job/cancelled',
  message: 'Its job was cancelled',
  remedy: 'Have it tried again, or skip it.',
}

const noAnswer = (why: string): FailureReport => ({
  kind: 'refusal',
  code: 'recovery-plan/no-answer',
  message: `The machine is on but does not answer: ${why}`,
  remedy: 'Look at its screen. When it is up after all, skip it here and the plan goes on.',
})

async function end(scene: Scene, activity: PlanActivity, verdict: Verdict): Promise<boolean> {
  const { parts } = scene.conducting
  return await move(scene, activity, { ...verdict, endedAt: parts.clock.now() })
}

async function move(scene: Scene, activity: PlanActivity, change: ActivityChange): Promise<boolean> {
  const { parts } = scene.conducting
  const { planRunId, itemId, state, attempt } = activity
  const { state: runState, planRevision } = scene.run
  const from = { state, attempt, run: [runState], planRevision }
  const moved = await parts.stores.planRuns.moveActivity(planRunId, itemId, from, change)
  if (moved) parts.live.changed('plan-runs', planRunId)
  return moved
}

// What may start

async function goOn(scene: Scene, activities: readonly PlanActivity[]): Promise<boolean> {
  const { order } = scene
  const next = chooseNext(order, statesOf(activities))
  const byItem = new Map(activities.map((activity) => [activity.itemId, activity]))
  const started = await Promise.all(
    next.start.map(async (itemId) => {
      const activity = byItem.get(itemId)
      const item = scene.items.get(itemId)
      return activity !== undefined && item !== undefined && (await begin(scene, activity, item))
    }),
  )
  if (started.includes(true)) return true
  return await finishWhenDone(scene, activities, next)
}

const statesOf = (activities: readonly PlanActivity[]): ReadonlyMap<ItemId, ActivityState> =>
  new Map(activities.map(({ itemId, state }) => [itemId, state]))

async function begin(scene: Scene, activity: PlanActivity, item: Item): Promise<boolean> {
  const { parts } = scene.conducting
  const jobId = hasJob(item) ? parts.newId() : null
  const change = attemptOf(activity, item, { jobId, now: parts.clock.now() })
  if (!(await move(scene, activity, change))) return false
  if (change.jobId !== null) await startJobOf(scene, { ...activity, ...change }, item)
  return true
}

/** Repeatable; false: nothing has moved. What refuses to begin is the end of the attempt; what is away for a moment is tried again at the next look. */
async function startJobOf(scene: Scene, activity: PlanActivity, item: Item): Promise<boolean> {
  const { conducting, run } = scene
  const { parts } = conducting
  const jobId = activity.jobId as JobId
  try {
    if (isStep(item)) {
      const { itemId, attempt } = activity
      const request = { by: run.startedBy, jobId, planRunId: run.id, itemId, attempt }
      await startJob(parts, 'plan-step', { id: run.id, name: item.name }, request)
    } else await startMachineJob(conducting.jobs, run, await protectionOf(parts, item), jobId)
    return false
  } catch (error) {
    if (error instanceof Outage || isAbort(error)) throw error
    // Another conductor was quicker: then it is this very job that stands in its own way.
    if ((await parts.stores.jobs.find(jobId)) !== null) return false
    if (isStep(item)) return await end(scene, activity, failed(toFailureReport(error)))
    return await settleRefused(scene, activity, { item, failure: toFailureReport(error) })
  }
}

/** A job of somebody else on the machine is waited for this long. */
const BUSY_SECONDS = 600

async function settleRefused(
  scene: Scene,
  activity: PlanActivity,
  { item, failure }: { readonly item: PlanMachine; readonly failure: FailureReport },
): Promise<boolean> {
  const { parts } = scene.conducting
  // It may have been seen to by hand since the follow-up began.
  if (!(await isOfRun(parts, scene.run, item, await followedActivities(parts, scene.run)))) {
    const note = `Nothing is left to be done: ${failure.message}`
    return await end(scene, activity, { state: 'skipped', note, failure: null })
  }
  const jobs = await activeJobsOf(parts, item.protectionId)
  const busy = jobs.some(({ kind }) => !harmlessKinds.includes(kind))
  const waited = parts.clock.now() - (activity.startedAt ?? 0)
  if (busy && waited < BUSY_SECONDS * 1000) return false
  const note = await upWithoutUs(parts, scene.run, item.protectionId)
  if (note !== null) return await end(scene, activity, { state: 'succeeded', note, failure: null })
  return await end(scene, activity, failed(failure))
}

/**
 * A machine that stands in several plans is brought up by the first of them; to the others it is up, as if they had done it. It stays that
 * one's to commit or to roll back. Null: it does not answer there.
 */
async function upWithoutUs(parts: EngineParts, run: PlanRun, id: ProtectionId): Promise<string | null> {
  if (run.followsUp !== null || !isOneWay(run.kind)) return null
  const protection = await parts.stores.protections.find(id)
  if (protection === null || protection.direction !== run.direction || !isUpAtTarget(protection.state))
    return null
  const boot = await newestBoot(parts, id)
  // It may have been long ago: what is said of it counts for nothing, it is asked.
  if (boot === null || !(await answersNow(parts, boot.targetSiteId, boot.machineRef))) return null
  return `Another failover has brought it up, from its point of ${toIso(boot.pointInstant)}`
}

/** One that has gone is refused by its job, in words that fit. */
async function protectionOf(
  { stores }: EngineParts,
  { protectionId }: PlanMachine,
): Promise<Parameters<typeof startMachineJob>[2]> {
  const protection = await stores.protections.find(protectionId)
  if (protection) return { protectionId, direction: protection.direction }
  throw new Refusal({
    code: 'protection/not-found',
    message: 'The machine is not protected any more',
    remedy: 'Skip it; or protect it anew and choose it in the plan.',
  })
}

// What is done

async function finishWhenDone(
  scene: Scene,
  activities: readonly PlanActivity[],
  next: NextActivities,
): Promise<boolean> {
  if (activities.some(({ state }) => state === 'running')) return false
  if (next.finished) return await succeed(scene, activities)
  if (next.stoppedBy.length === 0) return false
  const names = await namesOf(scene, next.stoppedBy)
  const note = `Stopped because ${names.join(', ')} failed. What is up stays up; have it tried again, skip it, or cancel the run.`
  return await moveRun(scene, 'failed', note)
}

async function succeed(scene: Scene, activities: readonly PlanActivity[]): Promise<boolean> {
  const { run } = scene
  const failures = activities.filter(({ state }) => state === 'failed').length
  const skipped = activities.filter(({ state }) => state === 'skipped').length
  const passed = failures === 0 && skipped === 0
  if (run.kind === 'test' && run.settings.cleanUp === 'when-done' && passed)
    await cleanUpAfter(scene.conducting.parts, run, activities)
  const parts = [
    ...(failures > 0 ? [`${failures} failed, and the plan went on`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ]
  const note = parts.length === 0 ? null : parts.join('; ')
  // Nobody else is held up by a machine that a follow-up failed for; but it is not done.
  if (isFollowUp(run) && failures > 0) return await moveRun(scene, 'failed', note)
  return await moveRun(scene, 'succeeded', note)
}

const ASKED_TO_STOP = 'Asked to stop'

/** Nothing new starts. What runs is asked to stop; what cannot stop any more comes to its end. Then a test leaves nothing. */
async function windUp(scene: Scene, activities: readonly PlanActivity[]): Promise<boolean> {
  const running = activities.filter(({ state }) => state === 'running')
  const moved = await Promise.all(
    running.map(async (activity) => {
      if (activity.jobId === null)
        return await end(scene, activity, { state: 'skipped', note: 'The run was cancelled', failure: null })
      // Once: what is asked again and again would also be heard by a later attempt.
      if (activity.note === ASKED_TO_STOP) return false
      await scene.conducting.cancelJob(activity.jobId as JobId)
      return await move(scene, activity, { note: ASKED_TO_STOP })
    }),
  )
  if (running.length > 0) return moved.includes(true)
  const { run, conducting } = scene
  if (run.kind === 'test') await cleanUpAfter(conducting.parts, run, activities)
  return await moveRun(scene, 'cancelled', await leftStanding(scene, activities))
}

async function leftStanding(scene: Scene, activities: readonly PlanActivity[]): Promise<string> {
  const up = activities.filter(({ itemId, state, bootId }) => {
    const item = scene.items.get(itemId)
    return item !== undefined && !isStep(item) && (state === 'succeeded' || bootId !== null)
  })
  if (up.length === 0) return 'Cancelled; nothing was left standing'
  const names = await namesOf(
    scene,
    up.map(({ itemId }) => itemId),
  )
  return scene.run.kind === 'test'
    ? `Cancelled; what came up is cleaned up: ${names.join(', ')}`
    : `Cancelled; begun and left as it is: ${names.join(', ')}. Roll the machines back, or commit them.`
}

async function namesOf(scene: Scene, ids: readonly ItemId[]): Promise<readonly string[]> {
  const { protections } = scene.conducting.parts.stores
  return await Promise.all(
    ids.map(async (id) => {
      const item = scene.items.get(id)
      if (!item) return id
      if (isStep(item)) return `"${item.name}"`
      const protection = await protections.find(item.protectionId)
      const names = new Map(protection ? [[protection.id, protection.name]] : [])
      return `"${nameOfItem(item, names)}"`
    }),
  )
}

async function moveRun(scene: Scene, to: PlanRunState, note: string | null): Promise<boolean> {
  const { run, conducting } = scene
  const { parts } = conducting
  const endedAt = parts.clock.now()
  const next = planRunLife.move(run.state, to)
  const moved = await parts.stores.planRuns.move(run.id, run.state, next, { note, endedAt }, run.changes)
  if (!moved) return false
  parts.live.changed('plan-runs', run.id)
  await recordEvent(parts, {
    severity: to === 'succeeded' ? 'info' : 'warning',
    code: `plan-run/${to}`,
    message: `${wordsOfRun(run)} has ${wordsOfEnd(to)}${note === null ? '' : `: ${note}`}`,
    subject: { id: run.planId, name: run.planName },
    facts: { planRunId: run.id, kind: run.kind, version: run.version },
  })
  return true
}

export const wordsOfRun = ({ kind, planName }: Pick<PlanRun, 'kind' | 'planName'>): string => {
  const words = kind.replaceAll('-', ' ')
  return `${words.charAt(0).toUpperCase()}${words.slice(1)} of "${planName}"`
}

const wordsOfEnd = (state: PlanRunState): string => (state === 'cancelled' ? 'been cancelled' : state)
