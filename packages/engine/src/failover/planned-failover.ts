// Planned: shut down with proof, last delta, boot. Nothing is lost, and until the replica boots everything can be put back.
import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type JobBody, JobFailure, type JobScope } from '../jobs/job-scope.ts'
import { cycleInJob } from '../replication/cycle-in-job.ts'
import type { PlannedFailoverRequest } from '../requests.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { bootRun, openRun, planRun, type RunPlan, tellFailover } from './boot-run.ts'
import { settleFailedOver, waitForFailedOver } from './failed-over.ts'
import { refuseRunningSource } from './fence.ts'
import { type FinalPoint, sealFinalPoint } from './last-delta.ts'
import { shutDownAtLastPoint } from './last-point.ts'
import { noteLateEcho } from './late-shut-down.ts'
import { removeLeft } from './left-replicas.ts'
import { tellPutBack } from './put-back-alert.ts'
import { removeReplicas } from './remove-replica.ts'
import {
  type Claim,
  claimedBy,
  claimForFailover,
  giveBackState,
  releaseClaim,
  type StillOurs,
} from './state-claim.ts'

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

/** How long a guest may go on shutting down after nobody wants that any more. */
const SHUT_DOWN_ECHO_SECONDS = 30
/** Why a run is over, as its history says it. */
export const REPLACED = 'Left over from an earlier failover'
export const STOPPED_EARLY = 'The failover stopped early'

export const plannedFailover = (context: EngineContext): JobBody<PlannedFailoverRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const plan = await job.task('Check both sites', ({ signal }) =>
      check(context, job, request.protectionId, signal),
    )
    const claim = await takeOver(context, job, request.protectionId)
    try {
      const { pointId } = await quiesceSource(context, job, request, plan.runId)
      await bootReplica(context, job, { protectionId: request.protectionId, plan, pointId })
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await putBack(context, job, { protectionId: request.protectionId, claim, because: error })
      throw error
    }
    await job.task('Hand over to the replica', () =>
      settleFailedOver(context, {
        protectionId: request.protectionId,
        runId: plan.runId,
        stillOurs: claimedBy(context, request.protectionId, job.id),
      }),
    )
    await waitForFailedOver(context, job, plan)
  },
})

/** It is at work, and may have much to do. */
const SOURCE_SECONDS = 60

async function check(
  context: EngineContext,
  job: JobScope,
  id: ProtectionId,
  signal: AbortSignal,
): Promise<RunPlan> {
  const { parts } = context
  const protection = await loadProtection(parts, id)
  const source = await sourceOf(parts, protection.sourceSiteId)
  // A planned failover needs its source. Better to know before anything has stopped.
  const bound = { seconds: SOURCE_SECONDS, signal }
  const power = await withinSeconds(parts, bound, () => source.powerState(protection.sourceRef))
  if (source.shutsDownAtPoint && power !== 'running') throw sourceAway(protection)
  return await planRun(context, job, protection, { kind: 'planned', allowOpenNetworks: false, signal })
}

export async function takeOver(
  context: EngineContext,
  job: JobScope,
  protectionId: ProtectionId,
): Promise<Claim> {
  return await claimForFailover(context, job, 'Take over from replication', {
    protectionId,
    from: ['protected', 'resyncing'],
    note: 'A planned failover is under way',
  })
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
  const stillOurs = claimedBy(context, request.protectionId, job.id)
  // What can be copied while the guest still serves need not be copied while nobody does.
  const before = await job.task('Bring the replica up to date', async (task) => {
    const protection = await load()
    const source = await sourceOf(parts, protection.sourceSiteId)
    if ((await source.powerState(protection.sourceRef, task.signal)) === 'off')
      task.note('The machine is off already; the last changes follow')
    else await cycleInJob(parts, protection, task)
    return { atLastPoint: source.shutsDownAtPoint === true }
  })
  if (before?.atLastPoint) return await shutDownAtLastPoint(context, job, request.protectionId, runId)
  const off = await job.task('Shut down the source machine', async (task) => {
    const protection = await load()
    const source = await sourceOf(parts, protection.sourceSiteId)
    const wasOff = (await source.powerState(protection.sourceRef, task.signal)) === 'off'
    await stillOurs()
    // Before the act: after a crash in between it is started again for nothing rather than left off.
    if (!wasOff) await parts.stores.protections.updateNotes(protection.id, { sourceStoppedByRun: runId })
    const timeoutSeconds = request.shutDownTimeoutSeconds ?? parts.config.shutDownTimeoutSeconds
    const { excludedDisks } = protection
    const proof = await source.shutDown(protection.sourceRef, {
      timeoutSeconds,
      excludedDisks,
      signal: task.signal,
    })
    task.note(proof.evidence)
    return { at: proof.at, orderly: !wasOff }
  })
  return await job.task('Copy the last changes', async (task) => {
    const protection = await load()
    const final = await sealFinalPoint(parts, protection, off, task)
    await parts.stores.protections.updateNotes(protection.id, {
      stoppedSource: {
        fingerprints: final.fingerprints,
        replicaId: protection.replicaId,
        pointId: final.pointId,
      },
    })
    return final
  })
}

const sourceAway = ({ name }: Protection): Refusal =>
  new Refusal({
    code: 'failover/source-away',
    message: `${name} does not answer, and is shut down and read by its own agent`,
    remedy: 'See that it runs and reaches this server; or use an unplanned failover.',
  })

async function bootReplica(
  context: EngineContext,
  job: JobScope,
  what: { readonly protectionId: ProtectionId; readonly plan: RunPlan; readonly pointId: PointId },
): Promise<void> {
  const { parts } = context
  const stillOurs = claimedBy(context, what.protectionId, job.id)
  job.passPointOfNoReturn()
  await job.task('Boot the replica', async (task) => {
    const protection = await loadProtection(parts, what.protectionId)
    await refuseRunningSource(parts, protection, task.signal)
    const replaced = { failure: REPLACED, except: what.plan.runId, stillOurs }
    await removeLeft(context, protection.id, stillOurs)
    await removeReplicas(context, protection.id, replaced)
    await openRun(context, protection, what.plan, { kind: 'point', id: what.pointId })
    await stillOurs()
    await bootRun(context, protection, what.plan, task)
  })
}

/** Everything as it was: no trace of the replica, the source runs, replication goes on. */
export async function putBack(
  context: EngineContext,
  job: JobScope,
  what: {
    readonly protectionId: ProtectionId
    readonly claim: Claim
    /** What stopped the failover; null: its job was lost. */
    readonly because: JobFailure | null
    /** When the claim is not the job's own. */
    readonly stillOurs?: StillOurs
    /** How the replica goes, when not by removing all that was made. */
    readonly remove?: () => Promise<void>
  },
): Promise<void> {
  const stillOurs = what.stillOurs ?? claimedBy(context, what.protectionId, job.id)
  const remove = () => removeReplicas(context, what.protectionId, { failure: STOPPED_EARLY, stillOurs })
  const removed = await job.undo('Remove the replica machine', what.remove ?? remove)
  // Never two: a replica that cannot be removed may run, so the source stays off until a person has looked.
  const started =
    removed &&
    (await job.undo('Start the source machine again', () =>
      restartSource(context, what.protectionId, stillOurs),
    ))
  await job.undo('Put the protection back', async () => {
    if (!started) return await giveBackBroken(context, what.protectionId, stillOurs)
    await giveBackState(context, { ...what, to: 'failingOver', stillOurs })
    await tellPutBack(context, what.protectionId, what.because)
  })
}

async function giveBackBroken(
  context: EngineContext,
  protectionId: ProtectionId,
  stillOurs: StillOurs,
): Promise<void> {
  const { parts } = context
  const note =
    'A failover stopped early and could not put everything back. See its job, tidy up by hand, then resynchronise.'
  const release = { from: 'failingOver', to: 'broken', note, resumeState: null, stillOurs } as const
  // Repeated after somebody has taken it on from there, there is nothing left to tell.
  if ((await releaseClaim(context, { protectionId, ...release })) !== 'broken') return
  const protection = await loadProtection(parts, protectionId)
  await tellFailover(context, protection, {
    severity: 'critical',
    code: 'failover/not-put-back',
    message: note,
  })
}

/** Starts what a failover of ours has stopped, and nothing else. Repeatable. */
export async function restartSource(
  context: EngineContext,
  protectionId: ProtectionId,
  stillOurs: () => Promise<void>,
): Promise<void> {
  const { sourceStoppedByRun = null } = await context.parts.stores.protections.notes(protectionId)
  if (sourceStoppedByRun === null) await forgetStop(context, protectionId, stillOurs)
  else await startSource(context, protectionId, stillOurs)
}

/**
 * Starts the source, whoever stopped it: the replica that did its work has gone, and a machine that runs nowhere is what
 * nobody meant by a roll back. Repeatable.
 */
export async function startSource(
  context: EngineContext,
  protectionId: ProtectionId,
  stillOurs: () => Promise<void>,
): Promise<void> {
  await startOff(context, await loadProtection(context.parts, protectionId), stillOurs)
  await forgetStop(context, protectionId, stillOurs)
}

async function forgetStop(
  { parts }: EngineContext,
  protectionId: ProtectionId,
  stillOurs: () => Promise<void>,
): Promise<void> {
  await stillOurs()
  await parts.stores.protections.updateNotes(protectionId, {
    sourceStoppedByRun: null,
    stoppedSource: null,
    runningCheckpoint: null,
    lastPoint: null,
  })
}

async function startOff(
  context: EngineContext,
  protection: Protection,
  stillOurs: () => Promise<void>,
): Promise<void> {
  const { parts } = context
  const source = await sourceOf(parts, protection.sourceSiteId)
  let power = await source.powerState(protection.sourceRef)
  // A guest that was asked to shut down and has not yet would be off a moment after we looked.
  for (let second = 0; power === 'running' && second < SHUT_DOWN_ECHO_SECONDS; second += 1) {
    await parts.sleep(1000)
    power = await source.powerState(protection.sourceRef)
  }
  // Of one that has switched itself off nobody hears any more.
  const { lastPoint = null } = await parts.stores.protections.notes(protection.id)
  if (power === 'off' || (power === 'unknown' && lastPoint !== null)) {
    await stillOurs()
    return await source.start(protection.sourceRef).catch((cause: unknown) => {
      if (!(cause instanceof Refusal)) throw cause
      throw startByHand(protection, cause)
    })
  }
  if (power === 'running') return await noteLateEcho(parts, protection)
  throw new Refusal({
    code: 'failover/source-state-unknown',
    message: `${protection.name} is ${power} at its source site`,
    remedy: 'Look at it there and start it by hand.',
  })
}

const startByHand = ({ name }: Protection, cause: Refusal): Refusal =>
  new Refusal({
    code: 'failover/start-by-hand',
    message: `${name} could not be started from here (${cause.message}): start it by hand, then resynchronise`,
    remedy: cause.remedy,
    cause,
  })
