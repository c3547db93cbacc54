// Ways from Microsoft's clients to the double: within the process, for proofs that need thousands of requests, and over TLS.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import {
  createHttpHeaders,
  type HttpClient,
  type PipelineRequest,
  RestError,
} from '@azure/core-rest-pipeline'
import type { ArmDouble } from './arm-double.ts'
import { type DoubleAnswer, LineBroken } from './double-parts.ts'

/** `gate` is passed before a request arrives and after it was answered: where a process may die. */
export function lineTo(
  double: ArmDouble,
  gate: { before?(): Promise<void>; after?(): Promise<void> } = {},
): HttpClient {
  return {
    async sendRequest(request: PipelineRequest) {
      if (request.abortSignal?.aborted === true) throw new DOMException('It was given up', 'AbortError')
      await gate.before?.()
      const headers = request.headers.toJSON()
      const body = request.body === undefined || request.body === null ? '' : String(request.body)
      const answer = await double
        .handle({ method: request.method, url: request.url, headers, body })
        .catch((error: unknown) => {
          if (!(error instanceof LineBroken)) throw error
          throw new RestError('The line broke', { code: 'ECONNRESET', request })
        })
      await gate.after?.()
      return {
        request,
        status: answer.status,
        headers: createHttpHeaders({ ...answer.headers }),
        ...(request.streamResponseStatusCodes?.has(answer.status) === true
          ? { readableStreamBody: Readable.from([Buffer.from(answer.body)]) }
          : { bodyAsText: answer.body.toString() }),
      }
    },
  }
}

export type DoubleServer = {
  readonly address: string
  /** Of the certificate that it shows, for whoever shall believe it. */
  readonly certificate: string
  close(): Promise<void>
}

/** An application of the directory, which signs in at the same server. */
export type DoubleApplication = {
  readonly tenantId: string
  readonly clientId: string
  readonly secret: string
}

/** What a server shows of itself, as PEM. */
export type DoubleIdentity = { readonly key: string; readonly certificate: string }

/** On this computer alone. Left out: any port that is free, and a certificate that is gone with the server. */
export async function serveDouble(
  double: ArmDouble,
  application: DoubleApplication | null = null,
  { port = 0, identity }: { readonly port?: number; readonly identity?: DoubleIdentity } = {},
): Promise<DoubleServer> {
  const { key, certificate } = identity ?? (await makeIdentity(30))
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      )
      const body = Buffer.concat(parts).toString()
      const signIn =
        application === null ? null : directoryAnswer(application, request.url ?? '/', body, double.address)
      if (signIn !== null) {
        response.writeHead(signIn.status, signIn.headers).end(signIn.body)
        return
      }
      double.handle({ method: request.method ?? 'GET', url: request.url ?? '/', headers, body }).then(
        (answer) => response.writeHead(answer.status, answer.headers).end(answer.body),
        (error: unknown) => {
          if (error instanceof LineBroken) request.socket.destroy()
          else response.writeHead(500).end(String(error))
        },
      )
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = `https://localhost:${(server.address() as AddressInfo).port}`
  double.address = address
  return {
    address,
    certificate,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The two questions of a sign-in; null: this is none of them. */
function directoryAnswer(
  { tenantId, clientId, secret }: DoubleApplication,
  url: string,
  body: string,
  address: string,
): DoubleAnswer | null {
  const answer = (status: number, said: object): DoubleAnswer => ({
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(said),
  })
  const tenant = `${address}/${tenantId}`
  const isSignIn = url.includes('/.well-known/openid-configuration') || url.includes('/oauth2/v2.0/token')
  const refuse = (status: number, error: string, code: number, said: string): DoubleAnswer =>
    answer(status, { error, error_description: `AADSTS${code}: ${said}`, error_codes: [code] })
  const asked = url.split('/')[1] ?? ''
  if (isSignIn && asked !== tenantId)
    return refuse(
      400,
      'invalid_tenant',
      90002,
      `Tenant '${asked}' not found. Check to make sure you have the correct tenant ID.`,
    )
  if (url.includes('/.well-known/openid-configuration'))
    return answer(200, {
      issuer: `${tenant}/v2.0`,
      authorization_endpoint: `${tenant}/oauth2/v2.0/authorize`,
      token_endpoint: `${tenant}/oauth2/v2.0/token`,
      jwks_uri: `${tenant}/discovery/v2.0/keys`,
    })
  if (!url.includes('/oauth2/v2.0/token')) return null
  const form = new URLSearchParams(body)
  if (form.get('client_id') === clientId && form.get('client_secret') === secret)
    return answer(200, { token_type: 'Bearer', expires_in: 3600, access_token: 'a-token-of-the-double' })
  if (form.get('client_id') !== clientId)
    return refuse(
      400,
      'unauthorized_client',
      700016,
      `Application with identifier '${form.get('client_id')}' was not found in the directory '${tenantId}'.`,
    )
  return refuse(401, 'invalid_client', 7000215, 'Invalid client secret provided.')
}

/** Of a server on this computer. Needs the program openssl. */
export async function makeIdentity(days: number): Promise<DoubleIdentity> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-arm-'))
  try {
    const keyFile = join(folder, 'key.pem')
    const certificateFile = join(folder, 'certificate.pem')
    const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const made = ['-keyout', keyFile, '-out', certificateFile, '-days', `${days}`, '-subj', '/CN=localhost']
    await promisify(execFile)('openssl', ['req', '-x509', ...curve, ...made, '-addext', names])
    return { key: await readFile(keyFile, 'utf8'), certificate: await readFile(certificateFile, 'utf8') }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
