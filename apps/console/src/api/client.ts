// The one way to the server: typed by the contract. A failed call throws ApiProblem.
import { createORPCClient, ORPCError } from '@orpc/client'
import type { ContractRouterClient } from '@orpc/contract'
import { OpenAPILink } from '@orpc/openapi-client/fetch'
import { createTanstackQueryUtils } from '@orpc/tanstack-query'
import { contract } from '@understudy/contract/api'
import type { Problem } from '@understudy/contract/problem'
import { displaySecret } from './display-link.ts'

/** A refused or failed request, in words for the operator. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

/** Held in memory only; a session cookie alone cannot change anything (CSRF). */
let csrfToken: string | null = null
export function rememberCsrfToken(token: string | null): void {
  csrfToken = token
}

/** Told when the server says that nobody is signed in any more. */
let onSignedOut: () => void = () => {}
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener
}

/** `idempotencyKey`: a call that starts a job may be sent again with the same key and starts it once only. */
type CallContext = { readonly idempotencyKey?: string }

const bearerOfDisplay = (): { readonly authorization?: string } => {
  const secret = displaySecret()
  return secret === null ? {} : { authorization: `Bearer ${secret}` }
}

const link = new OpenAPILink<CallContext>(contract, {
  url: () => `${window.location.origin}/api/v1`,
  headers: ({ context }) => ({
    ...bearerOfDisplay(),
    ...(csrfToken === null ? {} : { 'x-csrf-token': csrfToken }),
    ...(context.idempotencyKey === undefined ? {} : { 'idempotency-key': context.idempotencyKey }),
  }),
  fetch: async (request, init) => {
    let response: Response
    try {
      response = await fetch(request, { ...init, credentials: 'same-origin' })
    } catch (cause) {
      throw new ApiProblem(unreachable(cause))
    }
    if (response.ok) return response
    const answer: unknown = await response.json().catch(() => null)
    const problem = isProblem(answer) ? answer : unexpected(response.status)
    // Asking who is signed in may well be answered with nobody; anything else means that the session has ended.
    const asking = request.method === 'GET' && new URL(request.url).pathname.endsWith('/session')
    if (problem.code === 'access/signed-out' && !asking) onSignedOut()
    throw new ApiProblem(problem)
  },
})

export const client: ContractRouterClient<typeof contract, CallContext> = createORPCClient(link)
/** Query and mutation options for every route: `api.sites.list.queryOptions()`. */
export const api = createTanstackQueryUtils(client)

/** What to tell a person about any error. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiProblem) return error.problem
  if (error instanceof ORPCError && error.cause instanceof ApiProblem) return error.cause.problem
  const detail = error instanceof Error ? error.message : String(error)
  return { ...unexpected(0), detail }
}

/** The problem of one field of a refused form, or null: shown beside that field. `path` as in the request's body. */
export function fieldProblem(error: unknown, path: string): string | null {
  if (error === null || error === undefined) return null
  return problemOf(error).fields?.find((field) => field.path === path)?.message ?? null
}

/** A proxy in between answers in its own way: only what has our code and our words is ours. */
const isProblem = (answer: unknown): answer is Problem =>
  typeof answer === 'object' &&
  answer !== null &&
  ['code', 'title', 'detail', 'remedy'].every(
    (key) => typeof (answer as Record<string, unknown>)[key] === 'string',
  ) &&
  'status' in answer &&
  typeof answer.status === 'number'

const unreachable = (cause: unknown): Problem => ({
  type: 'about:blank',
  title: 'Not reachable',
  status: 0,
  code: 'console/server-unreachable',
  detail: 'The Understudy server does not answer',
  cause: cause instanceof Error ? cause.message : null,
  remedy:
    'Check that it runs and that this computer can reach it. This page goes on by itself when it is back.',
})

const unexpected = (status: number): Problem => ({
  type: 'about:blank',
  title: 'Failed',
  status,
  code: 'console/unexpected-answer',
  detail: `The server gave an answer that this console does not understand (${status})`,
  cause: null,
  remedy: 'Reload the page; console and server may be of different versions.',
})
