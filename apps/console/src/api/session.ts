import { type QueryClient, queryOptions, useSuspenseQuery } from '@tanstack/react-query'
import type { Session } from '@understudy/contract/access'
import type { Access } from '@understudy/contract/roles'
import { ApiProblem, client, rememberCsrfToken } from './client.ts'
import { whyRefused } from './why-refused.ts'

export const sessionQuery = queryOptions({
  queryKey: [['session'], 'current'],
  queryFn: async (): Promise<Session | null> => {
    try {
      const session = await client.session.current()
      rememberCsrfToken(session.csrfToken)
      return session
    } catch (error) {
      if (error instanceof ApiProblem && error.problem.status === 401) return null
      throw error
    }
  },
  staleTime: 5 * 60_000,
})

/** After signing in or setting up. Leaving is a fresh page: app/leave.ts. */
export function adoptSession(queries: QueryClient, session: Session): void {
  rememberCsrfToken(session.csrfToken)
  queries.setQueryData(sessionQuery.queryKey, session)
}

/**
 * Why the server would refuse what asks for this role to whoever is signed in; null when it would not. For `roleOf` and its like
 * in the contract. The server decides; this only spares a refusal.
 */
export function useWhyRefused(): (wanted: Access) => string | null {
  const { data } = useSuspenseQuery(sessionQuery)
  return (wanted) => whyRefused(wanted, data?.user.role ?? null)
}
