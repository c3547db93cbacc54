import { present } from '@understudy/base/invariant'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Asker } from '@understudy/engine/requests'
import type { Caller } from '../access/caller.ts'
import type { RequestContext } from './context.ts'

/** The signed-in caller of a route that asks for a role. */
export const callerOf = (context: RequestContext): Caller =>
  present(context.caller, 'A route with a role was called without a caller')

/** Who asks, for jobs and audit; with the job id that an Idempotency-Key stands for. */
export function askerOf(context: RequestContext): Asker {
  const by = callerOf(context).name
  return context.jobId === null ? { by } : { by, jobId: context.jobId as JobId }
}
