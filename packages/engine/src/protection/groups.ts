// Consistency groups: made, changed and left while their machines go on replicating. Every act is repeatable, and one that is cut short
// leaves a group with fewer machines than asked for, which is a sound group.
import {
  type ConsistencyGroup,
  checkMembership,
  type Obstacle,
  whyNotMember,
} from '@understudy/domain/protection/consistency-group'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type { GroupId, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { Asker, ChangeGroupRequest, NewGroup } from '../requests.ts'
import { groupNames, loadGroup, membersOf, tellJoined } from './group-rows.ts'
import { encryptionIsFixed } from './policies.ts'
import { loadPolicy } from './protect.ts'

/** Nothing is made when one of the machines cannot be in it. */
export async function createGroup(
  context: EngineContext,
  { name, members }: NewGroup,
  asker: Asker,
): Promise<ConsistencyGroup> {
  const { parts } = context
  const group = { id: parts.newId() as GroupId, name, createdAt: parts.clock.now() }
  const machines = await loadCandidates(parts, group, members, [])
  await parts.stores.groups.create(group)
  for (const { id } of machines) await parts.stores.protections.update(id, { groupId: group.id })
  const names = machines.length === 0 ? 'no machine yet' : machines.map((machine) => machine.name).join(', ')
  await told(context, group, 'group/made', `The group "${name}" was made by ${asker.by}: ${names}`)
  return group
}

/** What is left out stays. */
export async function changeGroup(context: EngineContext, request: ChangeGroupRequest): Promise<void> {
  const { parts } = context
  const group = await loadGroup(parts, request.groupId)
  const changes: string[] = []
  if (request.name !== undefined && request.name !== group.name) {
    await parts.stores.groups.rename(group.id, request.name)
    changes.push(`its name is now "${request.name}"`)
  }
  if (request.policyId !== undefined) changes.push(...(await givePolicy(parts, group.id, request.policyId)))
  if (changes.length === 0) return
  const message = `The group "${group.name}" was changed by ${request.by}: ${changes.join('; ')}`
  await told(context, { ...group, name: request.name ?? group.name }, 'group/changed', message)
}

/** One beat and one retention for all: a policy of their own would have them drift apart. */
async function givePolicy(parts: EngineParts, id: GroupId, policyId: PolicyId): Promise<readonly string[]> {
  const policy = await loadPolicy(parts, policyId)
  const members = await membersOf(parts, id)
  for (const member of members) {
    const former = await loadPolicy(parts, member.policyId)
    if (former.encrypt !== policy.encrypt) throw encryptionIsFixed(member.name, former.encrypt)
  }
  if (members.every((member) => member.policyId === policyId)) return []
  await parts.stores.groups.changePolicy(id, policyId)
  for (const member of members) parts.live.changed('protections', member.id)
  return [`its policy is now "${policy.name}"`]
}

export async function removeGroup(context: EngineContext, id: GroupId, asker: Asker): Promise<void> {
  const { parts } = context
  const group = await loadGroup(parts, id)
  const members = await membersOf(parts, id)
  await parts.stores.groups.remove(id)
  await parts.stores.alerts.resolveAll(id, parts.clock.now())
  parts.live.changed('alerts', null)
  for (const member of members) parts.live.changed('protections', member.id)
  await told(context, group, 'group/removed', `The group "${group.name}" was removed by ${asker.by}`)
}

/** All or none of them. */
export async function addMembers(
  context: EngineContext,
  id: GroupId,
  added: readonly ProtectionId[],
  asker: Asker,
): Promise<void> {
  const { parts } = context
  const group = await loadGroup(parts, id)
  const machines = await loadCandidates(parts, group, added, await membersOf(parts, id))
  for (const machine of machines) {
    await parts.stores.protections.update(machine.id, { groupId: id })
    parts.live.changed('protections', machine.id)
  }
  if (machines.length === 0) return
  await tellJoined(parts, group, { names: machines.map(({ name }) => name), by: asker.by })
  context.mover.look()
}

/** Its points stay, those it has in common with the others included. */
export async function removeMember(
  context: EngineContext,
  id: GroupId,
  protectionId: ProtectionId,
  asker: Asker,
): Promise<void> {
  const { parts } = context
  const group = await loadGroup(parts, id)
  const machine = await loadProtection(parts, protectionId)
  if (machine.groupId !== id) return
  await parts.stores.protections.update(protectionId, { groupId: null })
  parts.live.changed('protections', protectionId)
  await told(context, group, 'group/left', `${machine.name} was taken out of "${group.name}" by ${asker.by}`)
}

export type GroupCandidate = {
  readonly protectionId: ProtectionId
  /** Null: it can come in beside the chosen ones. */
  readonly obstacle: Obstacle | null
}

/** Of every protection whether it could be in the group, or in a new one, together with those that are chosen. */
export async function groupCandidates(
  parts: EngineParts,
  id: GroupId | null,
  chosen: readonly ProtectionId[],
): Promise<readonly GroupCandidate[]> {
  const group = id === null ? { id: '' as GroupId, name: 'the new group' } : await loadGroup(parts, id)
  const [protections, groupNameOf] = await Promise.all([parts.stores.protections.list(), groupNames(parts)])
  const mates = protections.filter((protection) => chosen.includes(protection.id))
  return protections.map((candidate) => ({
    protectionId: candidate.id,
    obstacle: whyNotMember({
      group,
      candidate,
      members: mates.filter((mate) => mate.id !== candidate.id),
      groupNameOf,
    }),
  }))
}

async function loadCandidates(
  parts: EngineParts,
  group: Pick<ConsistencyGroup, 'id' | 'name'>,
  ids: readonly ProtectionId[],
  members: readonly Protection[],
): Promise<readonly Protection[]> {
  const groupNameOf = await groupNames(parts)
  const fresh: Protection[] = []
  for (const id of new Set(ids)) {
    if (members.some((member) => member.id === id)) continue
    const candidate = await loadProtection(parts, id)
    checkMembership({ group, candidate, members: [...members, ...fresh], groupNameOf })
    fresh.push(candidate)
  }
  return fresh
}

async function told(
  { parts, mover }: EngineContext,
  { id, name }: Pick<ConsistencyGroup, 'id' | 'name'>,
  code: string,
  message: string,
): Promise<void> {
  await recordEvent(parts, { severity: 'info', code, message, subject: { id, name } })
  parts.live.changed('groups', id)
  mover.look()
}
