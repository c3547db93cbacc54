// Every failed request answers RFC 9457 problem details: what happened, why, and what to do about it.
import { type ErrorFacts, InvariantError, Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import { Problem } from '@understudy/contract/problem'
import { missingRightsIn } from '@understudy/domain/sites/missing-right'
import type { Response } from 'express'

const titles: Record<number, string> = {
  400: 'The request does not fit',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Not as things stand',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Cannot be granted',
  429: 'Too many requests',
  500: 'A fault in Understudy',
  503: 'Not reachable right now',
}

/** Where the status says too little: a forged request is no question of rights. */
const titlesOfCodes: Record<string, string> = {
  'access/foreign-origin': 'Not asked by this console',
  'access/role-too-low': 'Not allowed for your role',
}

export type ProblemDescription = Pick<Problem, 'status' | 'detail' | 'code' | 'remedy'> &
  Partial<Pick<Problem, 'cause' | 'fields' | 'missingRights' | 'instance'>>

export function toProblem(description: ProblemDescription): Problem {
  return {
    type: 'about:blank',
    title: titlesOfCodes[description.code] ?? titles[description.status] ?? 'Failed',
    cause: null,
    ...description,
  }
}

/** The status of a refusal follows from its code: unknown things are 404, what clashes with a state is 409, else 422. */
export function statusOfRefusal(code: string): number {
  if (code.endsWith('/unknown') || code.endsWith('/not-found')) return 404
  if (code === 'access/signed-out' || code === 'access/wrong-credentials') return 401
  if (code.startsWith('access/')) return 403
  if (
    /\/(exists|name-taken|no-question|already-answered|over|not-retryable|busy|not-allowed|in-use|running|state|newer-writer|last-owner|edited-meanwhile|not-over|started|no-activity)$/.test(
      code,
    )
  )
    return 409
  return 422
}

/** Any thrown error as a problem. Only the three kinds carry their text out; anything else stays in the log. */
export function problemOf(error: unknown): Problem {
  const report = toFailureReport(error)
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : null
  if (error instanceof Refusal)
    return toProblem({
      status: statusOfRefusal(error.code),
      detail: error.message,
      code: error.code,
      remedy: error.remedy,
      cause,
      ...fieldsIn(error.facts),
      ...rightsIn(error.facts),
    })
  if (error instanceof Outage)
    return toProblem({
      status: 503,
      detail: error.message,
      code: error.code,
      remedy: error.remedy,
      cause,
      ...rightsIn(error.facts),
    })
  const detail = error instanceof InvariantError ? error.message : 'Something unexpected happened'
  return toProblem({ status: 500, detail, code: 'internal/invariant', remedy: report.remedy })
}

/** Facts are whatever the thrower wrote down; only what has this shape is shown. */
function fieldsIn({ fields }: ErrorFacts): Pick<Problem, 'fields'> {
  const read = Problem.shape.fields.safeParse(fields)
  return read.success && read.data ? { fields: read.data } : {}
}

function rightsIn(facts: ErrorFacts): Pick<Problem, 'missingRights'> {
  const missingRights = missingRightsIn(facts)
  return missingRights.length === 0 ? {} : { missingRights: missingRights.map((right) => ({ ...right })) }
}

export function sendProblem(response: Response, problem: Problem): void {
  response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}
