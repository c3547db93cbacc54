import { QueryClient } from '@tanstack/react-query'
import { ApiProblem } from '../api/client.ts'

/** What the console knows of the server, and when it asks again. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // A refusal stays a refusal; only what may recover is tried again.
      retry: (count, error) =>
        count < 3 && (!(error instanceof ApiProblem) || [0, 502, 503].includes(error.problem.status)),
      // The socket tells what changed. Without it, this keeps the screen honest.
      refetchInterval: 30_000,
    },
  },
})
