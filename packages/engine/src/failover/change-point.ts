// Before the commit: the same machine from another point. What the first one wrote since its boot is given up.
import { Refusal } from '@understudy/base/errors'
import type { Protection } from '@understudy/domain/protection/protection'
import { choosePoint } from '@understudy/domain/recovery-points/choose-point'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type JobBody, JobFailure, type JobScope } from '../jobs/job-scope.ts'
import { whereIs, withReplica } from '../recovery-points/with-replica.ts'
import type { ChangePointRequest } from '../requests.ts'
import { bootRun, destroyRun, findFailover, isFailBack, openRun, planRun, type RunPlan } from './boot-run.ts'
import { settleFailedOver, waitForFailedOver } from './failed-over.ts'
import { refuseRunningSource, SOURCE_RUNS } from './fence.ts'
import { claimedBy, claimInTask, type StillOurs, settleState } from './state-claim.ts'

const tasks = [
  'Check the recovery point',
  'Take over the protection',
  'Remove the running replica',
  'Boot the other point',
  'Hand over to the replica',
  'Wait for the guest to answer',
]

export const changePoint = (context: EngineContext): JobBody<ChangePointRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { protectionId } = request
    const stillOurs = claimedBy(context, protectionId, job.id)
    const { plan, pointId } = await job.task('Check the recovery point', (task) =>
      check(context, job, request, task.signal),
    )
    job.passPointOfNoReturn()
    // Apart from what follows: who was not quick enough must not tidy up what belongs to the other.
    await claimInTask(context, job, 'Take over the protection', {
      protectionId,
      from: ['failedOver'],
      to: 'failingOver',
      note: 'Another recovery point is being booted',
    })
    try {
      await job.task('Remove the running replica', async (task) => {
        const run = await findFailover(context, protectionId)
        if (!run) return
        // Again: hours may lie between the check and this moment, and nothing must go that nothing could replace.
        await refuseSecondLife(context, await loadProtection(context.parts, protectionId), task.signal)
        // After the run was found: what the next job has booted since is not that one.
        await stillOurs()
        await destroyRun(context, run.id, { failure: 'Replaced by another recovery point' })
      })
      await bootOther(context, job, { request, plan, pointId, stillOurs })
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      const gone = await job.undo('Remove what did not boot', () =>
        removeRest(context, request, { plan, failure: error, stillOurs }),
      )
      await job.afterwards('Tell how things stand', () =>
        stayFailedOver(context, request, { gone, stillOurs }),
      )
      throw error
    }
    await job.task('Hand over to the replica', () =>
      settleFailedOver(context, { protectionId, runId: plan.runId, stillOurs }),
    )
    await waitForFailedOver(context, job, plan)
  },
})

/** Everything that can be refused is refused while the first machine still runs. */
async function check(
  context: EngineContext,
  job: JobScope,
  request: ChangePointRequest,
  signal: AbortSignal,
): Promise<{ readonly plan: RunPlan; readonly pointId: PointId }> {
  const protection = await loadProtection(context.parts, request.protectionId)
  const run = await findFailover(context, protection.id)
  if (run && isFailBack(run, protection)) throw failedBack()
  await refuseSecondLife(context, protection, signal)
  const point = await withReplica(context.parts, whereIs(protection), async (replica) =>
    choosePoint(replica.points(), request.choice),
  )
  const kind = run?.kind === 'planned' ? 'planned' : 'unplanned'
  const replacing = run !== null
  const plan = await planRun(context, job, protection, { kind, allowOpenNetworks: false, replacing, signal })
  return { plan, pointId: point.id }
}

const failedBack = (): Refusal =>
  new Refusal({
    code: 'failover/no-change-after-fail-back',
    message: 'The original machine itself runs; it holds one point only',
    remedy: 'Roll the fail-back back, then fail over to the point you want.',
  })

async function bootOther(
  context: EngineContext,
  job: JobScope,
  what: {
    readonly request: ChangePointRequest
    readonly plan: RunPlan
    readonly pointId: PointId
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  await job.task('Boot the other point', async (task) => {
    const protection = await loadProtection(context.parts, what.request.protectionId)
    await refuseSecondLife(context, protection, task.signal)
    await what.stillOurs()
    await openRun(context, protection, what.plan, { kind: 'point', id: what.pointId })
    await what.stillOurs()
    await bootRun(context, protection, what.plan, task)
  })
}

/** Where a person has taken the responsibility for an unproven source, seeing it run is no news. */
async function refuseSecondLife(
  { parts }: EngineContext,
  protection: Protection,
  signal: AbortSignal,
): Promise<void> {
  const { unfencedAccepted = false } = await parts.stores.protections.notes(protection.id)
  if (!unfencedAccepted) await refuseRunningSource(parts, protection, signal)
}

/** A boot that failed half-way may have left a machine that nobody knows. */
async function removeRest(
  context: EngineContext,
  { protectionId }: ChangePointRequest,
  what: { readonly plan: RunPlan; readonly failure: JobFailure; readonly stillOurs: StillOurs },
): Promise<void> {
  const { plan, failure } = what
  const run = await findFailover(context, protectionId)
  if (!run) return
  // Refused before it was touched: the first machine goes on.
  if (run.id !== plan.runId && failure.report.code === SOURCE_RUNS) return
  await what.stillOurs()
  await destroyRun(context, run.id, { failure: failure.message })
}

async function stayFailedOver(
  context: EngineContext,
  { protectionId }: ChangePointRequest,
  { gone, stillOurs }: { readonly gone: boolean; readonly stillOurs: StillOurs },
): Promise<void> {
  const run = await findFailover(context, protectionId)
  await settleState(context, {
    protectionId,
    from: 'failingOver',
    to: 'failedOver',
    note: noteOf(run !== null, gone),
    stillOurs,
  })
}

function noteOf(isThere: boolean, gone: boolean): string {
  if (!gone)
    return 'The other point did not boot, and what was there could not be removed. Choose a point again or roll back.'
  return isThere
    ? 'Runs at the target site, from the point of before; commit it or roll it back'
    : 'No replica runs: the other point did not boot. Choose a point again or roll back.'
}
