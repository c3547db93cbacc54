// The direction turns: the machine at the second site is replicated back to the first. Both replicas start from one
// common point, so what moves between the sites is what changed since, where that is known, and what differs where not.
import type { AdapterMapping, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type JobBody, JobFailure, type JobScope, type TaskScope } from '../jobs/job-scope.ts'
import { cycleInJob } from '../replication/cycle-in-job.ts'
import type { ReprotectRequest } from '../requests.ts'
import { platformOf } from '../sites/platform-of.ts'
import { tellFailover } from './boot-run.ts'
import { copyCommonPoint, createReverseReplica } from './copy-common-point.ts'
import { removeNeedless, removeOrSetAside } from './needless-replicas.ts'
import { planTurn, type TurnPlan } from './plan-turn.ts'
import { removeStandIn } from './stand-in.ts'
import {
  type Claim,
  claimedBy,
  claimInTask,
  giveBackState,
  type StillOurs,
  settleState,
} from './state-claim.ts'

const tasks = [
  'Check both sites',
  'Take over the protection',
  'Prepare the reverse replica',
  'Copy the common point',
  'Replicate what changed since',
  'Turn the direction',
  'Remove the former replica',
]

export const reprotect = (context: EngineContext): JobBody<ReprotectRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { parts } = context
    const { protectionId } = request
    const stillOurs = claimedBy(context, protectionId, job.id)
    const plan = await job.task('Check both sites', async (task) => {
      // What an earlier one has left over: the notes of this one would be the last to know of it.
      await removeOrSetAside(context, protectionId, task)
      return await planTurn(context, request)
    })
    const claim = await claimInTask(context, job, 'Take over the protection', {
      protectionId,
      from: ['committed'],
      to: 'reprotecting',
      note: 'The direction of replication is being turned',
      notes: async () => ({
        turning: { replicaId: plan.replicaId, formerReplicaId: plan.formerReplicaId },
      }),
    })
    try {
      await job.task('Prepare the reverse replica', async () => {
        const protection = await loadProtection(parts, protectionId)
        // One that is made after its job has ended would be known to nobody.
        await stillOurs()
        await createReverseReplica(context, protection, plan)
      })
      const commonPointId = await fillReverseReplica(context, job, { protectionId, plan, stillOurs })
      job.passPointOfNoReturn()
      await job.task('Turn the direction', () => turn(context, request, { plan, commonPointId, stillOurs }))
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await putBack(context, job, { protectionId, plan, claim, stillOurs })
      throw error
    }
    await job.afterwards('Remove the former replica', () => removeNeedless(context, protectionId, job.id))
    await endStandIn(context, job, protectionId, plan)
  },
})

async function endStandIn(
  context: EngineContext,
  job: JobScope,
  protectionId: ProtectionId,
  { replicaId, standIn }: TurnPlan,
): Promise<void> {
  if (standIn === null) return
  await job.afterwards('Remove what stood in', async (task) => {
    const protection = await loadProtection(context.parts, protectionId)
    // Without the turn it is the source still.
    if (protection.replicaId === replicaId) task.note(await removeStandIn(context, protection, standIn))
  })
}

async function fillReverseReplica(
  context: EngineContext,
  job: JobScope,
  what: { readonly protectionId: ProtectionId; readonly plan: TurnPlan; readonly stillOurs: StillOurs },
): Promise<PointId | null> {
  const { parts } = context
  const { protectionId, plan, stillOurs } = what
  const load = () => loadProtection(parts, protectionId)
  const commonPointId = await orWholeDisks(job, async (task) => {
    const protection = await load()
    await stillOurs()
    return await copyCommonPoint(context, protection, plan, task)
  })
  await job.task('Replicate what changed since', async (task) => {
    const protection = await load()
    await stillOurs()
    await cycleInJob(parts, { ...protection, ...turnedPlaces(protection, plan) }, task)
  })
  return commonPointId
}

const ROUNDS = 20

/**
 * The replica that the machine was started from may be lost for good, and the machine still has to come home. What cannot be begun from a
 * common point is copied whole, which is a person's decision: a replica that is only out of sight is found again with "Try again".
 * Null: there is no common point.
 */
async function orWholeDisks(
  job: JobScope,
  work: (task: TaskScope) => Promise<PointId>,
): Promise<PointId | null> {
  for (let round = 1; ; round += 1) {
    try {
      return await job.task(`Copy the common point${round === 1 ? '' : ` (${round})`}`, work)
    } catch (error) {
      if (!(error instanceof JobFailure) || error.report.kind !== 'refusal' || round === ROUNDS) throw error
      const verdict = await job.ask({
        id: `common-point-${round}`,
        text: `The point that the machine was started from cannot be copied: ${error.message}. Copy all of its disks from where it runs instead?`,
        answers: [
          { value: 'again', label: 'Try again', danger: false },
          { value: 'whole', label: 'Copy everything', danger: false },
          { value: 'stop', label: 'Stop here', danger: false },
        ],
      })
      if (verdict?.value === 'whole') return null
      if (verdict?.value !== 'again') throw error
    }
  }
}

/** How the places of a protection read once it has turned. */
const turnedPlaces = (protection: Protection, plan: TurnPlan) => ({
  sourceSiteId: protection.targetSiteId,
  sourceRef: plan.ref,
  targetSiteId: protection.sourceSiteId,
  replicaId: plan.replicaId,
})

/** Every value is absolute, so a repetition after a crash in the middle ends the same. */
async function turn(
  context: EngineContext,
  request: ReprotectRequest,
  what: {
    readonly plan: TurnPlan
    readonly commonPointId: PointId | null
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  const { plan, stillOurs } = what
  const protection = await loadProtection(context.parts, request.protectionId)
  // A repetition finds the places turned already.
  if (protection.replicaId !== plan.replicaId) await turnPlaces(context, protection, { request, ...what })
  await finishTurn(context, protection.id, stillOurs)
}

async function turnPlaces(
  context: EngineContext,
  protection: Protection,
  what: {
    readonly request: ReprotectRequest
    readonly plan: TurnPlan
    readonly commonPointId: PointId | null
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  const { machines, protections } = context.parts.stores
  const { request, plan, commonPointId, stillOurs } = what
  const machine = await machines.findByRef(protection.targetSiteId, plan.ref)
  const adapters = request.adapters ?? (await adaptersOfOriginal(context, protection, plan))
  await stillOurs()
  // What the fail-back needs to know, before there is one: nobody reads it while the places have not turned.
  await protections.updateNotes(protection.id, {
    originalFingerprints: plan.fingerprints,
    originalPoint:
      plan.originalIsCommonPoint && commonPointId !== null
        ? { replicaId: plan.replicaId, pointId: commonPointId }
        : null,
  })
  await stillOurs()
  await protections.update(protection.id, {
    ...turnedPlaces(protection, plan),
    direction: protection.direction === 'forward' ? 'reverse' : 'forward',
    machineId: machine?.id ?? protection.machineId,
    originalRef: plan.originalRef,
    adapters,
    hardware: plan.hardware,
  })
}

/** Once the places have turned there is only forward. Repeatable. */
export async function finishTurn(
  context: EngineContext,
  id: ProtectionId,
  stillOurs: StillOurs,
): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, id)
  // Once it is given back these are the notes of whatever has begun since.
  if (protection.state === 'reprotecting') {
    await stillOurs()
    await parts.stores.protections.updateSummary(protection.id, { newestApplicationPoint: null })
    await parts.stores.protections.updateNotes(protection.id, {
      runningCheckpoint: null,
      stoppedSource: null,
      sourceStoppedByRun: null,
      resyncReason: null,
      lastApplicationConsistentAt: null,
    })
  }
  await settleState(context, {
    protectionId: protection.id,
    from: 'reprotecting',
    to: 'protected',
    note: null,
    stillOurs,
  })
  await tellFailover(context, protection, {
    severity: 'info',
    code: 'failover/reprotected',
    message: `${protection.name} is replicated in the other direction now`,
  })
}

/** A failover back home plugs the machine into the networks that the original had, adapter by adapter. */
async function adaptersOfOriginal(
  { parts }: EngineContext,
  protection: Protection,
  plan: TurnPlan,
): Promise<readonly AdapterMapping[]> {
  const original = await parts.stores.machines.findByRef(protection.sourceSiteId, protection.sourceRef)
  const { target } = await platformOf(parts, protection.sourceSiteId)
  const isolated = (await target?.networks())?.find((network) => network.isolated)
  return plan.hardware.adapters.map(({ key }, index) => ({
    adapterKey: key,
    failoverNetworkId: original?.hardware.adapters[index]?.networkId ?? null,
    testNetworkId: isolated?.id ?? null,
  }))
}

async function putBack(
  context: EngineContext,
  job: JobScope,
  what: {
    readonly protectionId: ProtectionId
    readonly plan: TurnPlan
    readonly claim: Claim
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  const { parts } = context
  const { protectionId, plan, claim, stillOurs } = what
  await job.undo('Put the protection back', async () => {
    const { replicaId } = await loadProtection(parts, protectionId)
    if (replicaId === plan.replicaId) return await finishTurn(context, protectionId, stillOurs)
    await giveBackState(context, { protectionId, to: 'reprotecting', claim, stillOurs })
  })
  await job.undo('Remove the replica that is not needed', () => removeNeedless(context, protectionId, job.id))
  await endStandIn(context, job, protectionId, plan)
}
