// Stands between the store and Azurite: puts right what Azurite does wrong and Azure right, and makes the world misbehave on
// command. Requests pass with the client's own signature, which covers neither host nor port.
//
// Put right: the page list since a snapshot (Azurite lists all pages), page blobs that were copied (Azurite lets them share
// their pages with the source), 4 MiB for a request (unchecked), 8 TiB for a blob (unchecked), a write to a snapshot (goes to the
// blob), the name of a refused signature. Not put right: Azurite refuses snapshots to whoever comes with the signature of a container.
import { randomUUID } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { TiB } from '@understudy/base/bytes'
import { REQUEST_BYTES } from '../limits.ts'
import { changedSince, isolateCopy, type UpstreamBlob } from './page-comparison.ts'

export type ProxiedRequest = {
  readonly method: string
  /** `/account/container/blob`, not decoded. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  /** How many came before. */
  readonly count: number
}

export type Fault =
  /** An answer of the account's, without effect. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly name: string
      readonly retryAfterSeconds?: number
    }
  /** The connection breaks before the request has an effect. */
  | { readonly kind: 'reset' }
  /** It takes effect, and the connection breaks before the answer. */
  | { readonly kind: 'lost-answer' }

export type CorrectingProxy = {
  readonly port: number
  readonly requests: number
  /** Asked for every request; null lets it pass. */
  fault: ((request: ProxiedRequest) => Fault | null) | null
  /** Where the emulator listens now: it may have been started anew. */
  upstreamPort: number
  close(): Promise<void>
}

export async function startCorrectingProxy(upstreamPort: number): Promise<CorrectingProxy> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  const state = { requests: 0, upstreamPort, fault: null as CorrectingProxy['fault'] }
  const server = http.createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      answer(response, { kind: 'answer', status: 500, name: 'InternalError' })
      request.resume()
      void error
    })
  })

  const handle = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://emulator')
    const seen: ProxiedRequest = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      count: state.requests,
    }
    state.requests += 1
    const fault = state.fault?.(seen) ?? refusal(seen)
    if (fault?.kind === 'reset') return void request.socket.destroy()
    if (fault?.kind === 'answer') {
      await drained(request)
      return answer(response, fault)
    }
    const blob = { port: state.upstreamPort, path: seen.path }
    if (isPageDiff(seen)) return await answerPageDiff(seen, blob, response)
    const passed = await pass(request, blob.port)
    if (fault?.kind === 'lost-answer') {
      passed.resume()
      return void request.socket.destroy()
    }
    if (seen.headers['x-ms-copy-source'] !== undefined && passed.statusCode === 202) await isolateCopy(blob)
    if (passed.statusCode === 403) return await answerRefusedSignIn(seen, passed, response)
    response.writeHead(passed.statusCode ?? 500, passed.headers)
    passed.pipe(response)
  }

  const pass = (request: http.IncomingMessage, port: number): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, url, headers } = request
      const target = { host: '127.0.0.1', port, path: url, headers, agent, ...(method ? { method } : {}) }
      const onward = http.request(target, resolve)
      onward.on('error', (error) => {
        // The emulator was killed: to the client the line broke.
        request.socket.destroy()
        reject(error)
      })
      request.pipe(onward)
    })

  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    get requests() {
      return state.requests
    },
    get fault() {
      return state.fault
    },
    set fault(fault) {
      state.fault = fault
    },
    get upstreamPort() {
      return state.upstreamPort
    },
    set upstreamPort(next) {
      state.upstreamPort = next
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          agent.destroy()
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

const isPageDiff = ({ method, query }: ProxiedRequest): boolean =>
  method === 'GET' && query.get('comp') === 'pagelist' && query.has('prevsnapshot')

/** What Azure refuses and the emulator does not. */
function refusal({ method, query, headers }: ProxiedRequest): Fault | null {
  const refuse = (status: number, name: string): Fault => ({ kind: 'answer', status, name })
  if (method !== 'PUT') return null
  const writesPages = query.get('comp') === 'page' && headers['x-ms-page-write'] === 'update'
  if (writesPages && Number(headers['content-length'] ?? 0) > REQUEST_BYTES)
    return refuse(413, 'RequestBodyTooLarge')
  if (query.has('snapshot') && query.get('comp') !== 'copy') return refuse(400, 'InvalidQueryParameterValue')
  if (Number(headers['x-ms-blob-content-length'] ?? 0) > 8 * TiB) return refuse(400, 'InvalidHeaderValue')
  return null
}

async function answerPageDiff(
  { query }: ProxiedRequest,
  blob: UpstreamBlob,
  response: http.ServerResponse,
): Promise<void> {
  const earlier = query.get('prevsnapshot') ?? ''
  const { ranges, etag, bytes } = await changedSince(blob, query.get('snapshot'), earlier)
  const list = ranges
    .map(({ offset, bytes: length, isCleared }) => {
      const tag = isCleared ? 'ClearRange' : 'PageRange'
      return `<${tag}><Start>${offset}</Start><End>${offset + length - 1}</End></${tag}>`
    })
    .join('')
  response.writeHead(200, {
    'content-type': 'application/xml',
    etag,
    'x-ms-blob-content-length': String(bytes),
  })
  response.end(`<?xml version="1.0" encoding="utf-8"?><PageList>${list}</PageList>`)
}

/** Azure calls a signature that does not fit by its name, and says when it was right but not at this time. */
async function answerRefusedSignIn(
  { query }: ProxiedRequest,
  passed: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  let body = ''
  for await (const text of passed.setEncoding('utf8')) body += text
  if (!body.includes('Server failed to authenticate')) {
    const name = String(passed.headers['x-ms-error-code'] ?? 'AuthorizationFailure')
    return answer(response, { kind: 'answer', status: 403, name })
  }
  const isExpired = Date.parse(query.get('se') ?? '') < Date.now()
  answer(
    response,
    { kind: 'answer', status: 403, name: 'AuthenticationFailed' },
    isExpired ? 'Signature not valid in the specified time frame' : 'The signature did not match',
  )
}

function answer(
  response: http.ServerResponse,
  fault: Extract<Fault, { kind: 'answer' }>,
  detail?: string,
): void {
  const wait = fault.retryAfterSeconds
  response.writeHead(fault.status, {
    'x-ms-error-code': fault.name,
    'x-ms-request-id': randomUUID(),
    'content-type': 'application/xml',
    ...(wait === undefined ? {} : { 'retry-after': String(wait) }),
  })
  const { name } = fault
  const more = detail === undefined ? '' : `<AuthenticationErrorDetail>${detail}</AuthenticationErrorDetail>`
  response.end(
    `<?xml version="1.0" encoding="utf-8"?><Error><Code>${name}</Code><Message>${name}</Message>${more}</Error>`,
  )
}

const drained = (request: http.IncomingMessage): Promise<void> =>
  new Promise((resolve) => {
    request.once('close', resolve).once('end', resolve).resume()
  })
