// Groups and their machines as they are kept, and whether one more fits in.
import { Refusal } from '@understudy/base/errors'
import type { Machine, MachineId } from '@understudy/domain/machines/machine'
import {
  type ConsistencyGroup,
  type Obstacle,
  whyNotMember,
} from '@understudy/domain/protection/consistency-group'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type { GroupId, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'

export const membersOf = async (parts: EngineParts, id: GroupId): Promise<readonly Protection[]> =>
  (await parts.stores.protections.list()).filter(({ groupId }) => groupId === id)

export async function groupNames(parts: EngineParts): Promise<(id: GroupId) => string> {
  const names = new Map((await parts.stores.groups.list()).map(({ id, name }) => [id, name]))
  return (id) => names.get(id) ?? id
}

export async function loadGroup(parts: Pick<EngineParts, 'stores'>, id: GroupId): Promise<ConsistencyGroup> {
  const group = await parts.stores.groups.find(id)
  if (group) return group
  throw new Refusal({
    code: 'group/not-found',
    message: `There is no group ${id}`,
    remedy: 'Reload the page: it may have been removed.',
  })
}

/** The same whoever comes in, and whichever way: also while they are being protected. */
export async function tellJoined(
  parts: EngineParts,
  { id, name }: Pick<ConsistencyGroup, 'id' | 'name'>,
  { names, by }: { readonly names: readonly string[]; readonly by: string },
): Promise<void> {
  const message = `${names.join(', ')} came into the group "${name}" by ${by}`
  await recordEvent(parts, { severity: 'info', code: 'group/joined', message, subject: { id, name } })
  parts.live.changed('groups', id)
}

export type Newcomers = {
  readonly groupId: GroupId
  /** Not protected yet. */
  readonly machines: readonly Pick<Machine, 'id' | 'name' | 'siteId'>[]
  readonly targetSiteId: SiteId
  readonly policyId: PolicyId
}

/** Which of these machines could not be in the group once they are protected so, one after the other, and why. Touches nothing. */
export async function newcomerObstacles(
  parts: EngineParts,
  { groupId, machines, targetSiteId, policyId }: Newcomers,
): Promise<ReadonlyMap<MachineId, Obstacle>> {
  const group = await loadGroup(parts, groupId)
  const [known, groupNameOf] = await Promise.all([membersOf(parts, groupId), groupNames(parts)])
  const members: Parameters<typeof whyNotMember>[0]['candidate'][] = [...known]
  const found = new Map<MachineId, Obstacle>()
  for (const { id, name, siteId } of machines) {
    const candidate = {
      id: id as string as ProtectionId,
      name,
      state: 'enabling',
      groupId: null,
      sourceSiteId: siteId,
      targetSiteId,
      policyId,
    } as const
    const obstacle = whyNotMember({ group, candidate, members, groupNameOf })
    if (obstacle === null) members.push(candidate)
    else found.set(id, obstacle)
  }
  return found
}
