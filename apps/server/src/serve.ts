// Console, API and sockets on one port, in front of the control plane.
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Refusal } from '@understudy/base/errors'
import type { Logger } from 'pino'
import { callerFinder } from './access/caller.ts'
import { sessionKeeper } from './access/session-keeper.ts'
import { apiRouter } from './api/router.ts'
import type { ControlPlane } from './compose.ts'
import type { Config } from './config.ts'
import { consoleFolder, createApp } from './http/app.ts'
import { openApiDocument } from './http/open-api.ts'
import type { LiveHub } from './live/live-hub.ts'
import { version } from './usage.mjs'

export type Serving = { readonly address: string; close(): Promise<void> }

/** How long open requests may take to end when the server stops. */
const drainMilliseconds = 3000

export async function serve(config: Config, plane: ControlPlane, log: Logger): Promise<Serving> {
  const secure = config.tlsCertificate !== null || (config.publicUrl?.startsWith('https:') ?? false)
  const { stores, clock, newId, live, lab, engine, platforms, printer, agents, receivers } = plane
  const callers = callerFinder(stores, clock, { secure, sessionHours: config.sessionHours })
  const session = sessionKeeper({ key: plane.secretKey, secure, sessionHours: config.sessionHours })
  const publicOrigin = config.publicUrl === null ? null : new URL(config.publicUrl).origin
  const app = createApp({
    router: apiRouter({
      engine,
      stores,
      live,
      platforms,
      printer,
      clock,
      lab,
      agents,
      receivers,
      version,
      newId,
      session,
    }),
    callers,
    stores,
    session,
    clock,
    newId,
    log,
    publicOrigin,
    openApi: await openApiDocument(version),
    secure,
    trustProxy: config.trustProxy,
    requestsPerMinute: config.requestsPerMinute,
    consoleFolder,
    health: async () => {
      try {
        await stores.setup.needed()
        return null
      } catch {
        return 'The database does not answer'
      }
    },
  })
  const http =
    config.tlsCertificate !== null && config.tlsKey !== null
      ? createHttpsServer(
          { cert: readFileSync(config.tlsCertificate), key: readFileSync(config.tlsKey) },
          app,
        )
      : createHttpServer(app)
  await listen(http, config)
  live.attach(http, callers, plane.hints, publicOrigin)
  const { port } = http.address() as AddressInfo
  const host = config.host === '0.0.0.0' || config.host === '::' ? 'localhost' : config.host
  const scheme = config.tlsCertificate === null ? 'http' : 'https'
  return {
    address: config.publicUrl ?? `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: () => closeServer(http, live),
  }
}

function listen(http: Server, config: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) => reject(whyNotListening(error, config)))
    http.listen(config.port, config.host, resolve)
  })
}

function whyNotListening(error: NodeJS.ErrnoException, config: Config): Error {
  if (error.code === 'EADDRINUSE')
    return new Refusal({
      code: 'config/port-taken',
      message: `Port ${config.port} is taken by another program`,
      remedy: 'Stop that program, or choose another port: npm start -- --port 4601',
    })
  if (error.code === 'EACCES' || error.code === 'EADDRNOTAVAIL')
    return new Refusal({
      code: 'config/address-not-usable',
      message: `This server may not listen on ${config.host}, port ${config.port}`,
      remedy: 'Choose another address or a port above 1023.',
    })
  return error
}

/** Ends what is open: requests within a few seconds, browsers' sockets at once. */
export async function closeServer(http: Server, live: Pick<LiveHub, 'close'>): Promise<void> {
  const closed = new Promise<void>((resolve) => http.close(() => resolve()))
  http.closeIdleConnections()
  const timer = setTimeout(() => http.closeAllConnections(), drainMilliseconds)
  // No close of an http server ends a web socket: with one console open it would wait for ever.
  await live.close()
  await closed
  clearTimeout(timer)
}
