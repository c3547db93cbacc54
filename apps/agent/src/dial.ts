// The way to the server: outwards only, through a proxy where there is one, and with its certificate or not at all.
import { createHash, X509Certificate } from 'node:crypto'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { agentPaths } from '@understudy/agent-protocol/proofs'
import { Outage, Refusal } from '@understudy/base/errors'
import { z } from 'zod'

export type Route = {
  /** `https://host:port`. */
  readonly server: string
  /** `http://host:port`: asked with CONNECT. */
  readonly proxy: string | null
}
export type Trusted = Route & { readonly certificate: string; readonly fingerprint: string }

const DIAL_MILLISECONDS = 20_000

/** Refuses (`agent/wrong-fingerprint`) whatever is not the server that the fingerprint names; otherwise an Outage when it is away. */
export async function dial(trusted: Trusted): Promise<TLSSocket> {
  const socket = await openLine(trusted)
  return new Promise((resolve, reject) => {
    const secured = connectTls({
      socket,
      // Nobody else's word counts. The names in it do not matter: the address may change, the certificate may not.
      ca: [trusted.certificate],
      minVersion: 'TLSv1.2',
      checkServerIdentity: (_host, { raw }) =>
        fingerprintOf(raw) === trusted.fingerprint ? undefined : wrongFingerprint(trusted.server),
    })
    const late = setTimeout(() => secured.destroy(away(trusted, 'it does not answer')), DIAL_MILLISECONDS)
    secured.once('secureConnect', () => {
      clearTimeout(late)
      secured.off('error', fail)
      secured.on('error', () => {})
      resolve(secured)
    })
    const fail = (error: NodeJS.ErrnoException): void => {
      clearTimeout(late)
      socket.destroy()
      reject(isForeign(error) ? wrongFingerprint(trusted.server) : toOutage(trusted, error))
    }
    secured.once('error', fail)
  })
}

/** Of the server that the fingerprint names, fetched in the open. Refuses (`agent/wrong-fingerprint`) another one. */
export async function fetchCertificate(route: Route, fingerprint: string): Promise<string> {
  const socket = await openLine(route)
  try {
    const { body } = await ask(socket, {
      method: 'GET',
      path: agentPaths.certificate,
      host: new URL(route.server).host,
    })
    const { data } = z.object({ certificate: z.string().max(20_000) }).safeParse(body)
    if (!data) throw away(route, 'something else than Understudy answers there')
    if (fingerprintOf(rawOf(data.certificate)) !== fingerprint) throw wrongFingerprint(route.server)
    return data.certificate
  } finally {
    socket.destroy()
  }
}

export type Answer = { readonly status: number; readonly body: unknown }

/** One request over a line that is open already. */
export function ask(
  socket: Socket,
  wanted: { readonly method: string; readonly path: string; readonly host: string; readonly body?: unknown },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = wanted.body === undefined ? null : JSON.stringify(wanted.body)
    const request: ClientRequest = httpRequest(
      {
        createConnection: () => socket,
        method: wanted.method,
        path: wanted.path,
        headers: {
          host: wanted.host,
          connection: 'close',
          ...(text === null
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
        timeout: DIAL_MILLISECONDS,
      },
      (response) => {
        readJson(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
      },
    )
    request.once('timeout', () => request.destroy(new Error('it does not answer')))
    request.once('error', (cause) => reject(toOutage({ server: wanted.host }, cause)))
    request.end(text ?? undefined)
  })
}

const LONGEST_ANSWER = 256 * 1024

async function readJson(response: IncomingMessage): Promise<unknown> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) {
    text += part
    if (text.length > LONGEST_ANSWER) throw new Error('The answer is too long')
  }
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function openLine({ server, proxy }: Route): Promise<Socket> {
  const { hostname, port } = new URL(server)
  const to = { host: bare(hostname), port: port === '' ? 443 : Number(port) }
  if (proxy === null) return openSocket(to, { server })
  const via = new URL(proxy)
  const socket = await openSocket(
    { host: bare(via.hostname), port: via.port === '' ? 80 : Number(via.port) },
    { server: `the proxy ${proxy}` },
  )
  return new Promise((resolve, reject) => {
    const target = `${hostname}:${to.port}`
    const request = httpRequest({
      createConnection: () => socket,
      method: 'CONNECT',
      path: target,
      headers: { host: target },
      timeout: DIAL_MILLISECONDS,
    })
    request.once('timeout', () => request.destroy(new Error('it does not answer')))
    request.once('connect', (response, line, head) => {
      if (response.statusCode === 200 && head.length === 0) return resolve(line as Socket)
      line.destroy()
      reject(toOutage({ server }, new Error(`the proxy answers ${response.statusCode}`)))
    })
    request.once('response', (response) => {
      socket.destroy()
      reject(toOutage({ server }, new Error(`the proxy answers ${response.statusCode}`)))
    })
    request.once('error', (cause) => reject(toOutage({ server: `the proxy ${proxy}` }, cause)))
    request.end()
  })
}

function openSocket(
  to: { readonly host: string; readonly port: number },
  named: { readonly server: string },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, noDelay: true, keepAlive: true })
    const late = setTimeout(() => socket.destroy(new Error('it does not answer')), DIAL_MILLISECONDS)
    const fail = (cause: Error): void => {
      clearTimeout(late)
      reject(toOutage(named, cause))
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      clearTimeout(late)
      socket.off('error', fail)
      // Whoever takes it over listens for the rest; until then a cut must not end the process.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

const bare = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1')

export const fingerprintOf = (raw: Buffer): string =>
  `sha256:${createHash('sha256').update(raw).digest('hex')}`

function rawOf(certificate: string): Buffer {
  try {
    return new X509Certificate(certificate).raw
  } catch {
    return Buffer.alloc(0)
  }
}

/** What OpenSSL says of a certificate that is not the one we trust. */
const isForeign = (error: NodeJS.ErrnoException): boolean =>
  (error instanceof Refusal && error.code === 'agent/wrong-fingerprint') ||
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|CERT_\w+)$/.test(error.code ?? '')

const wrongFingerprint = (server: string): Refusal =>
  new Refusal({
    code: 'agent/wrong-fingerprint',
    message: `${server} shows another certificate than the one with this fingerprint`,
    remedy:
      'Copy the whole command from the console again. If it is right, somebody between answers in place of the server: find out who.',
  })

const away = ({ server }: { readonly server: string }, why: string): Outage =>
  toOutage({ server }, new Error(why))

function toOutage({ server }: { readonly server: string }, cause: unknown): Outage {
  if (cause instanceof Outage) return cause
  return new Outage({
    code: 'agent/server-away',
    message: `${server} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'Check the address, the network and the proxy; it is tried again.',
    cause,
  })
}
