import { type QueryClient, queryOptions, useSuspenseQuery } from '@tanstack/react-query'
import type { Role, Session } from '@understudy/contract/access'
import { ApiProblem, client, rememberCsrfToken } from './client.ts'

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

const rank: Record<Role, number> = { reader: 0, operator: 1, contributor: 2, owner: 3 }

/** For hiding what a role can never use. The server decides; this only spares a refusal. */
export function useMay(wanted: Role): boolean {
  const { data } = useSuspenseQuery(sessionQuery)
  return data !== null && rank[data.user.role] >= rank[wanted]
}
