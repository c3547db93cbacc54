import { useQuery } from '@tanstack/react-query'
import type { PlacementChoice } from '@understudy/contract/site'
import { api } from '../../api/client.ts'

const NONE: readonly PlacementChoice[] = []

/** What there is at a site that is saved; none while that is not known, or cannot be. The ids are typed then. */
export function usePlacementChoices(siteId: string | null): readonly PlacementChoice[] {
  const { data } = useQuery({
    ...api.sites.placementChoices.queryOptions({ input: { id: siteId ?? '' } }),
    enabled: siteId !== null,
    retry: false,
    staleTime: 60_000,
  })
  return data?.items ?? NONE
}
