// A data stream of an agent: whose it is has to be signed, for the connection that it belongs to, and each is taken once.
import type { IncomingMessage } from 'node:http'
import { readFrames } from '@understudy/agent-protocol/frames'
import { agentPaths, streamHeaders, streamProof } from '@understudy/agent-protocol/proofs'
import { streamLimits } from '@understudy/agent-protocol/stream-limits'
import { Outage, Refusal } from '@understudy/base/errors'
import type { AgentId } from '@understudy/domain/agents/agent'
import type { AgentLines } from './agent-lines.ts'
import type { AgentParts } from './agent-parts.ts'
import type { AgentAudit } from './audit-agent.ts'
import { isSigned, wrongProof } from './enrol-agent.ts'
import { withinLimits } from './within-limits.ts'

const LOOK_MILLISECONDS = 1000

type StreamHost = {
  readonly parts: AgentParts
  readonly audit: AgentAudit
  readonly lines: AgentLines
  readonly fingerprint: string
}

/** Resolves when all of it is here. Throws what is wrong with it: whatever came before that is good. */
export async function takeStream(host: StreamHost, request: IncomingMessage): Promise<void> {
  const { parts, lines } = host
  const session = (request.url ?? '').slice(agentPaths.streams.length + 1)
  const agentId = header(request, streamHeaders.agent) as AgentId
  await recognise(host, { agentId, session, request })
  const number = Number(header(request, streamHeaders.number))
  const sink = lines.sinkOf(agentId, session, number)
  if (sink === null) throw otherSession()
  try {
    const watched = {
      limits: streamLimits,
      now: () => performance.now(),
      lookMilliseconds: LOOK_MILLISECONDS,
    }
    await readFrames(withinLimits(request, { ...watched, heard: sink.heard }), sink)
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    lines.spoiled(agentId, error)
    parts.log.warn({ error, agent: agentId }, 'a data stream of an agent was refused')
    throw error
  }
}

async function recognise(
  { parts, audit, fingerprint }: StreamHost,
  {
    agentId,
    session,
    request,
  }: { readonly agentId: AgentId; readonly session: string; readonly request: IncomingMessage },
): Promise<void> {
  const agent = await parts.stores.agents.find(agentId)
  const number = Number(header(request, streamHeaders.number))
  const proof = streamProof({ agentId, session, number, fingerprint })
  if (agent && isSigned(proof, agent.publicKey, header(request, streamHeaders.signature))) return
  await audit({
    who: agent ? `agent ${agent.name}` : 'agent ?',
    action: 'agents.stream',
    subject: agent?.id ?? null,
    subjectName: agent?.name ?? null,
    outcome: 'refused',
    facts: { problem: wrongProof().code },
    ip: request.socket.remoteAddress ?? null,
  })
  throw wrongProof()
}

const header = ({ headers }: IncomingMessage, name: string): string => {
  const value = headers[name]
  return typeof value === 'string' ? value.slice(0, 500) : ''
}

const otherSession = (): Refusal =>
  new Refusal({
    code: 'agent/other-session',
    message: 'This data stream belongs to no connection that the agent has here now, or came before',
    remedy: 'Nothing is to be done: what it carried is asked for again.',
  })
