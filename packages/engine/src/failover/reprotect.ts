// The direction turns: the machine at the second site is replicated back to the first. Both replicas start from one
// common point, so what moves between the sites is what changed since, where that is known, and what differs where not.
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import { copyExtents } from '@understudy/block/copy-extents'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import type { RunId } from '@understudy/domain/failover/failover'
import {
  type DiskKey,
  isEligible,
  type MachineHardware,
  type MachineRef,
} from '@understudy/domain/machines/machine'
import type {
  AdapterMapping,
  Protection,
  ProtectionId,
  ReplicaId,
} from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { PointId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type JobBody, JobFailure, type JobScope, type TaskScope } from '../jobs/job-scope.ts'
import type { OpenedDisk, Replica } from '../ports/replica-store.ts'
import type { DiskFingerprint, SourcePlatform } from '../ports/source-platform.ts'
import { withReplica, withWriter } from '../recovery-points/with-replica.ts'
import { cycleInJob } from '../replication/cycle-in-job.ts'
import { sinkOf, sumBytes } from '../replication/run-cycle.ts'
import type { ReprotectRequest } from '../requests.ts'
import { platformOf, sourceOf } from '../sites/platform-of.ts'
import { refuseBlockers, tellFailover, whereaboutsOf } from './boot-run.ts'
import { newestBoot } from './newest-boot.ts'
import { fingerprintsOf } from './remove-replica.ts'
import { type Claim, claimInTask, giveBackState, settleState } from './state-claim.ts'

const tasks = [
  'Check both sites',
  'Take over the protection',
  'Prepare the reverse replica',
  'Copy the common point',
  'Replicate what changed since',
  'Turn the direction',
  'Remove the former replica',
]

/** Holds the common point in the reverse replica for as long as a fail-back may need it. */
export const COMMON_POINT_HOLDER = 'common-point'

/** `fingerprints` of the moment when its disks were the common point, byte for byte; null: they never were. */
type StandIn = {
  readonly ref: MachineRef
  readonly runId: RunId
  readonly fingerprints: readonly DiskFingerprint[] | null
}

/** Decided once. Small JSON. */
type TurnPlan = {
  readonly replicaId: ReplicaId
  readonly formerReplicaId: ReplicaId
  readonly pointId: PointId
  /** The machine that runs now. */
  readonly ref: MachineRef
  readonly hardware: MachineHardware
  /** The machine that ran before, if it is still there and not ours to remove. */
  readonly originalRef: MachineRef | null
  /** The machine that ran before was booted by a run of ours: it has done its part and may go once the direction has turned. */
  readonly standIn: StandIn | null
  readonly fingerprints: readonly DiskFingerprint[]
  /** The original's disks are exactly the common point. */
  readonly originalIsCommonPoint: boolean
}

export const reprotect = (context: EngineContext): JobBody<ReprotectRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { parts } = context
    const { protectionId } = request
    const plan = await job.task('Check both sites', () => check(context, request))
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
      await job.task('Prepare the reverse replica', async () =>
        createReverseReplica(context, await loadProtection(parts, protectionId), plan),
      )
      const commonPointId = await fillReverseReplica(context, job, protectionId, plan)
      job.passPointOfNoReturn()
      await job.task('Turn the direction', () => turn(context, request, plan, commonPointId))
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await putBack(context, job, { protectionId, plan, claim })
      throw error
    }
    await job.afterwards('Remove the former replica', () => removeNeedless(context, protectionId))
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

/** Of the two replicas of a reprotect the one that the protection does not use. Repeatable. */
export async function removeNeedless({ parts }: EngineContext, id: ProtectionId): Promise<void> {
  const protection = await loadProtection(parts, id)
  const { turning } = await parts.stores.protections.notes(id)
  if (!turning) return
  const isTurned = protection.replicaId === turning.replicaId
  // Before the turn the reverse replica lies at the source's site, and after it the former one does.
  const { replicas } = await platformOf(parts, protection.sourceSiteId)
  await replicas.deleteReplica(isTurned ? turning.formerReplicaId : turning.replicaId)
  await parts.stores.protections.updateNotes(id, { turning: null })
}

async function check(context: EngineContext, request: ReprotectRequest): Promise<TurnPlan> {
  const { parts } = context
  const protection = await loadProtection(parts, request.protectionId)
  const run = present(await newestBoot(parts, protection.id), 'a committed failover has a machine')
  await refuseActiveTest(context, protection.id)
  const source = await sourceOf(parts, protection.targetSiteId)
  const eligibility = await source.eligibility(run.machineRef)
  if (!isEligible(eligibility)) refuseBlockers(eligibility.findings)
  const machines = await source.inventory()
  const { stoppedSource = null } = await parts.stores.protections.notes(protection.id)
  const original = await lookAtOriginal(context, protection, request)
  const originalIsCommonPoint =
    original !== null && stoppedSource?.pointId === run.pointId && stoppedSource.replicaId === run.replicaId
  const noted = originalIsCommonPoint ? (stoppedSource?.fingerprints ?? []) : []
  const standIn = original && standInOf(protection, original, noted)
  return {
    replicaId: parts.newId() as ReplicaId,
    formerReplicaId: protection.replicaId,
    pointId: run.pointId,
    ref: run.machineRef,
    hardware: machines.find(({ ref }) => ref === run.machineRef)?.hardware ?? protection.hardware,
    // One that stays may hold data that nobody has copied: it is known, so it is watched and never protected by accident.
    originalRef: original === null || goes(standIn) ? null : protection.sourceRef,
    standIn,
    fingerprints: stoppedSource?.fingerprints ?? original?.fingerprints ?? [],
    originalIsCommonPoint,
  }
}

const goes = (standIn: StandIn | null): boolean => standIn !== null && standIn.fingerprints !== null

/**
 * Null: the machine that ran before is not ours. It may go only if every byte of it is in the common point: what it wrote after
 * a point that was chosen by hand, after an unplanned failover or on an excluded disk exists nowhere else.
 */
function standInOf(
  protection: Protection,
  original: Original,
  noted: readonly DiskFingerprint[],
): StandIn | null {
  // Only where another machine is the original: the first machine of all is never ours to remove.
  if (protection.direction === 'forward' || original.ownedBy === null) return null
  const proven = noted.length > 0 && original.disks.every((key) => !protection.excludedDisks.includes(key))
  return { ref: protection.sourceRef, runId: original.ownedBy, fingerprints: proven ? noted : null }
}

function areEqual(noted: readonly DiskFingerprint[], now: readonly DiskFingerprint[]): boolean {
  const values = new Map(now.map(({ key, value }) => [key, value]))
  return noted.length === now.length && noted.every(({ key, value }) => values.get(key) === value)
}

async function refuseActiveTest(context: EngineContext, id: ProtectionId): Promise<void> {
  const active = await context.parts.stores.runs.active(id)
  if (!active.some(({ kind }) => kind === 'test')) return
  throw new Refusal({
    code: 'failover/test-is-up',
    message: 'A test failover still runs from the replica that would go',
    remedy: 'Clean it up first.',
  })
}

type Original = {
  readonly fingerprints: readonly DiskFingerprint[]
  readonly disks: readonly DiskKey[]
  readonly ownedBy: RunId | null
}

/**
 * The machine that ran before must be off: its site would soon be told to overwrite it. Null when it is not there any
 * more, else its fingerprints as it is now.
 */
async function lookAtOriginal(
  context: EngineContext,
  protection: Protection,
  request: ReprotectRequest,
): Promise<Original | null> {
  const source = await sourceOf(context.parts, protection.sourceSiteId)
  const ref = protection.sourceRef
  const machine = (await source.inventory()).find((each) => each.ref === ref)
  if (!machine) return null
  if ((await source.powerState(ref)) !== 'off') await stopOriginal(source, protection, request)
  const stopped = await source.openStoppedDisks(ref, {
    excludedDisks: protection.excludedDisks,
    trackingId: trackingIdOf(protection.id),
    since: null,
  })
  await stopped.close()
  return {
    fingerprints: stopped.fingerprints,
    disks: machine.hardware.disks.map(({ key }) => key),
    ownedBy: machine.ownedBy as RunId | null,
  }
}

async function stopOriginal(source: SourcePlatform, protection: Protection, request: ReprotectRequest) {
  if (!request.powerOffOriginal)
    throw new Refusal({
      code: 'reprotect/original-runs',
      message: `The original ${protection.name} runs at the site that it would be replicated to`,
      remedy: 'Switch it off, or let the reprotect switch it off.',
    })
  await source.powerOff(protection.sourceRef)
}

/** After coming home: what stood in at the second site goes if it is still what the common point holds. Repeatable. */
async function removeStandIn(context: EngineContext, turned: Protection, standIn: StandIn): Promise<string> {
  const { source, target } = await platformOf(context.parts, turned.targetSiteId)
  const machine = (await source?.inventory())?.find(({ ref }) => ref === standIn.ref)
  if (!machine) return 'It is not there any more'
  // Copying took its time; somebody may have started it meanwhile.
  const proven = standIn.fingerprints !== null && (await isUntouched(context, turned, standIn))
  if (!proven) return await keepStandIn(context, turned, standIn, machine.name)
  const run = await context.parts.stores.runs.find(standIn.runId)
  await target?.destroy(standIn.runId, run ? whereaboutsOf(run) : { kind: 'anywhere' })
  return `${machine.name} was removed`
}

async function isUntouched(
  context: EngineContext,
  turned: Protection,
  { ref, fingerprints }: StandIn,
): Promise<boolean> {
  const source = await sourceOf(context.parts, turned.targetSiteId)
  if ((await source.powerState(ref)) !== 'off') return false
  return areEqual(fingerprints ?? [], await fingerprintsOf(context, turned, ref))
}

async function keepStandIn(
  context: EngineContext,
  turned: Protection,
  standIn: StandIn,
  name: string,
): Promise<string> {
  const { protections, sites } = context.parts.stores
  // As an original it is known: watched for a second life, and protected by nobody else.
  await protections.update(turned.id, { originalRef: standIn.ref })
  const site = await sites.find(turned.targetSiteId)
  const where = `${name} stays at ${site?.name ?? 'its site'}`
  await tellFailover(context, turned, {
    severity: 'warning',
    code: 'reprotect/stand-in-kept',
    message: `${where}: it may hold what was written there and never copied. Save what you need from it, then remove it there.`,
    facts: { siteId: turned.targetSiteId, machine: name },
  })
  return where
}

/** Repeatable. */
async function createReverseReplica(
  context: EngineContext,
  protection: Protection,
  plan: TurnPlan,
): Promise<void> {
  const { parts } = context
  const policy = await parts.stores.policies.find(protection.policyId)
  const { replicas } = await platformOf(parts, protection.sourceSiteId)
  await replicas.createReplica({
    id: plan.replicaId,
    machineName: protection.name,
    compress: policy?.compress ?? true,
    encrypt: policy?.encrypt ?? false,
  })
}

async function fillReverseReplica(
  context: EngineContext,
  job: JobScope,
  protectionId: ProtectionId,
  plan: TurnPlan,
): Promise<PointId> {
  const { parts } = context
  const load = () => loadProtection(parts, protectionId)
  const commonPointId = await job.task('Copy the common point', async (task) =>
    copyCommonPoint(context, await load(), plan, task),
  )
  await job.task('Replicate what changed since', async (task) => {
    const protection = await load()
    await cycleInJob(parts, { ...protection, ...turnedPlaces(protection, plan) }, task)
  })
  return commonPointId
}

/** How the places of a protection read once it has turned. */
const turnedPlaces = (protection: Protection, plan: TurnPlan) => ({
  sourceSiteId: protection.targetSiteId,
  sourceRef: plan.ref,
  targetSiteId: protection.sourceSiteId,
  replicaId: plan.replicaId,
})

/** Repeatable: a common point that is sealed already is found again. */
async function copyCommonPoint(
  context: EngineContext,
  protection: Protection,
  plan: TurnPlan,
  task: TaskScope,
): Promise<PointId> {
  const { parts } = context
  const { runningCheckpoint } = await parts.stores.protections.notes(protection.id)
  const former = { siteId: protection.targetSiteId, replicaId: plan.formerReplicaId }
  const reverse = { protectionId: protection.id, siteId: protection.sourceSiteId, replicaId: plan.replicaId }
  return await withReplica(parts, former, (from) =>
    withWriter(parts, reverse, async (to) => {
      const known = to.points()[0]
      const point =
        known ?? (await copyPoint(context, { from, to, plan, checkpoint: runningCheckpoint, task }))
      await to.hold(point.id, COMMON_POINT_HOLDER)
      return point.id
    }),
  )
}

type PointCopy = {
  readonly from: Replica
  readonly to: Replica
  readonly plan: TurnPlan
  readonly checkpoint: string | null
  readonly task: TaskScope
}

async function copyPoint(context: EngineContext, copy: PointCopy): Promise<RecoveryPoint> {
  const { to, checkpoint, task } = copy
  const opened = await copy.from.openPoint(copy.plan.pointId)
  const { instant, consistency, consistencyNote } = opened.point
  try {
    const writer = await to.beginPoint(null, opened.point.disks)
    try {
      const totalBytes = sumBytes(opened.disks)
      let finishedBytes = 0
      for (const disk of opened.disks) {
        await copyDisk(context, disk, sinkOf(writer, disk.key), {
          signal: task.signal,
          onDone: (bytes) => task.progress({ doneBytes: finishedBytes + bytes, totalBytes }),
        })
        finishedBytes += disk.bytes
      }
      // The running machine's disks equalled the point at this very mark: what follows is a delta.
      return await writer.seal({ instant, consistency, consistencyNote, checkpoint, cycle: 'seed' })
    } catch (error) {
      await writer.abort()
      throw error
    }
  } finally {
    await opened.close()
  }
}

async function copyDisk(
  { parts }: EngineContext,
  { reader, bytes }: OpenedDisk,
  to: ReturnType<typeof sinkOf>,
  how: { readonly signal: AbortSignal; readonly onDone: (bytes: number) => void },
): Promise<void> {
  await copyExtents({
    from: reader,
    to,
    extents: mapOf(reader, bytes, how.signal),
    requestBytes: parts.config.requestBytes,
    inFlight: parts.config.requestsInFlight,
    signal: how.signal,
    onProgress: (totals) => how.onDone(totals.dataBytes + totals.zeroBytes),
  })
}

const mapOf = (
  reader: BlockReader,
  bytes: number,
  signal: AbortSignal,
): AsyncIterable<MappedExtent> | Iterable<MappedExtent> =>
  reader.map?.({ offset: 0, bytes }, signal) ?? [{ offset: 0, bytes, kind: 'data' }]

/** Every value is absolute, so a repetition after a crash in the middle ends the same. */
async function turn(
  context: EngineContext,
  request: ReprotectRequest,
  plan: TurnPlan,
  commonPointId: PointId,
): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, request.protectionId)
  // What the fail-back needs to know, before there is one: nobody reads it while the places have not turned.
  await parts.stores.protections.updateNotes(protection.id, {
    originalFingerprints: plan.fingerprints,
    originalPoint: plan.originalIsCommonPoint ? { replicaId: plan.replicaId, pointId: commonPointId } : null,
  })
  // A repetition finds the places turned already.
  if (protection.replicaId !== plan.replicaId) {
    const machine = await parts.stores.machines.findByRef(protection.targetSiteId, plan.ref)
    await parts.stores.protections.update(protection.id, {
      ...turnedPlaces(protection, plan),
      direction: protection.direction === 'forward' ? 'reverse' : 'forward',
      machineId: machine?.id ?? protection.machineId,
      originalRef: plan.originalRef,
      adapters: request.adapters ?? (await adaptersOfOriginal(context, protection, plan)),
      hardware: plan.hardware,
    })
  }
  await finishTurn(context, protection.id)
}

/** Once the places have turned there is only forward. Repeatable. */
export async function finishTurn(context: EngineContext, id: ProtectionId): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, id)
  await parts.stores.protections.updateSummary(protection.id, { newestApplicationPoint: null })
  await parts.stores.protections.updateNotes(protection.id, {
    runningCheckpoint: null,
    stoppedSource: null,
    sourceStoppedByRun: null,
    resyncReason: null,
    lastApplicationConsistentAt: null,
  })
  await settleState(context, {
    protectionId: protection.id,
    from: 'reprotecting',
    to: 'protected',
    note: null,
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
  what: { readonly protectionId: ProtectionId; readonly plan: TurnPlan; readonly claim: Claim },
): Promise<void> {
  const { parts } = context
  const { protectionId, plan, claim } = what
  await job.undo('Put the protection back', async () => {
    const { replicaId } = await loadProtection(parts, protectionId)
    if (replicaId === plan.replicaId) return await finishTurn(context, protectionId)
    await giveBackState(context, { protectionId, to: 'reprotecting', claim })
  })
  await job.undo('Remove the replica that is not needed', () => removeNeedless(context, protectionId))
  await endStandIn(context, job, protectionId, plan)
}
