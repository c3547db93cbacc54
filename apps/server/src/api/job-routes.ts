import { Refusal } from '@understudy/base/errors'
import { mayCall, roleOfJob } from '@understudy/contract/roles'
import type { JobId } from '@understudy/domain/jobs/job'
import { askerOf, callerOf } from './asker.ts'
import { type ApiDeps, os, type RequestContext } from './context.ts'
import { findJob } from './find.ts'
import { showJob } from './show-job.ts'

export function jobRoutes(deps: ApiDeps) {
  const showOne = async (id: string) => showJob(await findJob(deps, id))
  return {
    list: os.jobs.list.handler(async ({ input }) => {
      const { state, kind, subjectId, limit, cursor } = input
      const page = await deps.stores.jobs.list(
        {
          ...(state === undefined ? {} : { states: state }),
          ...(kind === undefined ? {} : { kinds: kind }),
          ...(subjectId === undefined ? {} : { subjectId }),
        },
        { limit, cursor: cursor ?? null },
      )
      return { items: page.rows.map(showJob), next: page.next, total: null }
    }),
    get: os.jobs.get.handler(({ input }) => showOne(input.id)),
    answer: os.jobs.answer.handler(async ({ input, context }) => {
      const { id, questionId, value } = input
      context.audit(id, { questionId, value })
      await refuseLowRole(deps, id, context)
      await deps.engine.answerJob(id as JobId, { ...askerOf(context), questionId, value })
      return showOne(id)
    }),
    cancel: os.jobs.cancel.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await refuseLowRole(deps, input.id, context)
      await deps.engine.cancelJob(input.id as JobId, askerOf(context))
      return showOne(input.id)
    }),
    retry: os.jobs.retry.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await refuseLowRole(deps, input.id, context)
      await deps.engine.retryJob(input.id as JobId, askerOf(context))
      return { jobId: input.id }
    }),
  }
}

/** A job goes on with the rights of whoever started it: to steer it takes the role that it took to start it. */
async function refuseLowRole(deps: ApiDeps, id: string, context: RequestContext): Promise<void> {
  const wanted = roleOfJob[(await findJob(deps, id)).kind]
  const { name, role } = callerOf(context)
  if (mayCall(wanted, role)) return
  throw new Refusal({
    code: 'access/role-too-low',
    message: `This job needs the role ${wanted}; ${name} has the role ${role}`,
    remedy: 'Ask somebody with that role, or an owner for a higher one.',
  })
}
