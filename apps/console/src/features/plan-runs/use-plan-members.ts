import { useQuery } from '@tanstack/react-query'
import { isStep, itemsOf } from '@understudy/contract/plan-editing'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { api } from '../../api/client.ts'
import { flowOf } from './run-flow.ts'
import { knownToBeDown } from './start-draft.ts'

type Members = {
  /** Of an item or a group of the plan. */
  readonly nameOf: (id: string) => string
  /** Every machine of the plan is seen to be off where it runs. False while nothing is known. */
  readonly allDown: boolean
  /** Which way they are moved. */
  readonly flow: string
}

/** The machines of a plan by name, and whether they are down. */
export function usePlanMembers(plan: PlanDetail['plan']): Members {
  const { data: protections } = useQuery(api.protections.list.queryOptions({ input: { limit: 500 } }))
  const { data: off } = useQuery(
    api.machines.list.queryOptions({ input: { power: 'off', protected: 'true', limit: 500 } }),
  )
  const { data: sites } = useQuery(api.sites.list.queryOptions())
  const known = new Map(protections?.items.map((protection) => [protection.id, protection]))
  const names = new Map<string, string>(plan.groups.map(({ id, name }) => [id, `Group ${name}`]))
  const members: { machineId: string; siteId: string }[] = []
  let isComplete = true
  for (const { item } of itemsOf(plan)) {
    if (isStep(item)) names.set(item.id, item.name)
    else {
      const protection = known.get(item.protectionId)
      names.set(item.id, protection?.name ?? 'A machine')
      if (protection) members.push({ machineId: protection.machineId, siteId: protection.activeSiteId })
      else isComplete = false
    }
  }
  const healthy = sites?.items.filter(({ health }) => health === 'healthy') ?? []
  return {
    flow: flowOf(plan, protections?.items ?? [], null),
    nameOf: (id) => names.get(id) ?? 'The plan',
    allDown:
      isComplete &&
      knownToBeDown(members, {
        offMachines: new Set(off?.items.map(({ id }) => id)),
        healthySites: new Set(healthy.map(({ id }) => id)),
      }),
  }
}
