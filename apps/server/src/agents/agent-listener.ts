// The port that agents dial. Everything on it is TLS under the certificate of this installation, but for that certificate itself: an agent
// that has only the fingerprint fetches it in the open, and believes it because the fingerprint is right.
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { agentPaths } from '@understudy/agent-protocol/proofs'
import { Refusal } from '@understudy/base/errors'
import { type WebSocket, WebSocketServer } from 'ws'
import { problemOf, toProblem } from '../http/problems.ts'
import type { AgentCertificate } from './agent-certificate.ts'

export type AgentListener = { readonly port: number; close(): Promise<void> }

export type AgentHandlers = {
  enrol(body: unknown, ip: string | null): Promise<unknown>
  control(socket: WebSocket, ip: string | null): void
  /** Resolves when all of its body is here. */
  stream(request: IncomingMessage): Promise<void>
  /** Whether it was one for a program, and is answered. */
  program(request: IncomingMessage, response: ServerResponse): Promise<boolean>
  /** Answers itself. Throws before it does. */
  writes(request: IncomingMessage, response: ServerResponse): Promise<void>
}

const FIRST_BYTE_MILLISECONDS = 10_000
/** Until somebody has said what they want, in TLS. */
export type Limits = {
  readonly requestMilliseconds: number
  readonly waiting: number
  readonly waitingOfOne: number
  readonly connections: number
  readonly connectionsOfOne: number
}
/** Hundreds of agents may stand behind one proxy, and all come again at once. */
const usualLimits: Limits = {
  requestMilliseconds: 30_000,
  waiting: 1000,
  waitingOfOne: 400,
  connections: 5000,
  connectionsOfOne: 2500,
}
const LAST_WORDS_MILLISECONDS = 1000
const BODY_BYTES = 64 * 1024
const MESSAGE_BYTES = 256 * 1024
/** RFC 8446, 5.1: the content type of a handshake, with which TLS begins. */
const TLS_HANDSHAKE = 22

/** Refuses (`config/agent-port-taken`) when the port cannot be had. */
export async function listenForAgents(
  where: { readonly host: string; readonly port: number },
  { certificate, key }: AgentCertificate,
  handlers: AgentHandlers,
  limits = usualLimits,
): Promise<AgentListener> {
  const guests = receiveGuests(limits)
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    // What is enrolled is short: its whole text has to come in that time.
    if (request.url !== agentPaths.enrol) guests.heard(request.socket)
    if (request.method === 'GET' && request.url?.startsWith(`${agentPaths.writes}/`) && isSecure(request))
      return void handlers.writes(request, response).catch((error: unknown) => {
        const problem = problemOf(error)
        send(response, problem.status, problem)
      })
    respond(request, response, handlers, certificate).then(
      (given) => given && send(response, given.status, given.body),
      (error: unknown) => {
        const problem = problemOf(error)
        // What still comes of it is not read: whoever sends more than that is cut off.
        response.once('finish', () => setTimeout(() => request.destroy(), LAST_WORDS_MILLISECONDS).unref())
        send(response, problem.status, problem)
      },
    )
  }
  const secure = createHttpsServer({ cert: certificate, key, minVersion: 'TLSv1.2' }, answer)
  const open = createHttpServer((request, response) => {
    if (request.url === agentPaths.certificate) return answer(request, response)
    send(
      response,
      403,
      toProblem({
        status: 403,
        code: 'agent/tls-only',
        detail: 'This port speaks TLS',
        remedy: 'Use https.',
      }),
    )
  })
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES, perMessageDeflate: false })
  secure.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.url !== agentPaths.control) return void socket.destroy()
    guests.heard(request.socket)
    sockets.handleUpgrade(request, socket, head, (opened) => handlers.control(opened, ipOf(request)))
  })
  const connected = new Set<Socket>()
  const front = createServer((socket) => {
    if (!guests.admit(socket)) return
    connected.add(socket)
    socket.once('close', () => connected.delete(socket))
    socket.on('error', () => socket.destroy())
    const late = setTimeout(() => socket.destroy(), FIRST_BYTE_MILLISECONDS)
    socket.once('close', () => clearTimeout(late))
    socket.once('data', (first: Buffer) => {
      clearTimeout(late)
      socket.pause()
      socket.unshift(first)
      const behind = first[0] === TLS_HANDSHAKE ? secure : open
      behind.emit('connection', socket)
      // TLS takes over what was read already; plain HTTP waits for it to flow.
      if (behind === open) socket.resume()
    })
  })
  front.maxConnections = limits.connections
  await new Promise<void>((resolve, reject) => {
    front.once('error', (cause) => reject(whyNot(where.port, cause)))
    front.listen(where.port, where.host, resolve)
  })
  return {
    port: (front.address() as AddressInfo).port,
    async close() {
      for (const each of sockets.clients) each.terminate()
      const closed = new Promise((resolve) => front.close(resolve))
      for (const each of connected) each.destroy()
      await closed
    },
  }
}

/** Who is here, by address, and who of them has not said yet what they want. */
function receiveGuests({ requestMilliseconds, waiting, waitingOfOne, connectionsOfOne }: Limits) {
  const silent = new Map<string, NodeJS.Timeout>()
  const here = { all: new Map<string, number>(), silent: new Map<string, number>() }
  const count = (of: Map<string, number>, address: string, change: 1 | -1): void => {
    const left = (of.get(address) ?? 0) + change
    if (left === 0) of.delete(address)
    else of.set(address, left)
  }
  /** The same for the bare connection and for the one that TLS makes of it. */
  const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`
  const heard = (name: string, address: string): void => {
    const late = silent.get(name)
    if (!late) return
    clearTimeout(late)
    silent.delete(name)
    count(here.silent, address, -1)
  }
  return {
    heard: (socket: Socket): void => heard(nameOf(socket), socket.remoteAddress ?? ''),
    /** False: one too many, and shown out. */
    admit(socket: Socket): boolean {
      const address = socket.remoteAddress ?? ''
      const name = nameOf(socket)
      const isFull =
        silent.size >= waiting ||
        (here.silent.get(address) ?? 0) >= waitingOfOne ||
        (here.all.get(address) ?? 0) >= connectionsOfOne
      if (isFull) {
        socket.on('error', () => {})
        socket.destroy()
        return false
      }
      count(here.all, address, 1)
      count(here.silent, address, 1)
      silent.set(
        name,
        setTimeout(() => socket.destroy(), requestMilliseconds),
      )
      socket.once('close', () => {
        heard(name, address)
        count(here.all, address, -1)
      })
      return true
    },
  }
}

const whyNot = (port: number, cause: unknown): Refusal =>
  new Refusal({
    code: 'config/agent-port-taken',
    message: `Agents cannot reach this server: it may not listen on port ${port}`,
    remedy: 'Stop the program that has the port, or choose another one with UNDERSTUDY_AGENT_PORT.',
    cause,
  })

type Answer = { readonly status: number; readonly body: unknown }

/** Null: it is answered. */
async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: AgentHandlers,
  certificate: string,
): Promise<Answer | null> {
  const { method = '', url = '' } = request
  const ip = ipOf(request)
  if (method === 'GET' && url === agentPaths.certificate) return { status: 200, body: { certificate } }
  if (method === 'POST' && url === agentPaths.enrol)
    return { status: 201, body: await handlers.enrol(await readJson(request), ip) }
  if (method === 'PUT' && url.startsWith(`${agentPaths.streams}/`)) {
    await handlers.stream(request)
    return { status: 200, body: {} }
  }
  if (await handlers.program(request, response)) return null
  const nothing = { status: 404, code: 'agent/unknown-route', detail: 'There is nothing here' }
  return {
    status: 404,
    body: toProblem({ ...nothing, remedy: 'Agents know where to go; people use the console.' }),
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > BODY_BYTES) break
    parts.push(part)
  }
  try {
    if (bytes > BODY_BYTES) throw new Error('It is too long')
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch (cause) {
    throw new Refusal({
      code: 'agent/bad-enrolment',
      message: 'What was sent is no short JSON text',
      remedy: 'Check that nothing between agent and server changes what they say.',
      cause,
    })
  }
}

const isSecure = ({ socket }: IncomingMessage): boolean => socket instanceof TLSSocket

const ipOf = (request: IncomingMessage): string | null => request.socket.remoteAddress ?? null

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return void response.destroy()
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(JSON.stringify(body))
}
