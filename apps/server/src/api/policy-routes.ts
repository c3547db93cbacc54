import type { Policy as ShownPolicy } from '@understudy/contract/policy'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import { askerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findPolicy } from './find.ts'

export function policyRoutes(deps: ApiDeps) {
  const show = async (policies: readonly Policy[]): Promise<ShownPolicy[]> => {
    const protections = await deps.stores.protections.list()
    return policies.map((policy) => ({
      ...policy,
      retention: policy.retention.map((tier) => ({ ...tier })),
      protectionCount: protections.filter((protection) => protection.policyId === policy.id).length,
    }))
  }
  const showOne = async (policy: Policy): Promise<ShownPolicy> => (await show([policy]))[0] as ShownPolicy

  return {
    list: os.policies.list.handler(async () => {
      const items = await show(await deps.stores.policies.list())
      return { items, next: null, total: items.length }
    }),
    get: os.policies.get.handler(async ({ input }) => showOne(await findPolicy(deps, input.id))),
    create: os.policies.create.handler(async ({ input, context }) => {
      context.audit(null, input)
      return showOne(await deps.engine.savePolicy(input, null, askerOf(context)))
    }),
    update: os.policies.update.handler(async ({ input, context }) => {
      context.audit(input.id, input.policy)
      await findPolicy(deps, input.id)
      return showOne(await deps.engine.savePolicy(input.policy, input.id as PolicyId, askerOf(context)))
    }),
    remove: os.policies.remove.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await deps.engine.removePolicy(input.id as PolicyId, askerOf(context))
      return {}
    }),
  }
}
