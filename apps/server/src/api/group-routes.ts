import type { ConsistencyGroup as ShownGroup } from '@understudy/contract/consistency-group'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type { GroupId, ProtectionId } from '@understudy/domain/protection/protection'
import { askerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findGroup, findPolicy, findProtection } from './find.ts'
import { showGroup } from './show-group.ts'

export function groupRoutes(deps: ApiDeps) {
  const show = async (groups: readonly ConsistencyGroup[]): Promise<ShownGroup[]> => {
    const [protections, policies, summaries, ofMembers] = await Promise.all([
      deps.stores.protections.list(),
      deps.stores.policies.list(),
      deps.stores.groups.summaries(),
      deps.stores.protections.summaries(),
    ])
    return groups.map((group) => {
      const members = protections.filter(({ groupId }) => groupId === group.id)
      const policy = policies.find(({ id }) => id === members[0]?.policyId)
      const paces = members.flatMap(({ id }) => ofMembers.get(id)?.pace ?? [])
      const summary = summaries.get(group.id)
      return showGroup(group, { members, policy, summary, paces, now: deps.clock.now() })
    })
  }
  const showOne = async (id: string): Promise<ShownGroup> =>
    (await show([await findGroup(deps, id)]))[0] as ShownGroup

  return {
    list: os.groups.list.handler(async () => ({ items: await show(await deps.stores.groups.list()) })),
    get: os.groups.get.handler(({ input }) => showOne(input.id)),
    create: os.groups.create.handler(async ({ input, context }) => {
      context.audit(null, input)
      for (const id of input.protectionIds) await findProtection(deps, id)
      const members = input.protectionIds as ProtectionId[]
      const { id } = await deps.engine.createGroup({ name: input.name, members }, askerOf(context))
      return showOne(id)
    }),
    update: os.groups.update.handler(async ({ input, context }) => {
      const { id, name, policyId } = input
      context.audit(id, { name, policyId })
      await findGroup(deps, id)
      if (policyId !== undefined) await findPolicy(deps, policyId)
      await deps.engine.changeGroup({
        ...askerOf(context),
        groupId: id as GroupId,
        ...(name === undefined ? {} : { name }),
        ...(policyId === undefined ? {} : { policyId: policyId as PolicyId }),
      })
      return showOne(id)
    }),
    remove: os.groups.remove.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findGroup(deps, input.id)
      await deps.engine.removeGroup(input.id as GroupId, askerOf(context))
      return {}
    }),
    candidates: os.groups.candidates.handler(async ({ input }) => {
      if (input.groupId !== undefined) await findGroup(deps, input.groupId)
      const groupId = (input.groupId ?? null) as GroupId | null
      const [candidates, protections, policies, sites] = await Promise.all([
        deps.engine.groupCandidates(groupId, input.chosen as ProtectionId[]),
        deps.stores.protections.list(),
        deps.stores.policies.list(),
        deps.stores.sites.list(),
      ])
      return {
        items: candidates.flatMap(({ protectionId, obstacle }) => {
          const protection = protections.find(({ id }) => id === protectionId)
          if (!protection) return []
          return {
            protectionId,
            name: protection.name,
            source: sites.find(({ id }) => id === protection.sourceSiteId)?.name ?? '',
            policyName: policies.find(({ id }) => id === protection.policyId)?.name ?? '',
            reason: obstacle?.message ?? null,
            remedy: obstacle?.remedy ?? null,
          }
        }),
      }
    }),
    addMembers: os.groups.addMembers.handler(async ({ input, context }) => {
      const { id, protectionIds } = input
      context.audit(id, { protectionIds })
      await findGroup(deps, id)
      for (const protectionId of protectionIds) await findProtection(deps, protectionId)
      await deps.engine.addToGroup(id as GroupId, protectionIds as ProtectionId[], askerOf(context))
      return showOne(id)
    }),
    removeMember: os.groups.removeMember.handler(async ({ input, context }) => {
      const { id, protectionId } = input
      context.audit(id, { protectionId })
      await findGroup(deps, id)
      await findProtection(deps, protectionId)
      await deps.engine.removeFromGroup(id as GroupId, protectionId as ProtectionId, askerOf(context))
      return showOne(id)
    }),
  }
}
