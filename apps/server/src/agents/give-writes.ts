// A stream that a receiver fetches: whose it is has to be signed, for the connection that it belongs to, and each is given once.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { agentPaths, fetchProof, streamHeaders } from '@understudy/agent-protocol/proofs'
import { streamLimits } from '@understudy/agent-protocol/stream-limits'
import { Refusal } from '@understudy/base/errors'
import type { AgentId } from '@understudy/domain/agents/agent'
import { isReceiver } from '@understudy/domain/agents/agent'
import type { AgentParts } from './agent-parts.ts'
import type { AgentAudit } from './audit-agent.ts'
import { isSigned, wrongProof } from './enrol-agent.ts'
import type { WriteLines } from './write-lines.ts'

type StreamHost = {
  readonly parts: AgentParts
  readonly audit: AgentAudit
  readonly writes: WriteLines
  readonly fingerprint: string
}

/** Resolves when it has ended. Refuses, before anything is sent, what belongs to no receiver's connection. */
export async function giveWrites(
  { parts, audit, writes, fingerprint }: StreamHost,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const session = (request.url ?? '').slice(agentPaths.writes.length + 1)
  const agentId = header(request, streamHeaders.agent) as AgentId
  const number = Number(header(request, streamHeaders.number))
  const agent = await parts.stores.agents.find(agentId)
  const proof = fetchProof({ agentId, session, number, fingerprint })
  const isTheirs =
    agent !== null &&
    agent.revokedAt === null &&
    isReceiver(agent.roles) &&
    isSigned(proof, agent.publicKey, header(request, streamHeaders.signature))
  if (!isTheirs) {
    await audit({
      who: agent ? `agent ${agent.name}` : 'agent ?',
      action: 'agents.fetch',
      subject: agent?.id ?? null,
      subjectName: agent?.name ?? null,
      outcome: 'refused',
      facts: { problem: wrongProof().code },
      ip: request.socket.remoteAddress ?? null,
    })
    throw wrongProof()
  }
  const stream = writes.streamOf(agentId, session, number)
  if (stream === null) throw otherSession()
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  response.on('error', () => gone.abort())
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.flushHeaders()
  try {
    for (let frame = await stream.next(gone.signal); frame; frame = await stream.next(gone.signal))
      for (const part of frame) if (!response.write(part)) await untilDrained(response, gone.signal)
    if (!gone.signal.aborted) response.end()
  } finally {
    stream.end()
    if (!response.writableEnded) response.destroy()
  }
}

/** A receiver that takes nothing holds nothing here. */
function untilDrained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      clearTimeout(late)
      response.off('drain', go)
      signal.removeEventListener('abort', go)
      resolve()
    }
    const late = setTimeout(() => response.destroy(), streamLimits.idleMilliseconds)
    response.once('drain', go)
    signal.addEventListener('abort', go, { once: true })
    if (signal.aborted) go()
  })
}

const header = ({ headers }: IncomingMessage, name: string): string => {
  const value = headers[name]
  return typeof value === 'string' ? value.slice(0, 500) : ''
}

const otherSession = (): Refusal =>
  new Refusal({
    code: 'agent/other-session',
    message: 'This stream belongs to no connection that the receiver has here now, or was fetched before',
    remedy: 'Nothing is to be done: the receiver is called for another one.',
  })
