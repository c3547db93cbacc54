// Console and API on one port.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { planSchema } from '@understudy/contract/plan-document'
import express, { type Express } from 'express'
import { rateLimit } from 'express-rate-limit'
import helmet from 'helmet'
import { type ApiMiddlewareParts, apiMiddleware } from './api-middleware.ts'
import { docsPage } from './docs-page.ts'
import { sendProblem, toProblem } from './problems.ts'

export const consoleFolder = fileURLToPath(new URL('../../../console/dist', import.meta.url))

export type AppParts = ApiMiddlewareParts & {
  readonly openApi: Readonly<Record<string, unknown>>
  readonly secure: boolean
  readonly trustProxy: number
  readonly requestsPerMinute: number
  readonly consoleFolder: string
  /** What is wrong, or null: for load balancers and the start script. */
  readonly health: () => Promise<string | null>
}

/** Attempts at passwords and set-up links of one address in a quarter of an hour. */
const guessesPerWindow = 30
const guessWindowMilliseconds = 15 * 60_000

export function createApp(parts: AppParts): Express {
  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', parts.trustProxy)
  app.use(securityHeaders(parts.secure))
  app.get('/healthz', (_request, response, next) => {
    parts
      .health()
      .then((wrong) => response.status(wrong === null ? 200 : 503).json({ ok: wrong === null, wrong }), next)
  })
  app.get('/api/openapi.json', (_request, response) => {
    response.json(parts.openApi)
  })
  const schema = planSchema()
  app.get('/api/plan.schema.json', (_request, response) => {
    response.json(schema)
  })
  const docs = docsPage(parts.openApi)
  app.get('/api/docs', (_request, response) => {
    response.type('html').send(docs)
  })
  app.use('/api', limit(60_000, parts.requestsPerMinute))
  // Only failures count: whoever signs in often and rightly is no guesser.
  const guessing = limit(guessWindowMilliseconds, guessesPerWindow, true)
  app.post(['/api/v1/session', '/api/v1/session/password', '/api/v1/setup'], guessing)
  app.use('/api/v1', apiMiddleware(parts))
  app.use('/api', (_request, response) => {
    sendProblem(
      response,
      toProblem({
        status: 404,
        code: 'api/unknown-route',
        detail: 'There is nothing here',
        remedy: 'The API is under /api/v1; see /api/docs.',
      }),
    )
  })
  serveConsole(app, parts.consoleFolder)
  return app
}

function securityHeaders(secure: boolean) {
  return helmet({
    contentSecurityPolicy: {
      directives: {
        'default-src': ["'self'"],
        // Mantine sets sizes and colours by style attributes.
        'style-src': ["'self'", "'unsafe-inline'"],
        'img-src': ["'self'", 'data:', 'blob:'],
        'connect-src': ["'self'", 'ws:', 'wss:'],
        'frame-ancestors': ["'none'"],
        // Over plain http to another machine it would turn every asset into https and break the console.
        'upgrade-insecure-requests': secure ? [] : null,
      },
    },
    strictTransportSecurity: secure ? { maxAge: 31_536_000 } : false,
    referrerPolicy: { policy: 'same-origin' },
  })
}

function limit(windowMs: number, most: number, failuresOnly = false) {
  return rateLimit({
    windowMs,
    limit: most,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    skipSuccessfulRequests: failuresOnly,
    handler: (_request, response) =>
      sendProblem(
        response,
        toProblem({
          status: 429,
          code: 'api/too-many-requests',
          detail: failuresOnly
            ? 'Too many failed attempts from this address'
            : 'Too many requests from this address',
          remedy: 'Wait until the time in Retry-After is over.',
        }),
      ),
  })
}

/** Files with a hash in their name never change; index.html always may. */
function serveConsole(app: Express, folder: string): void {
  app.use(
    '/assets',
    express.static(path.join(folder, 'assets'), { immutable: true, maxAge: '1y', fallthrough: false }),
  )
  app.use(express.static(folder, { index: false, maxAge: '1h' }))
  app.get('/{*page}', (_request, response) => {
    response.set('cache-control', 'no-cache').sendFile('index.html', { root: folder })
  })
}
