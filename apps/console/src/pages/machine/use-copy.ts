import { useQuery } from '@tanstack/react-query'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { api } from '../../api/client.ts'

/** The machine that a failover started, as the target's inventory has it. Null: not (yet) there. Undefined: not loaded yet. */
export function useCopy(
  { name, target, failover }: Pick<Protection, 'name' | 'target' | 'failover'>,
  wanted: boolean,
): Machine | null | undefined {
  const { data } = useQuery({
    ...api.machines.list.queryOptions({ input: { siteId: target.id, search: name, limit: 50 } }),
    enabled: wanted,
  })
  if (data === undefined) return undefined
  const ours = data.items.filter(({ runId }) => runId !== null)
  return ours.find(({ runId }) => runId === failover?.id) ?? ours[0] ?? null
}
