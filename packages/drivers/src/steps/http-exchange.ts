// One HTTP request and its answer. No redirects, no proxies, no connection that is kept; certificates are checked.
import http from 'node:http'
import https from 'node:https'

export type HttpRequest = {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** More of the answer is not read. */
  readonly mostBytes: number
}

export type HttpAnswer = {
  readonly status: number
  /** Of a redirect. */
  readonly location: string | null
  readonly body: Buffer
  /** More would have come. */
  readonly isBounded: boolean
}

/** The connection was closed in the middle of the answer: its status is known all the same. */
export class CutAnswer extends Error {
  override readonly name = 'CutAnswer'
  readonly status: number
  constructor(status: number) {
    super(`connection closed in the middle of the answer, after status ${status}`)
    this.status = status
  }
}

/** Throws the error of the connection; an AbortError for the signal. */
export function exchangeHttp(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const { url, method, headers, body } = request
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const client = url.protocol === 'https:' ? https : http
  const outgoing = client.request(
    url,
    { method, headers: withLength(headers, method, body), agent: false, signal },
    (incoming) => {
      readAnswer(incoming, request.mostBytes).then(
        (answer) => {
          outgoing.destroy()
          resolve(answer)
        },
        (error) => reject(signal.aborted ? signal.reason : error),
      )
    },
  )
  outgoing.on('error', reject)
  outgoing.end(body === '' ? undefined : body)
  return promise
}

/** How long the body is, only we know: a length from elsewhere would let it be read as two requests. */
function withLength(headers: HttpRequest['headers'], method: string, body: string): Record<string, string> {
  const ours = Object.entries(headers).filter(
    ([name]) => !['content-length', 'transfer-encoding', 'connection'].includes(name.toLowerCase()),
  )
  const length: [string, string][] =
    body !== '' || !['GET', 'DELETE'].includes(method)
      ? [['Content-Length', String(Buffer.byteLength(body))]]
      : []
  return Object.fromEntries([...ours, ...length])
}

function readAnswer(incoming: http.IncomingMessage, mostBytes: number): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const chunks: Buffer[] = []
  let bytes = 0
  const finish = (isBounded: boolean): void =>
    resolve({
      status: incoming.statusCode ?? 0,
      location: incoming.headers.location ?? null,
      body: Buffer.concat(chunks).subarray(0, mostBytes),
      isBounded,
    })
  incoming.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > mostBytes) finish(true)
  })
  incoming.once('end', () => finish(false))
  incoming.once('error', () => reject(new CutAnswer(incoming.statusCode ?? 0)))
  incoming.once('close', () => {
    if (!incoming.complete) reject(new CutAnswer(incoming.statusCode ?? 0))
  })
  return promise
}
