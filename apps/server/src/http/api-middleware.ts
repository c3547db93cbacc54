// The way of every API request: route, caller, role, origin, body, idempotency, handler, audit. In this order.
import { createHash } from 'node:crypto'
import { ORPCError } from '@orpc/client'
import { ValidationError } from '@orpc/contract'
import { StandardOpenAPICodec, StandardOpenAPIMatcher } from '@orpc/openapi/standard'
import {
  StandardBracketNotationSerializer,
  StandardOpenAPIJsonSerializer,
  StandardOpenAPISerializer,
} from '@orpc/openapi-client/standard'
import { StandardHandler } from '@orpc/server/standard'
import type { Clock } from '@understudy/base/instant'
import type { Problem } from '@understudy/contract/problem'
import { type Access, accessOf, mayCall } from '@understudy/contract/roles'
import type { AuditEntryId, ControlPlaneStores } from '@understudy/engine/ports/access-stores'
import express, { type NextFunction, type Request, type RequestHandler, type Response, Router } from 'express'
import type { Logger } from 'pino'
import type { Caller, CallerFinder, SentDisplay } from '../access/caller.ts'
import { sameText } from '../access/secrets.ts'
import type { RequestContext, SessionKeeper } from '../api/context.ts'
import type { apiRouter } from '../api/router.ts'
import { problemOf, sendProblem, toProblem } from './problems.ts'
import { type ApiRoute, matchRoute } from './route-table.ts'

export type ApiMiddlewareParts = {
  readonly router: ReturnType<typeof apiRouter>
  readonly callers: CallerFinder
  readonly stores: Pick<ControlPlaneStores, 'audit' | 'idempotency'>
  readonly session: SessionKeeper
  readonly clock: Clock
  readonly newId: () => string
  readonly log: Logger
  /** Origins that may send changes with a cookie; empty: only the request's own host. */
  readonly publicOrigin: string | null
}

const bodyLimit = '1mb'
/** An unfinished request with the same key counts as dead after this long. */
const idempotencyStaleMilliseconds = 60_000
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

type Answer = { readonly status: number; readonly body: unknown }
type Passed = { readonly route: ApiRoute; readonly caller: Caller | null }

/** Everything under `/api/v1`. */
export function apiMiddleware(parts: ApiMiddlewareParts): Router {
  const handler = openApiHandler(parts)
  const router = Router()
  // Refused before a byte of the body is read: strangers cost us nothing.
  const admitted = new WeakMap<Request, Passed>()
  router.use((request, response, next) => {
    admit(parts, request).then(
      (passed) => {
        admitted.set(request, passed)
        next()
      },
      (error: unknown) => next(error),
    )
    response.set('cache-control', 'no-store')
  })
  router.use(express.json({ limit: bodyLimit, strict: false, type: () => true, reviver: refuseNul }))
  router.use(((request, response, next) => {
    const passed = admitted.get(request)
    if (!passed) return next(new Error('A request came past the gate'))
    serve(parts, handler, passed, request, response).catch(next)
  }) satisfies RequestHandler)
  router.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    const problem = problemOfHttp(error)
    logFailure(parts, problem, error)
    if (problem.status === 405 && error instanceof HttpProblem && error.allow)
      response.set('allow', error.allow)
    sendProblem(response, problem)
  })
  return router
}

/** A fault of ours is for whoever mends it; that something cannot be reached is told to the caller, and noted. */
function logFailure({ log }: Pick<ApiMiddlewareParts, 'log'>, problem: Problem, error: unknown): void {
  if (problem.status < 500) return
  log[problem.code.startsWith('internal/') ? 'error' : 'warn']({ error }, 'a request failed')
}

/** PostgreSQL keeps no text with a NUL, and no name of ours has one. */
function refuseNul(_key: string, value: unknown): unknown {
  if (typeof value === 'string' && value.includes('\0')) throw new SyntaxError('A text has a NUL character')
  return value
}

class HttpProblem extends Error {
  readonly problem: Problem
  readonly allow: string | null
  constructor(problem: Problem, allow: string | null = null) {
    super(problem.detail)
    this.problem = problem
    this.allow = allow
  }
}

/** A change that never reached its handler still belongs in the audit log. */
async function auditRefusal(
  parts: ApiMiddlewareParts,
  route: ApiRoute,
  caller: Caller,
  request: Request,
  problem: string,
): Promise<void> {
  await parts.stores.audit.append({
    id: parts.newId() as AuditEntryId,
    at: parts.clock.now(),
    who: caller.name,
    action: route.name.join('.'),
    subject: null,
    subjectName: null,
    outcome: 'refused',
    facts: { problem },
    ip: request.ip ?? null,
  })
}

/** Who calls what, and whether they may. */
async function admit(parts: ApiMiddlewareParts, request: Request): Promise<Passed> {
  const method = request.method === 'HEAD' ? 'GET' : request.method
  refuseAmbiguousPath(request)
  const match = matchRoute(method, request.path)
  if (match.kind === 'unknown')
    throw new HttpProblem(
      toProblem({
        status: 404,
        code: 'api/unknown-route',
        detail: `There is no ${request.path} here`,
        remedy: 'See /api/docs for every route.',
      }),
    )
  if (match.kind === 'other-method')
    throw new HttpProblem(
      toProblem({
        status: 405,
        code: 'api/method-not-allowed',
        detail: `${request.method} is not possible on ${request.path}`,
        remedy: `Use ${match.allowed.join(' or ')}.`,
      }),
      match.allowed.join(', '),
    )
  const wanted = accessOf(match.route.name)
  const display = await parts.callers.findDisplay(request.headers)
  if (display !== null) {
    refuseDisplay(display, wanted)
    return { route: match.route, caller: null }
  }
  const caller = await parts.callers.find(request.headers)
  if (!mayCall(wanted, caller?.role ?? null)) {
    if (caller !== null && !safeMethods.has(request.method))
      await auditRefusal(parts, match.route, caller, request, 'access/role-too-low')
    throw new HttpProblem(
      caller === null
        ? toProblem({
            status: 401,
            code: 'access/signed-out',
            detail: 'Nobody is signed in',
            remedy: 'Sign in, or send an API token as "Authorization: Bearer ...".',
          })
        : toProblem({
            status: 403,
            code: 'access/role-too-low',
            detail: `This needs the role ${wanted}; ${caller.name} has the role ${caller.role}`,
            remedy: 'Ask an owner for a higher role.',
          }),
    )
  }
  if (!safeMethods.has(request.method)) checkOrigin(parts, request, caller)
  return { route: match.route, caller }
}

/** A display link opens the wall and nothing else, not even what is open to anyone: whoever holds it holds a screen. */
function refuseDisplay(display: SentDisplay, wanted: Access): void {
  if (display.link === null)
    throw new HttpProblem(
      toProblem({
        status: 401,
        code: 'access/display-ended',
        detail: display.end === 'expired' ? 'This display link has expired' : 'This display link was revoked',
        remedy: 'Ask an owner for a new link: Settings, Display links.',
      }),
    )
  if (wanted === 'display') return
  throw new HttpProblem(
    toProblem({
      status: 403,
      code: 'access/display-only',
      detail: 'A display link shows the wall and nothing else',
      remedy: 'Sign in, or use an API token.',
    }),
  )
}

/**
 * The role is judged by the path as it came, the handler is found by the path as URLs are tidied up (`..`, `%2e%2e`, `\`
 * for `/`). Where the two differ, a low role would open a high role's route.
 */
function refuseAmbiguousPath(request: Request): void {
  const judged = `${request.baseUrl}${request.path}`
  if (urlOf(request)?.pathname === judged && !request.originalUrl.includes('%00')) return
  throw new HttpProblem(
    toProblem({
      status: 400,
      code: 'api/bad-path',
      detail: 'The path is not in its plain form',
      remedy: 'Leave out "..", ".", backslashes and NUL characters, and encode what is not plain ASCII.',
    }),
  )
}

const urlOf = (request: Request): URL | null => URL.parse(request.originalUrl, 'http://localhost')

/**
 * Another site's page can make a browser send our cookie along (CSRF). The cookie is SameSite=Strict; beside that a change
 * must come from our own origin and, where a session is behind it, carry the session's token in a header that no form can set.
 */
function checkOrigin(parts: ApiMiddlewareParts, request: Request, caller: Caller | null): void {
  const origin = request.headers.origin
  const own = parts.publicOrigin ?? `${request.protocol}://${request.headers.host ?? ''}`
  const foreign = origin !== undefined && origin !== own
  const token = request.headers['x-csrf-token']
  const forged =
    caller?.session != null &&
    (typeof token !== 'string' || !sameText(token, parts.session.csrfTokenOf(caller.session.idHash)))
  if (caller?.token || (!foreign && !forged)) return
  throw new HttpProblem(
    toProblem({
      status: 403,
      code: 'access/foreign-origin',
      detail: foreign
        ? `The request comes from another site (${origin})`
        : 'The request lacks its CSRF token',
      remedy: 'Reload the console. Programs use an API token instead of a session.',
    }),
  )
}

async function serve(
  parts: ApiMiddlewareParts,
  handler: StandardHandler<RequestContext>,
  passed: Passed,
  request: Request,
  response: Response,
): Promise<void> {
  const key = request.headers['idempotency-key']
  const unsafe = !safeMethods.has(request.method)
  if (typeof key === 'string' && unsafe && passed.caller) {
    await serveOnce(parts, { ...passed, caller: passed.caller, key }, request, response, (jobId) =>
      run(parts, handler, passed, request, response, jobId),
    )
    return
  }
  send(response, await run(parts, handler, passed, request, response, null))
}

/** The same key and the same request: the same answer, and the work is done once. */
async function serveOnce(
  parts: ApiMiddlewareParts,
  once: { readonly caller: Caller; readonly key: string },
  request: Request,
  response: Response,
  work: (jobId: string) => Promise<Answer>,
): Promise<void> {
  const { key } = once
  const userId = once.caller.user.id
  if (key.length === 0 || key.length > 200)
    throw new HttpProblem(
      toProblem({
        status: 400,
        code: 'api/bad-idempotency-key',
        detail: 'The Idempotency-Key must have 1 to 200 characters',
        remedy: 'Send a UUID.',
      }),
    )
  const requestHash = parts.session.fingerprintOf(
    `${request.method} ${request.originalUrl}\n${JSON.stringify(request.body ?? null)}`,
  )
  const now = parts.clock.now()
  const verdict = await parts.stores.idempotency.begin(
    { key, userId, requestHash, createdAt: now },
    now - idempotencyStaleMilliseconds,
  )
  switch (verdict.kind) {
    case 'done':
      response.set('idempotency-replayed', 'true')
      return send(response, { status: verdict.status, body: verdict.body })
    case 'running':
      throw new HttpProblem(
        toProblem({
          status: 409,
          code: 'api/same-request-running',
          detail: 'A request with this Idempotency-Key is still being worked on',
          remedy: 'Wait a moment and send it again.',
        }),
      )
    case 'other-request':
      throw new HttpProblem(
        toProblem({
          status: 422,
          code: 'api/idempotency-key-reused',
          detail: 'This Idempotency-Key came with another request before',
          remedy: 'Use a new key for a new request.',
        }),
      )
    case 'new': {
      const answer = await work(toUuid(digest(`${userId}\n${key}`))).catch(async (error: unknown) => {
        await parts.stores.idempotency.abandon(userId, key)
        throw error
      })
      if (answer.status >= 500 || answer.body instanceof Blob || holdsSecret(answer.body))
        await parts.stores.idempotency.abandon(userId, key)
      else await parts.stores.idempotency.complete(userId, key, answer.status, answer.body)
      return send(response, answer)
    }
  }
}

/** Shown once and kept nowhere: a key that was used for it is free again, and a repetition makes another secret. */
const holdsSecret = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && ('secret' in body || 'csrfToken' in body)

/** Runs the route's handler and writes the audit entry of a change. */
async function run(
  parts: ApiMiddlewareParts,
  handler: StandardHandler<RequestContext>,
  { route, caller }: Passed,
  request: Request,
  response: Response,
  jobId: string | null,
): Promise<Answer> {
  let subject: string | null = null
  let facts: Readonly<Record<string, unknown>> = {}
  const context: RequestContext = {
    caller,
    ip: request.ip ?? null,
    userAgent: request.headers['user-agent'] ?? null,
    jobId,
    setHeader: (name, value) => response.append(name, value),
    audit(newSubject, newFacts) {
      subject = newSubject ?? subject
      facts = { ...facts, ...newFacts }
    },
  }
  const abort = new AbortController()
  response.once('close', () => abort.abort())
  const answer = await handler.handle(
    {
      url: new URL(request.originalUrl, 'http://localhost'),
      method: request.method === 'HEAD' ? 'GET' : request.method,
      headers: request.headers,
      body: () => Promise.resolve(request.body),
      signal: abort.signal,
    },
    { prefix: '/api/v1', context },
  )
  if (!answer.matched) throw new Error(`The contract has ${route.path} but no handler answered`)
  const { status, body } = answer.response
  if (!safeMethods.has(request.method))
    await parts.stores.audit.append({
      id: parts.newId() as AuditEntryId,
      at: parts.clock.now(),
      who: caller?.name ?? String(facts.name ?? 'nobody'),
      action: route.name.join('.'),
      subject,
      subjectName: typeof facts.name === 'string' ? facts.name : null,
      outcome: status < 400 ? 'granted' : status < 500 ? 'refused' : 'failed',
      facts: status < 400 ? facts : { ...facts, problem: problemCode(body) },
      ip: context.ip,
    })
  return { status, body }
}

const problemCode = (body: unknown): string | null => {
  const code = typeof body === 'object' && body !== null ? Reflect.get(body, 'code') : null
  return typeof code === 'string' ? code : null
}

function send(response: Response, { status, body }: Answer): void {
  if (body instanceof Blob) {
    void body.arrayBuffer().then((bytes) => response.status(status).type(body.type).send(Buffer.from(bytes)))
    return
  }
  if (status >= 400) response.type('application/problem+json')
  else response.type('application/json')
  response.status(status).send(JSON.stringify(body ?? {}))
}

function openApiHandler(parts: ApiMiddlewareParts): StandardHandler<RequestContext> {
  const serializer = new StandardOpenAPISerializer(
    new StandardOpenAPIJsonSerializer(),
    new StandardBracketNotationSerializer(),
  )
  const codec = new StandardOpenAPICodec(serializer, {
    customErrorResponseBodyEncoder: (error) => error.data,
  })
  return new StandardHandler(parts.router, new StandardOpenAPIMatcher(), codec, {
    interceptors: [
      async ({ next }) => {
        try {
          return await next()
        } catch (error) {
          const problem = problemOfHandler(error)
          if (problem.code.startsWith('internal/')) logFailure(parts, problem, error)
          throw new ORPCError('PROBLEM', { status: problem.status, data: problem, cause: error })
        }
      },
    ],
  })
}

/** What a handler threw, or oRPC before it: input that does not fit the contract. */
function problemOfHandler(error: unknown): Problem {
  if (!(error instanceof ORPCError)) return problemOf(error)
  const cause: unknown = error.cause
  if (cause instanceof ValidationError && error.status === 400)
    return toProblem({
      status: 400,
      code: 'api/invalid-input',
      detail: 'Some of what was sent does not fit',
      remedy: 'Correct the fields named below; /api/docs shows what each may hold.',
      fields: cause.issues.map((issue) => ({
        path: (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.'),
        message: issue.message,
      })),
    })
  if (error.status === 400)
    return toProblem({
      status: 400,
      code: 'api/invalid-input',
      detail: error.message,
      remedy: 'See /api/docs for what is expected.',
    })
  return problemOf(cause ?? error)
}

/** Errors of Express itself: a body that is no JSON, or too large. */
function problemOfHttp(error: unknown): Problem {
  if (error instanceof HttpProblem) return error.problem
  const type = typeof error === 'object' && error !== null ? Reflect.get(error, 'type') : null
  switch (type) {
    case 'entity.parse.failed':
      return toProblem({
        status: 400,
        code: 'api/malformed-json',
        detail: 'The body is not JSON, or a text in it has a NUL character',
        remedy: 'Send one JSON object in UTF-8.',
      })
    case 'entity.too.large':
      return toProblem({
        status: 413,
        code: 'api/body-too-large',
        detail: `The body is larger than ${bodyLimit}`,
        remedy: 'Send less at once.',
      })
    case 'charset.unsupported':
    case 'encoding.unsupported':
      return toProblem({
        status: 415,
        code: 'api/unsupported-encoding',
        detail: 'The body is in an encoding that is not supported',
        remedy: 'Send UTF-8 without compression.',
      })
    case 'request.aborted':
    case 'request.size.invalid':
      return toProblem({
        status: 400,
        code: 'api/broken-request',
        detail: 'The request broke off',
        remedy: 'Send it again.',
      })
    default:
      return error instanceof URIError
        ? toProblem({
            status: 400,
            code: 'api/bad-path',
            detail: 'The path holds a broken % sequence',
            remedy: 'Encode the path.',
          })
        : problemOf(error)
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const toUuid = (hex: string): string =>
  [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
