// What people do to a run while it goes on. Every act says what it begins with, so that two people at once do not undo each other.
import { Refusal } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import { activeJobStates } from '@understudy/domain/jobs/job'
import type { PlanMachine, PlanStep } from '@understudy/domain/recovery-plans/plan'
import { isStep, itemsOf } from '@understudy/domain/recovery-plans/plan-items'
import type {
  PlanActivity,
  PlanRun,
  PlanRunId,
  PlanRunState,
} from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { ActivityRequest, AnswerActivityRequest, Asker } from '../requests.ts'
import { attemptOf, hasJob } from './attempt.ts'
import { followUpsOf } from './boots-of-run.ts'
import { wordsOfRun } from './conduct-run.ts'
import { needsJob } from './waiting-step.ts'

/** Somebody else was quicker this often: then it is told. */
const TURNS = 5

export async function loadRun({ stores }: Pick<EngineParts, 'stores'>, id: PlanRunId): Promise<PlanRun> {
  const run = await stores.planRuns.find(id)
  if (run) return run
  throw new Refusal({
    code: 'plan-run/not-found',
    message: `There is no run ${id} of a recovery plan`,
    remedy: 'Reload the page.',
  })
}

/** What runs goes on to its end; nothing new starts. */
export const pauseRun = (parts: EngineParts, id: PlanRunId, asker: Asker): Promise<void> =>
  steer(parts, id, { from: ['running'], to: 'paused', what: 'paused', by: asker.by })

export const resumeRun = (parts: EngineParts, id: PlanRunId, asker: Asker): Promise<void> =>
  steer(parts, id, { from: ['paused'], to: 'running', what: 'resumed', by: asker.by })

/** Stops what can be stopped; a test leaves nothing, any other run says what it leaves standing. */
export const cancelRun = (parts: EngineParts, id: PlanRunId, asker: Asker): Promise<void> =>
  steer(parts, id, {
    from: ['running', 'paused', 'failed'],
    to: 'cancelling',
    what: 'cancelled',
    by: asker.by,
  })

async function steer(
  parts: EngineParts,
  id: PlanRunId,
  {
    from,
    to,
    what,
    by,
  }: {
    readonly from: readonly PlanRunState[]
    readonly to: PlanRunState
    readonly what: string
    readonly by: string
  },
): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    const run = await loadRun(parts, id)
    if (run.state === to) return
    if (!from.includes(run.state)) throw notNow(run, what)
    if (!(await parts.stores.planRuns.move(id, run.state, to, { note: null, endedAt: null }))) continue
    parts.live.changed('plan-runs', id)
    return await tell(parts, run, `was ${what} by ${by}`)
  }
  throw tooMany()
}

export const notNow = (run: PlanRun, what: string): Refusal =>
  new Refusal({
    code: 'plan-run/not-allowed',
    message: `${wordsOfRun(run)} is ${run.state}: it cannot be ${what} now`,
    remedy: 'Reload the run and look at how it stands.',
  })

const tooMany = (): Refusal =>
  new Refusal({
    code: 'plan-run/busy',
    message: 'The run changed again and again while this was tried',
    remedy: 'Look at the run and try once more.',
  })

/** A machine or step that has failed begins once more. The run goes on, also when it had stopped because of that. */
export async function retryActivity(parts: EngineParts, request: ActivityRequest): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    const { run, activity, item } = await loadActivity(parts, request)
    if (activity.state !== 'failed') throw activityNotNow(run, activity, 'tried again')
    await refuseFollowedUp(parts, run)
    if (!(await setGoing(parts, run, 'tried again'))) continue
    const jobId = hasJob(item) ? await jobOfRetry(parts, activity, item) : null
    const attempt = attemptOf(activity, item, { jobId, now: parts.clock.now() })
    const from = { state: 'failed', attempt: activity.attempt, run: ['running', 'paused'] } as const
    const change = { ...attempt, steeredBy: request.by }
    if (!(await parts.stores.planRuns.moveActivity(run.id, activity.itemId, from, change))) continue
    parts.live.changed('plan-runs', run.id)
    return await tell(parts, run, `${titleOf(item)} is tried again, as ${request.by} wished`)
  }
  throw tooMany()
}

/** What needs it goes on without it. The job of a machine that is on its way goes on by itself. */
export async function skipActivity(parts: EngineParts, request: ActivityRequest): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    const { run, activity, item } = await loadActivity(parts, request)
    if (activity.state === 'succeeded' || activity.state === 'skipped')
      throw activityNotNow(run, activity, 'skipped')
    refuseOwnApproval(run, item, request)
    await refuseFollowedUp(parts, run)
    if (!(await setGoing(parts, run, 'skipped'))) continue
    const { state, attempt } = activity
    const from = { state, attempt, run: ['running', 'paused'] } as const
    const endedAt = parts.clock.now()
    const change = {
      state: 'skipped',
      endedAt,
      note: `Skipped by ${request.by}`,
      steeredBy: request.by,
    } as const
    if (!(await parts.stores.planRuns.moveActivity(run.id, activity.itemId, from, change))) continue
    parts.live.changed('plan-runs', run.id)
    return await tell(parts, run, `${titleOf(item)} was skipped by ${request.by}`)
  }
  throw tooMany()
}

/** A run that has stopped goes on; one that is over, or about to be, does not. False: it has moved meanwhile. */
async function setGoing({ stores }: EngineParts, run: PlanRun, what: string): Promise<boolean> {
  if (run.state === 'running' || run.state === 'paused') return true
  if (run.state !== 'failed') throw notNow(run, what)
  return await stores.planRuns.move(run.id, 'failed', 'running', { note: null, endedAt: null })
}

/** Its machines have been rolled back, committed, cleaned up: what comes after them would stand on nothing. */
async function refuseFollowedUp(parts: EngineParts, run: PlanRun): Promise<void> {
  if (run.state !== 'failed' || run.followsUp !== null) return
  const [last] = await followUpsOf(parts, run)
  if (!last) return
  throw new Refusal({
    code: 'plan-run/followed-up',
    message: `${wordsOfRun(run)} does not go on: "${last.kind}" was done with its machines since`,
    remedy: 'Start the plan anew.',
  })
}

/** Four eyes: whoever has started the run lets nothing pass that somebody else has to approve. */
export function refuseOwnApproval(
  run: PlanRun,
  item: PlanMachine | PlanStep,
  { by, byId }: Pick<ActivityRequest, 'by' | 'byId'>,
): void {
  if (!isStep(item) || item.action.kind !== 'approval' || !isStarter(run, { by, byId })) return
  throw new Refusal({
    code: 'plan-run/own-approval',
    message: `${run.startedBy} has started this run: somebody else has to approve it`,
    remedy: 'Ask a colleague who may approve it.',
  })
}

export const isStarter = (
  { startedBy, starterId }: PlanRun,
  { by, byId }: { readonly by: string; readonly byId?: string | undefined },
): boolean => (starterId !== null && starterId === byId) || startedBy === by

/** Its own job once more where that has come to an end of its own since; else a new one, which is refused where the machine does not stand for it. */
async function jobOfRetry(
  parts: EngineParts,
  activity: PlanActivity,
  item: PlanMachine | PlanStep,
): Promise<string> {
  const known =
    activity.jobId === null || isStep(item) ? null : await parts.stores.jobs.find(activity.jobId as JobId)
  if (known === null) return parts.newId()
  // Somebody has had the job itself tried again meanwhile, or it has ended well but for an answer of the guest: its end is ours.
  return activeJobStates.includes(known.state) || known.state === 'succeeded' ? known.id : parts.newId()
}

/** To a manual action or an approval. Who may say so by role is checked before; that nobody approves his own run, here. */
export async function answerActivity(parts: EngineParts, request: AnswerActivityRequest): Promise<void> {
  const { run, activity, item } = await loadActivity(parts, request)
  if (!isStep(item) || needsJob(item.action) || item.action.kind === 'wait')
    throw new Refusal({
      code: 'plan-run/no-question',
      message: `${titleOf(item)} asks nothing`,
      remedy: 'Reload the run and look at what waits for an answer.',
    })
  if (request.value === 'done') refuseOwnApproval(run, item, request)
  const at = parts.clock.now()
  const { value, by, comment } = request
  const { planRuns } = parts.stores
  if (
    activity.state !== 'running' ||
    !(await planRuns.answer(run.id, item.id, activity.attempt, { value, by, at, comment }))
  )
    throw new Refusal({
      code: 'plan-run/already-answered',
      message: `${titleOf(item)} waits for no answer (any more)`,
      remedy: 'Look at the run: the first answer counts.',
    })
  parts.live.changed('plan-runs', run.id)
  const words = item.action.kind === 'approval' ? ['approved', 'refused'] : ['done', 'could not be done']
  const comments = comment === '' ? '' : `: ${comment}`
  await tell(
    parts,
    run,
    `${titleOf(item)}: ${by} says "${value === 'done' ? words[0] : words[1]}"${comments}`,
  )
}

type Found = {
  readonly run: PlanRun
  readonly activity: PlanActivity
  readonly item: PlanMachine | PlanStep
}

async function loadActivity(
  parts: EngineParts,
  { planRunId, itemId }: Pick<ActivityRequest, 'planRunId' | 'itemId'>,
): Promise<Found> {
  const run = await loadRun(parts, planRunId)
  const activity = (await parts.stores.planRuns.activities(planRunId)).find((each) => each.itemId === itemId)
  const item = itemsOf(run.plan).find((placed) => placed.item.id === itemId)?.item
  if (activity && item) return { run, activity, item }
  throw new Refusal({
    code: 'plan-run/no-activity',
    message: `The run has no machine or step ${itemId}`,
    remedy: 'Reload the run: it may have been edited.',
  })
}

const activityNotNow = (run: PlanRun, { state }: PlanActivity, what: string): Refusal =>
  new Refusal({
    code: 'plan-run/not-allowed',
    message: `It is ${state} in ${wordsOfRun(run)}: it cannot be ${what}`,
    remedy: 'Reload the run and look at how it stands.',
  })

export const titleOf = (item: PlanMachine | PlanStep): string =>
  isStep(item) ? `"${item.name}"` : 'A machine'

export async function tell(parts: EngineParts, run: PlanRun, what: string): Promise<void> {
  await recordEvent(parts, {
    severity: 'info',
    code: 'plan-run/steered',
    message: `${wordsOfRun(run)}: ${what}`,
    subject: { id: run.planId, name: run.planName },
    facts: { planRunId: run.id },
  })
}
