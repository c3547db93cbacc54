// Planned: shut down with proof, last delta, boot. Nothing is lost, and until the replica boots everything can be put back.
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type JobBody, JobFailure, type JobScope } from '../jobs/job-scope.ts'
import { cycleInJob } from '../replication/cycle-in-job.ts'
import type { PlannedFailoverRequest } from '../requests.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { bootRun, destroyRun, openRun, planRun, type RunPlan, tellFailover } from './boot-run.ts'
import { settleFailedOver, waitForFailedOver } from './failed-over.ts'
import { refuseRunningSource } from './fence.ts'
import { type FinalPoint, sealFinalPoint } from './last-delta.ts'
import { type Claim, claimState, giveBackState } from './state-claim.ts'

const tasks = [
  'Check both sites',
  'Take over from replication',
  'Bring the replica up to date',
  'Shut down the source machine',
  'Copy the last changes',
  'Boot the replica',
  'Hand over to the replica',
  'Wait for the guest to answer',
]

export const plannedFailover = (context: EngineContext): JobBody<PlannedFailoverRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const plan = await job.task('Check both sites', () => check(context, request.protectionId))
    const claim = await takeOver(context, job, request.protectionId)
    try {
      await quiesceSource(context, job, request, plan.runId)
      await bootReplica(context, job, request.protectionId, plan)
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await putBack(context, job, { protectionId: request.protectionId, runId: plan.runId, claim })
      throw error
    }
    await job.task('Hand over to the replica', () =>
      settleFailedOver(context, { jobId: job.id, protectionId: request.protectionId, runId: plan.runId }),
    )
    await waitForFailedOver(context, job, plan)
  },
})

async function check(context: EngineContext, id: ProtectionId): Promise<RunPlan> {
  const { parts } = context
  const protection = await loadProtection(parts, id)
  const source = await sourceOf(parts, protection.sourceSiteId)
  // A planned failover needs its source. Better to know before anything has stopped.
  await source.powerState(protection.sourceRef)
  return await planRun(context, protection, { kind: 'planned', allowOpenNetworks: false })
}

export async function takeOver(
  context: EngineContext,
  job: JobScope,
  protectionId: ProtectionId,
): Promise<Claim> {
  return await job.task('Take over from replication', () =>
    claimState(context, {
      protectionId,
      jobId: job.id,
      from: ['protected', 'resyncing'],
      to: 'failingOver',
      note: 'A planned failover is under way',
    }),
  )
}

/** From a running source to a final point of a machine that is proven off. */
export async function quiesceSource(
  context: EngineContext,
  job: JobScope,
  request: { readonly protectionId: ProtectionId; readonly shutDownTimeoutSeconds?: number },
  runId: RunId,
): Promise<FinalPoint> {
  const { parts } = context
  const load = () => loadProtection(parts, request.protectionId)
  // What can be copied while the guest still serves need not be copied while nobody does.
  await job.task('Bring the replica up to date', async (task) => {
    const protection = await load()
    const source = await sourceOf(parts, protection.sourceSiteId)
    if ((await source.powerState(protection.sourceRef, task.signal)) === 'off')
      return task.note('The machine is off already; the last changes follow')
    await cycleInJob(parts, protection, task)
  })
  const off = await job.task('Shut down the source machine', async (task) => {
    const protection = await load()
    const source = await sourceOf(parts, protection.sourceSiteId)
    const wasOff = (await source.powerState(protection.sourceRef, task.signal)) === 'off'
    const notes = await parts.stores.protections.notes(protection.id)
    // Before the act: after a crash in between it is started again for nothing rather than left off.
    if (!wasOff) await parts.stores.protections.updateNotes(protection.id, { sourceStoppedByRun: runId })
    else if (notes.sourceStoppedByRun !== runId) task.note('It was off already')
    const timeoutSeconds = request.shutDownTimeoutSeconds ?? parts.config.shutDownTimeoutSeconds
    const proof = await source.shutDown(protection.sourceRef, { timeoutSeconds, signal: task.signal })
    task.note(proof.evidence)
    return proof
  })
  return await job.task('Copy the last changes', async (task) => {
    const protection = await load()
    const final = await sealFinalPoint(parts, protection, off.at, task)
    await parts.stores.protections.updateNotes(protection.id, {
      originalFingerprints: final.fingerprints,
      originalPoint: { replicaId: protection.replicaId, pointId: final.pointId },
    })
    return final
  })
}

async function bootReplica(
  context: EngineContext,
  job: JobScope,
  protectionId: ProtectionId,
  plan: RunPlan,
): Promise<void> {
  const { parts } = context
  job.passPointOfNoReturn()
  await job.task('Boot the replica', async (task) => {
    const protection = await loadProtection(parts, protectionId)
    const { originalPoint } = await parts.stores.protections.notes(protectionId)
    const { pointId } = present(originalPoint, 'the final point is noted before the boot')
    await refuseRunningSource(parts, protection, task.signal)
    await openRun(context, protection, plan, { kind: 'point', id: pointId as FinalPoint['pointId'] })
    await bootRun(context, protection, plan, task)
  })
}

/** Everything as it was: no trace of the replica, the source runs, replication goes on. */
export async function putBack(
  context: EngineContext,
  job: JobScope,
  what: { readonly protectionId: ProtectionId; readonly runId: RunId; readonly claim: Claim },
): Promise<void> {
  const { parts } = context
  const removed = await job.undo('Remove the replica machine', () =>
    destroyRun(context, what.runId, { failure: 'The failover stopped early' }),
  )
  // Never two: a replica that cannot be removed may run, so the source stays off until a person has looked.
  const started =
    removed && (await job.undo('Start the source machine again', () => restartSource(context, what)))
  await job.undo('Put the protection back', async () => {
    if (started) return await giveBackState(context, { ...what, to: 'failingOver' })
    await giveBackBroken(context, what.protectionId)
  })
}

async function giveBackBroken(context: EngineContext, protectionId: ProtectionId): Promise<void> {
  const { parts } = context
  const note =
    'A failover stopped early and could not put everything back. See its job, tidy up by hand, then resynchronise.'
  await parts.stores.protections.moveState(protectionId, 'failingOver', 'broken', note, null)
  const protection = await loadProtection(parts, protectionId)
  await tellFailover(context, protection, {
    severity: 'critical',
    code: 'failover/not-put-back',
    message: note,
  })
  parts.live.changed('protections', protectionId)
}

/** Starts what we have stopped for this run, and nothing else. Repeatable. */
export async function restartSource(
  context: EngineContext,
  what: { readonly protectionId: ProtectionId; readonly runId: RunId },
): Promise<void> {
  const { parts } = context
  const notes = await parts.stores.protections.notes(what.protectionId)
  if (notes.sourceStoppedByRun === what.runId)
    await startOff(context, await loadProtection(parts, what.protectionId))
  await parts.stores.protections.updateNotes(what.protectionId, {
    sourceStoppedByRun: null,
    originalFingerprints: [],
    originalPoint: null,
    runningCheckpoint: null,
  })
}

async function startOff(context: EngineContext, protection: Protection): Promise<void> {
  const source = await sourceOf(context.parts, protection.sourceSiteId)
  const power = await source.powerState(protection.sourceRef)
  // A guest that was asked to shut down and has not yet would be off a moment after we looked.
  if (power === 'off') return await source.start(protection.sourceRef)
  if (power === 'running') return
  throw new Refusal({
    code: 'failover/source-state-unknown',
    message: `${protection.name} is ${power} at its source site`,
    remedy: 'Look at it there and start it by hand.',
  })
}
