// Home again: a planned failover into the original machine. Its disks are brought to a recent point while the machine still serves
// elsewhere, and to the final one in place; it must be off and unmodified, or a person says that it may be overwritten.
import { formatBytes } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type JobBody, JobFailure, type JobScope } from '../jobs/job-scope.ts'
import { whereIs, withReplica } from '../recovery-points/with-replica.ts'
import type { FailBackRequest } from '../requests.ts'
import { originalsOf, platformOf, sourceOf } from '../sites/platform-of.ts'
import { closeRun, loadAskedAt, openRun, type RunPlan, tellFailover } from './boot-run.ts'
import { settleFailedOver, waitForFailedOver } from './failed-over.ts'
import { refuseRunningSource } from './fence.ts'
import { removeLeft } from './left-replicas.ts'
import { putBack, quiesceSource, REPLACED, STOPPED_EARLY, takeOver } from './planned-failover.ts'
import { noteOriginal, removeReplicas } from './remove-replica.ts'
import { claimedBy, type StillOurs } from './state-claim.ts'
import { bringUpToDate, whyModified, writeOriginal } from './write-original.ts'

const tasks = [
  'Check the original machine',
  'Bring the original up to date',
  'Take over from replication',
  'Bring the replica up to date',
  'Shut down the source machine',
  'Copy the last changes',
  'Restore the original machine',
  'Start the original machine',
  'Hand over to the original',
  'Wait for the guest to answer',
]

/** What is known of the original before anything begins. Small JSON. */
type Original = {
  readonly plan: RunPlan
  readonly ref: MachineRef
  /** Whatever is on its disks now may go. */
  readonly overwrite: boolean
}

export const failBack = (context: EngineContext): JobBody<FailBackRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { protectionId } = request
    const original = await job.task('Check the original machine', () => check(context, job, request))
    const { runId } = original.plan
    const stillOurs = claimedBy(context, protectionId, job.id)
    await copyAhead(context, job, protectionId, original)
    const claim = await takeOver(context, job, protectionId)
    try {
      const { pointId } = await quiesceSource(context, job, request, runId)
      await restore(context, job, { protectionId, original, pointId, stillOurs })
      await start(context, job, { protectionId, original, stillOurs })
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      const remove = () => stopWhatRuns(context, { protectionId, runId, stillOurs })
      await putBack(context, job, { protectionId, claim, because: error, remove })
      // Last and on their own: a home site that has died must not keep production off.
      await job.undo('Note what the original holds', () => noteNeverStarted(context, protectionId, runId))
      await job.undo('Let the recovery point go', () => letGo(context, runId))
      throw error
    }
    await job.task('Hand over to the original', () =>
      settleFailedOver(context, { protectionId, runId, stillOurs }),
    )
    await waitForFailedOver(context, job, original.plan)
  },
})

async function check(context: EngineContext, job: JobScope, request: FailBackRequest): Promise<Original> {
  const { parts } = context
  const protection = await loadProtection(parts, request.protectionId)
  const ref = protection.originalRef
  if (ref === null)
    throw new Refusal({
      code: 'fail-back/no-original',
      message: 'The original machine is not there any more',
      remedy: 'Use a planned failover: it makes a new machine.',
    })
  const rescued = await refuseUnlessWritable(context, protection, ref)
  await (await sourceOf(parts, protection.sourceSiteId)).powerState(protection.sourceRef)
  // Whoever has given a server in a rescue system to it has named the disks that are overwritten.
  if (!rescued) {
    const modified = await whyModified(context, protection, ref)
    if (modified !== null) await acceptModified(context, protection, request, modified)
  }
  return {
    plan: {
      runId: parts.newId() as RunId,
      kind: 'planned',
      name: protection.name,
      allowOpenNetworks: false,
      askedAt: await loadAskedAt(parts, job),
    },
    ref,
    overwrite: rescued || request.overwriteModified,
  }
}

/** True: a rescue system runs on the machine. Refuses what is on, or could not be written to. */
async function refuseUnlessWritable(
  { parts }: EngineContext,
  protection: Protection,
  ref: MachineRef,
): Promise<boolean> {
  const { originals } = await platformOf(parts, protection.targetSiteId)
  if (originals) {
    const disks = protection.hardware.disks.filter(({ key }) => !protection.excludedDisks.includes(key))
    const obstacle = await originals.obstacle(ref, disks)
    if (obstacle) throw new Refusal(obstacle)
    return true
  }
  const source = await sourceOf(parts, protection.targetSiteId)
  if ((await source.powerState(ref)) === 'off') return false
  throw new Refusal({
    code: 'fail-back/original-runs',
    message: `The original ${protection.name} is not off`,
    remedy: 'Switch it off first. What it wrote since the failover will be overwritten.',
  })
}

async function acceptModified(
  context: EngineContext,
  protection: Protection,
  request: FailBackRequest,
  why: string,
): Promise<void> {
  if (!request.overwriteModified)
    throw new Refusal({
      code: 'fail-back/original-modified',
      message: `The original ${protection.name} may hold data that nobody has copied: ${why}`,
      remedy: 'Save what you need from it and let the fail-back overwrite it, or fail over to a new machine.',
    })
  await tellFailover(context, protection, {
    severity: 'warning',
    code: 'fail-back/overwrite-accepted',
    message: `The original ${protection.name} is overwritten by a fail-back although ${why}`,
    facts: { startedBy: request.by },
  })
}

/** What can be written home while the machine still serves need not be written while nobody does. */
async function copyAhead(
  context: EngineContext,
  job: JobScope,
  protectionId: ProtectionId,
  original: Original,
): Promise<void> {
  try {
    await job.task('Bring the original up to date', (task) =>
      bringUpToDate(context, protectionId, original, task),
    )
  } catch (error) {
    if (!(error instanceof JobFailure)) throw error
    await job.undo('Note what the original holds', async () =>
      noteOriginal(context, await loadProtection(context.parts, protectionId)),
    )
    throw error
  }
}

async function restore(
  context: EngineContext,
  job: JobScope,
  what: {
    readonly protectionId: ProtectionId
    readonly original: Original
    readonly pointId: PointId
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  const { parts } = context
  const { original, stillOurs } = what
  await job.task('Restore the original machine', async (task) => {
    const protection = await loadProtection(parts, what.protectionId)
    const replaced = { failure: REPLACED, except: original.plan.runId, stillOurs }
    await removeLeft(context, protection.id, stillOurs)
    await removeReplicas(context, protection.id, replaced)
    const run = await openRun(context, protection, original.plan, { kind: 'point', id: what.pointId })
    await withReplica(parts, whereIs(protection), async (replica) => {
      const { writtenBytes } = await writeOriginal(context, protection, {
        ...original,
        runId: run.id,
        replica,
        pointId: run.pointId,
        stillOurs,
        task,
      })
      task.note(`${formatBytes(writtenBytes)} written`)
    })
  })
}

async function start(
  context: EngineContext,
  job: JobScope,
  what: {
    readonly protectionId: ProtectionId
    readonly original: Original
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  const { parts } = context
  const { protectionId, original, stillOurs } = what
  job.passPointOfNoReturn()
  await job.task('Start the original machine', async (task) => {
    const protection = await loadProtection(parts, protectionId)
    await refuseRunningSource(parts, protection, task.signal)
    await stillOurs()
    // Before the act: whoever puts this back must know which machine may be running.
    await parts.stores.runs.update(original.plan.runId, { machineRef: original.ref, hydrated: 1 })
    const checkpoint = await startOnce(context, protection, {
      ref: original.ref,
      stillOurs,
      signal: task.signal,
    })
    await parts.stores.protections.updateNotes(protectionId, { runningCheckpoint: checkpoint })
    parts.live.changed('runs', original.plan.runId)
  })
}

/** A repetition finds it running; then nobody knows the mark from before its first instruction, and reprotect compares. */
async function startOnce(
  context: EngineContext,
  protection: Protection,
  what: { readonly ref: MachineRef; readonly stillOurs: StillOurs; readonly signal: AbortSignal },
): Promise<string | null> {
  const { ref, signal } = what
  const { originals: rescued } = await platformOf(context.parts, protection.targetSiteId)
  const source = await sourceOf(context.parts, protection.targetSiteId)
  // Of a rescued one more is to be done than to start it: what stood in for it has to be let go.
  if (!rescued && (await source.powerState(ref, signal)) === 'running') return null
  const originals = await originalsOf(context.parts, protection.targetSiteId)
  await what.stillOurs()
  return (await originals.startTracked(ref, trackingIdOf(protection.id), signal)).checkpoint
}

/** The run names its machine before it starts it: without the name it was never started, and nothing has to be asked. */
async function stopWhatRuns(
  context: EngineContext,
  what: { readonly protectionId: ProtectionId; readonly runId: RunId; readonly stillOurs: StillOurs },
): Promise<void> {
  const { protectionId, runId, stillOurs } = what
  const run = await context.parts.stores.runs.find(runId)
  const neverStarted = run?.machineRef === null
  const except = neverStarted ? { except: runId } : {}
  await removeReplicas(context, protectionId, { failure: STOPPED_EARLY, stillOurs, ...except })
}

/** The original stays where it is and off; whatever the restore got to is noted as its content now. */
async function noteNeverStarted(
  context: EngineContext,
  protectionId: ProtectionId,
  runId: RunId,
): Promise<void> {
  const run = await context.parts.stores.runs.find(runId)
  if (!run || run.over || run.machineRef !== null) return
  await noteOriginal(context, await loadProtection(context.parts, protectionId))
}

async function letGo(context: EngineContext, runId: RunId): Promise<void> {
  const run = await context.parts.stores.runs.find(runId)
  if (run && !run.over && run.machineRef === null) await closeRun(context, run, { failure: STOPPED_EARLY })
}
