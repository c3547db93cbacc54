// Setting a protection up: check, make the replica, wait until the mover has sealed the first point.
import { Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import {
  type DiskKey,
  isEligible,
  type Machine,
  type MachineHardware,
  type MachineId,
  withoutDisks,
} from '@understudy/domain/machines/machine'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import { checkPolicyFits, whyNotEncrypted } from '@understudy/domain/protection/policy-fits'
import type { GroupId, Protection, ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { SiteId } from '@understudy/domain/sites/site'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { refuseBlockers } from '../failover/boot-run.ts'
import { chooseFailoverNetworks } from '../failover/failover-networks.ts'
import { newestBoot } from '../failover/newest-boot.ts'
import { type JobBody, JobFailure, type TaskScope } from '../jobs/job-scope.ts'
import { findBegun, startJob } from '../jobs/start-job.ts'
import type { Asker, JobStarted, ProtectRequest } from '../requests.ts'
import { noTargetAt } from '../sites/no-target.ts'
import { platformOf, replicasAt, replicasOf, sourceOf } from '../sites/platform-of.ts'
import { loadSite } from '../sites/register.ts'
import { loadGroup, type Newcomers, newcomerObstacles, tellJoined } from './group-rows.ts'
import { waitForCycle } from './wait-for-cycle.ts'

const tasks = ['Check the machine and the target', 'Create the replica', 'Make the first copy']

/** Writes the protection down and starts its job. Refuses what can be refused at once. */
export async function protect(
  { parts }: EngineContext,
  request: ProtectRequest,
): Promise<JobStarted & { readonly protectionId: ProtectionId }> {
  const begun = await findBegun(parts, 'protect', request)
  if (begun !== null)
    return await startProtect(
      parts,
      { id: begun.subjectId as ProtectionId, name: begun.subjectName },
      request,
    )
  const machine = await loadMachine(parts, request.machineId)
  const policy = await loadPolicy(parts, request.policyId)
  const targetSiteId = request.targetSiteId as SiteId
  const platform = await platformOf(parts, targetSiteId)
  const replicas = replicasAt(platform)
  const site = await loadSite(parts, targetSiteId)
  if (platform.originals) throw onlyItsOwn(site.name)
  const unfit = whyNotEncrypted(policy, { name: site.name, encrypts: replicas.encrypts })
  if (unfit) throw new Refusal(unfit)
  if (targetSiteId === machine.siteId) throw sameSite()
  await refuseKnownMachine(parts, machine)
  refuseUnknownDisks(machine.name, machine.hardware, request.excludedDisks)
  const groupId = request.groupId ?? null
  const group = groupId === null ? null : await loadGroup(parts, groupId)
  if (group) await refuseUnfit(parts, group.id, { machine, targetSiteId, policyId: policy.id })
  const id = parts.newId() as ProtectionId
  await parts.stores.protections.create({
    id,
    name: request.name ?? machine.name,
    state: 'enabling',
    stateNote: null,
    resumeState: null,
    cycleAskedAt: null,
    direction: 'forward',
    machineId: machine.id,
    sourceSiteId: machine.siteId,
    sourceRef: machine.ref,
    targetSiteId,
    originalRef: null,
    policyId: policy.id,
    groupId,
    replicaId: parts.newId() as ReplicaId,
    epoch: 0,
    excludedDisks: request.excludedDisks,
    adapters: request.adapters,
    hardware: machine.hardware,
    createdAt: parts.clock.now(),
  })
  parts.live.changed('protections', id)
  const subject = { id, name: request.name ?? machine.name }
  const started = await startProtect(parts, subject, request)
  // What is told must not stand between the row and its job: without one, whoever asks again is refused as protected already.
  if (group) await tellJoined(parts, group, { names: [subject.name], by: request.by })
  return started
}

async function refuseUnfit(
  parts: EngineParts,
  groupId: GroupId,
  { machine, ...how }: Pick<Newcomers, 'targetSiteId' | 'policyId'> & { readonly machine: Machine },
): Promise<void> {
  const obstacle = (await newcomerObstacles(parts, { groupId, machines: [machine], ...how })).get(machine.id)
  if (obstacle) throw new Refusal(obstacle)
}

/** A slip in the name of a disk would have it replicated although somebody wanted it left out. */
export function refuseUnknownDisks(
  name: string,
  { disks }: MachineHardware,
  excluded: readonly DiskKey[],
): void {
  const unknown = excluded.find((key) => disks.every((disk) => disk.key !== key))
  if (unknown === undefined) return
  throw new Refusal({
    code: 'protection/unknown-disk',
    message: `${name} has no disk ${unknown} that could be left out`,
    remedy: `Its disks: ${disks.map(({ key }) => key).join(', ')}.`,
  })
}

async function startProtect(
  parts: EngineParts,
  subject: Pick<Protection, 'id' | 'name'>,
  { by, jobId }: Asker,
): Promise<JobStarted & { readonly protectionId: ProtectionId }> {
  const asker = jobId === undefined ? { by } : { by, jobId }
  const started = await startJob(parts, 'protect', subject, { ...asker, protectionId: subject.id })
  return { ...started, protectionId: subject.id }
}

/** One of a pair that is protected already: as its source, as the machine to fail back to, or as its running replica. */
async function refuseKnownMachine(parts: EngineParts, machine: Machine): Promise<void> {
  const protections = await parts.stores.protections.list()
  const nameOf = (id: ProtectionId | undefined) => protections.find((other) => other.id === id)?.name ?? id
  const owner = protections.find(
    (other) =>
      (other.sourceSiteId === machine.siteId && other.sourceRef === machine.ref) ||
      (other.targetSiteId === machine.siteId && other.originalRef === machine.ref),
  )
  const runs = [...(await parts.stores.runs.active()), ...(await committedRuns(parts, protections))]
  const run = runs.find((other) => other.targetSiteId === machine.siteId && other.machineRef === machine.ref)
  if (!owner && !run) return
  throw new Refusal({
    code: 'protection/exists',
    message: `${machine.name} belongs to the protection "${nameOf(owner?.id ?? run?.protectionId)}" already`,
    remedy: 'Open that protection, or end it first.',
  })
}

/** What a protection runs from since its commit, and will replicate once it is reprotected. Its run is over. */
async function committedRuns(
  parts: EngineParts,
  protections: readonly Protection[],
): Promise<readonly Run[]> {
  const committed = protections.filter(({ state }) => state === 'committed' || state === 'reprotecting')
  const runs = await Promise.all(committed.map(({ id }) => newestBoot(parts, id)))
  return runs.filter((run) => run !== null)
}

const onlyItsOwn = (name: string): Refusal =>
  new Refusal({
    code: 'site/only-its-own',
    message: `${name} keeps replicas only of its own servers that are to come home`,
    remedy: 'Choose another target site.',
  })

const sameSite = (): Refusal =>
  new Refusal({
    code: 'protection/same-site',
    message: 'The target is the site that the machine is at',
    remedy: 'Choose another target site: this one fails together with the machine.',
  })

type ProtectJob = Asker & { readonly protectionId: ProtectionId }

export const protectJob = (context: EngineContext): JobBody<ProtectJob> => ({
  tasks: () => tasks,
  async run(job, { protectionId }) {
    try {
      await job.task('Check the machine and the target', (task) => check(context, protectionId, task))
      await job.task('Create the replica', () => createReplica(context, protectionId))
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await job.afterwards('Tell how things stand', () => breakDown(context, protectionId, error))
      throw error
    }
    await job.task('Make the first copy', (task) => waitForCycle(context, protectionId, task))
  },
})

async function check({ parts }: EngineContext, id: ProtectionId, task: TaskScope): Promise<void> {
  const protection = await loadProtection(parts, id)
  const source = await sourceOf(parts, protection.sourceSiteId)
  const eligibility = withoutDisks(await source.eligibility(protection.sourceRef), protection.excludedDisks)
  if (!isEligible(eligibility)) refuseBlockers(eligibility.findings)
  checkPolicyFits(await loadPolicy(parts, protection.policyId), eligibility)
  const platform = await platformOf(parts, protection.targetSiteId)
  const { target } = platform
  const networks = await chooseFailoverNetworks(target, protection)
  const obstacle = noTargetAt(await loadSite(parts, protection.targetSiteId), platform)
  if (!target || obstacle) return obstacle ? task.note(obstacle.message) : undefined
  const { name, hardware } = protection
  refuseBlockers(
    await target.preflight({ name, mode: 'failover', hardware, networks, trackingId: trackingIdOf(id) }),
  )
}

/** Repeatable, also for a protection that was broken by an earlier attempt. */
async function createReplica({ parts, mover }: EngineContext, id: ProtectionId): Promise<void> {
  const protection = await loadProtection(parts, id)
  const policy = await loadPolicy(parts, protection.policyId)
  const replicas = await replicasOf(parts, protection.targetSiteId)
  await replicas.createReplica({
    id: protection.replicaId,
    machineName: protection.name,
    compress: policy.compress,
    encrypt: policy.encrypt,
  })
  const { state } = await loadProtection(parts, id)
  if (state === 'enabling' || state === 'broken')
    await parts.stores.protections.moveState(id, state, 'seeding', null)
  parts.live.changed('protections', id)
  mover.look()
}

async function breakDown({ parts }: EngineContext, id: ProtectionId, failure: JobFailure): Promise<void> {
  const { message, remedy } = failure.report
  await parts.stores.protections.moveState(id, 'enabling', 'broken', `${message}. ${remedy}`)
  parts.live.changed('protections', id)
}

export async function loadMachine(parts: Pick<EngineParts, 'stores'>, id: MachineId): Promise<Machine> {
  const machine = await parts.stores.machines.find(id)
  if (machine?.present) return machine
  throw new Refusal({
    code: 'machine/not-found',
    message: machine
      ? `${machine.name} is not in its site's inventory any more`
      : `There is no machine ${id}`,
    remedy: 'Refresh the inventory of its site.',
  })
}

export async function loadPolicy(parts: Pick<EngineParts, 'stores'>, id: PolicyId): Promise<Policy> {
  const policy = await parts.stores.policies.find(id)
  if (policy) return policy
  throw new Refusal({
    code: 'policy/not-found',
    message: `There is no policy ${id}`,
    remedy: 'Choose another policy.',
  })
}
