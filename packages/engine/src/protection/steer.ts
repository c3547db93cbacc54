// What an operator does to a protection while it goes on: pause, resume, replicate now, resynchronise, edit.
import { Refusal } from '@understudy/base/errors'
import { protectionChanges, wordsOfChanges } from '@understudy/domain/protection/changes'
import type { ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection, stateChanged } from '../engine-context.ts'
import { recordEvent } from '../events/report.ts'
import { chooseFailoverNetworks } from '../failover/failover-networks.ts'
import type { JobBody } from '../jobs/job-scope.ts'
import type { EditProtectionRequest, ProtectionRequest } from '../requests.ts'
import { platformOf } from '../sites/platform-of.ts'
import { loadGroup } from './group-rows.ts'
import { encryptionIsFixed } from './policies.ts'
import { loadPolicy, refuseUnknownDisks } from './protect.ts'
import { waitForCycle } from './wait-for-cycle.ts'

/** Anything else is at work, and a pause must not take it out of a job's hands. */
const pauseFrom: readonly ProtectionState[] = ['seeding', 'protected', 'resyncing']

export async function pause(context: EngineContext, request: ProtectionRequest): Promise<void> {
  const { protections } = context.parts.stores
  const { state } = await loadProtection(context.parts, request.protectionId)
  if (!pauseFrom.includes(state)) throw stateChanged()
  const moved = await protections.moveState(
    request.protectionId,
    state,
    'paused',
    `Paused by ${request.by}`,
    state,
  )
  await afterMove(context, request, moved, 'paused')
  await context.mover.quiesce(request.protectionId)
}

export async function resume(context: EngineContext, request: ProtectionRequest): Promise<void> {
  const { protections } = context.parts.stores
  const { resumeState } = await loadProtection(context.parts, request.protectionId)
  const to = resumeState ?? 'protected'
  const moved = await protections.moveState(request.protectionId, 'paused', to, null, null)
  await afterMove(context, request, moved, 'resumed')
}

/**
 * A cycle as soon as there is room, whatever wait an outage has left. Written down, because another process may hold the
 * protection: its mover finds the wish at its next look.
 */
export async function replicateNow(context: EngineContext, request: ProtectionRequest): Promise<void> {
  const { parts, mover } = context
  await parts.stores.protections.update(request.protectionId, { cycleAskedAt: parts.clock.now() })
  parts.live.changed('protections', request.protectionId)
  mover.look()
}

async function afterMove(
  { parts, mover }: EngineContext,
  request: ProtectionRequest,
  moved: boolean,
  what: string,
): Promise<void> {
  if (!moved) throw stateChanged()
  const { name } = await loadProtection(parts, request.protectionId)
  await recordEvent(parts, {
    severity: 'info',
    code: `protection/${what}`,
    message: `${name} was ${what} by ${request.by}`,
    subject: { id: request.protectionId, name },
  })
  parts.live.changed('protections', request.protectionId)
  mover.look()
}

/** What is left out stays. Takes effect with the next cycle. */
export async function edit(context: EngineContext, request: EditProtectionRequest): Promise<void> {
  const { parts, mover } = context
  const { protectionId, name, policyId, adapters, excludedDisks, by } = request
  const protection = await loadProtection(parts, protectionId)
  const formerPolicy = await loadPolicy(parts, protection.policyId)
  const policy = policyId === undefined ? formerPolicy : await loadPolicy(parts, policyId)
  if (protection.groupId !== null && policy.id !== formerPolicy.id)
    throw policyOfGroup(protection.name, (await loadGroup(parts, protection.groupId)).name)
  if (formerPolicy.encrypt !== policy.encrypt) throw encryptionIsFixed(protection.name, formerPolicy.encrypt)
  const target = adapters && (await platformOf(parts, protection.targetSiteId)).target
  if (adapters) await chooseFailoverNetworks(target, { adapters })
  if (excludedDisks !== undefined && protection.hardware.disks.length > 0) {
    refuseUnknownDisks(
      protection.name,
      protection.hardware,
      // One that is left out already may have gone from the machine since.
      excludedDisks.filter((key) => !protection.excludedDisks.includes(key)),
    )
    const left = protection.hardware.disks.filter(({ key }) => !excludedDisks.includes(key))
    if (left.length === 0) throw nothingLeft()
  }
  const { hardware } = protection
  // Only for their names: without other mappings the target site is not asked, which may be away.
  const networks = target ? await target.networks() : []
  const edited = {
    ...(name === undefined ? {} : { name }),
    ...(policyId === undefined ? {} : { policyId }),
    ...(adapters === undefined ? {} : { adapters }),
    ...(excludedDisks === undefined ? {} : { excludedDisks }),
  }
  const changes = protectionChanges(
    { ...protection, policyName: formerPolicy.name },
    { ...protection, ...edited, policyName: policy.name },
    { hardware, networks },
  )
  await parts.stores.protections.update(protectionId, edited)
  await recordEvent(parts, {
    severity: 'info',
    code: 'protection/edited',
    message: `${protection.name} was edited by ${by}: ${wordsOfChanges(changes)}`,
    subject: { id: protectionId, name: name ?? protection.name },
    facts: { changes },
  })
  parts.live.changed('protections', protectionId)
  mover.look()
}

const policyOfGroup = (name: string, groupName: string): Refusal =>
  new Refusal({
    code: 'protection/policy-of-group',
    message: `${name} belongs to the group "${groupName}", whose machines have one policy`,
    remedy: 'Change the policy of the group, or take the machine out of it first.',
  })

const nothingLeft = (): Refusal =>
  new Refusal({
    code: 'protection/no-disk-left',
    message: 'Every disk would be excluded',
    remedy: 'Leave at least one disk in.',
  })

const resyncFrom: readonly ProtectionState[] = ['protected', 'paused', 'broken', 'resyncing']

export const resyncJob = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => ['Ask for a comparison', 'Compare and copy what differs'],
  async run(job, { protectionId }) {
    await job.task('Ask for a comparison', () => askForResync(context, protectionId, job.by))
    await job.task('Compare and copy what differs', (task) => waitForCycle(context, protectionId, task))
  },
})

async function askForResync({ parts, mover }: EngineContext, id: ProtectionId, by: string): Promise<void> {
  const { state } = await loadProtection(parts, id)
  if (!resyncFrom.includes(state)) throw stateChanged()
  const reason = { code: 'cycle/resync-asked', message: `Asked for by ${by}` }
  await parts.stores.protections.updateNotes(id, { resyncReason: reason })
  if (state !== 'resyncing')
    await parts.stores.protections.moveState(id, state, 'resyncing', reason.message, null)
  parts.live.changed('protections', id)
  mover.look()
}
