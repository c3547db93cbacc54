import type { Stores } from '../ports/stores.ts'

/** The same stores, in which what every plan is judged by has been read already: for one look at many plans. */
export async function membersReadOnce(stores: Stores): Promise<Stores> {
  const [protections, summaries, policies, sites] = await Promise.all([
    stores.protections.list(),
    stores.protections.summaries(),
    stores.policies.list(),
    stores.sites.list(),
  ])
  return {
    ...stores,
    protections: {
      ...stores.protections,
      list: async () => protections,
      summaries: async () => summaries,
    },
    policies: { ...stores.policies, list: async () => policies },
    sites: { ...stores.sites, list: async () => sites },
  }
}
