// The first meeting: whoever has the token of an invitation, and a key of its own, becomes an agent of a site. Once.
import { createPublicKey, verify } from 'node:crypto'
import { EnrolRequest } from '@understudy/agent-protocol/messages'
import { enrolProof } from '@understudy/agent-protocol/proofs'
import { Refusal } from '@understudy/base/errors'
import { type Agent, type AgentId, INVITATION_MINUTES } from '@understudy/domain/agents/agent'
import {
  judgeHardware,
  type ServerHardware,
  unknownHardware,
} from '@understudy/domain/agents/server-hardware'
import { recordEvent } from '@understudy/engine/events/report'
import { hashSecret } from '../access/secrets.ts'
import type { AgentParts } from './agent-parts.ts'
import type { AgentAudit } from './audit-agent.ts'

export type Enrolled = {
  readonly agentId: string
  readonly siteName: string
  readonly roles: readonly string[]
  readonly programKey: string
}

/** Refuses with `agent/...`; every end is in the audit log. */
export async function enrolAgent(
  parts: AgentParts,
  audit: AgentAudit,
  {
    body,
    fingerprint,
    programKey,
    ip,
  }: {
    readonly body: unknown
    readonly fingerprint: string
    readonly programKey: string
    readonly ip: string | null
  },
): Promise<Enrolled> {
  const { data: wanted } = EnrolRequest.safeParse(body)
  const who = `agent ${wanted?.name ?? '?'}`
  try {
    const agent = await admit(parts, wanted, fingerprint)
    const { id, name, siteId, roles } = agent
    const facts = { site: siteId, roles, serverIdentity: agent.serverIdentity }
    await audit({
      who,
      action: 'agents.enrol',
      subject: id,
      subjectName: name,
      outcome: 'granted',
      facts,
      ip,
    })
    const site = await parts.stores.sites.find(siteId)
    return { agentId: id, siteName: site?.name ?? '', roles, programKey }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    await audit({
      who,
      action: 'agents.enrol',
      subject: null,
      subjectName: wanted?.name ?? null,
      outcome: 'refused',
      facts: { problem: error.code, ...error.facts },
      ip,
    })
    throw error
  }
}

async function admit(
  parts: AgentParts,
  wanted: EnrolRequest | undefined,
  fingerprint: string,
): Promise<Agent> {
  if (!wanted)
    throw new Refusal({
      code: 'agent/bad-enrolment',
      message: 'This is no enrolment of an agent',
      remedy: 'Enrol with `understudy-agent enrol`, of this version or the one before.',
    })
  const { token, publicKey, serverIdentity, name, version, facts, hardware = null, receives = false } = wanted
  const proof = enrolProof({ token, publicKey, serverIdentity, fingerprint })
  if (!isSigned(proof, publicKey, wanted.signature)) throw wrongProof()
  const id = parts.newId() as AgentId
  // A computer in a rescue system is whatever computer it is.
  const expected = receives ? hardware : await expectedHardware(parts, serverIdentity, hardware)
  const given = { id, name, publicKey, serverIdentity, hardware: expected, version, facts }
  const verdict = await parts.stores.agents.enrol(hashSecret(token), parts.clock.now(), given, receives)
  switch (verdict.kind) {
    case 'token-not-valid':
      throw new Refusal({
        code: 'agent/token-not-valid',
        message: `This token is unknown, was used already, or is older than ${INVITATION_MINUTES} minutes`,
        remedy: 'Make a new one at the site in the console: it works once.',
      })
    case 'other-role':
      throw new Refusal({
        code: 'agent/other-role',
        message: receives
          ? 'This token is for the agent of a server, and not for a receiver'
          : 'This token is for a receiver in a rescue system, and not for the agent of a server',
        remedy: receives
          ? 'Make a token for a receiver at the site in the console.'
          : 'Enrol a receiver with `understudy-agent receive`, in the rescue system. It overwrites disks.',
      })
    case 'server-taken':
      throw new Refusal({
        code: 'agent/server-taken',
        message: `The agent ${verdict.by.name} is enrolled on this server already`,
        remedy:
          'Revoke it in the console first. If this is another server that was cloned from it, give it a machine id of its own, or enrol it with --identity.',
        facts: { agent: verdict.by.id, serverIdentity },
      })
    case 'repeated':
      return verdict.agent
    case 'enrolled': {
      const { agent } = verdict
      await recordEvent(parts, {
        severity: 'info',
        code: 'agent/enrolled',
        message: `The agent ${agent.name} was enrolled`,
        subject: agent,
        facts: { roles: agent.roles, system: agent.facts.system },
      })
      parts.live.changed('agents', agent.id)
      return agent
    }
  }
}

/**
 * Where an agent of this server was revoked, the protection of the server goes on with the new one. So a copy of it must not become the server
 * by a revocation: the hardware stays what it was, the new agent is refused when it comes from other one, and a person decides.
 */
async function expectedHardware(
  { stores }: AgentParts,
  serverIdentity: string,
  hardware: ServerHardware | null,
): Promise<ServerHardware | null> {
  const before = (await stores.agents.list())
    .filter((agent) => agent.serverIdentity === serverIdentity && agent.revokedAt !== null)
    .sort((one, other) => (other.revokedAt ?? 0) - (one.revokedAt ?? 0))
    .find((agent) => agent.hardware !== null)
  if (!before?.hardware || judgeHardware(before.hardware, hardware ?? unknownHardware).same) return hardware
  return before.hardware
}

export const wrongProof = (): Refusal =>
  new Refusal({
    code: 'agent/not-recognised',
    message: 'The agent is unknown here, or cannot prove that it is the one that it says it is',
    remedy: 'Enrol it with a new token from the console.',
  })

/** False for whatever is no Ed25519 key, and no signature of it. */
export function isSigned(proof: Uint8Array, publicKey: string, signature: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64url'), format: 'der', type: 'spki' })
    return (
      key.asymmetricKeyType === 'ed25519' && verify(null, proof, key, Buffer.from(signature, 'base64url'))
    )
  } catch {
    return false
  }
}
