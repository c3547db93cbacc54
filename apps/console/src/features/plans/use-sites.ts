import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api } from '../../api/client.ts'
import type { Names, ProtectionId, SiteId } from './plan-draft.ts'

/** Every site that there is, by name; none while they are asked for. */
export function useSites(): ReadonlyMap<SiteId, string> {
  const { data } = useQuery(api.sites.list.queryOptions())
  return useMemo(() => new Map(data?.items.map(({ id, name }) => [id as SiteId, name])), [data])
}

/** Those in Azure, by name. */
export function useAzureSites(): readonly { readonly value: SiteId; readonly label: string }[] {
  const { data } = useQuery(api.sites.list.queryOptions())
  return useMemo(
    () =>
      (data?.items ?? [])
        .filter(({ platform }) => platform === 'azure')
        .map(({ id, name }) => ({ value: id as SiteId, label: name })),
    [data],
  )
}

/** What everything is called that a difference between two versions may name. */
export function useAllNames(names: Names): ReadonlyMap<ProtectionId | SiteId, string> {
  const sites = useSites()
  return useMemo(() => new Map<ProtectionId | SiteId, string>([...names, ...sites]), [names, sites])
}
