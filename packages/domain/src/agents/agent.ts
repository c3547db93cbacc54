// An agent: a mover beside the disks of a site, which dials out to the server and does what its roles allow.
import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'
import type { SiteId } from '../sites/site.ts'
import type { OtherHardware, ServerHardware } from './server-hardware.ts'

export type AgentId = Brand<'AgentId'>
export type AgentOrderId = Brand<'AgentOrderId'>
export type AgentInvitationId = Brand<'AgentInvitationId'>

/**
 * What an agent may be there for: the disks of its own server, to be read; or, in a rescue system, those of the computer that it runs on, to be
 * written. An agent is never both.
 */
export const agentRoles = ['protected-server', 'receiver'] as const
export type AgentRole = (typeof agentRoles)[number]

/** What an agent says of the computer that it runs on. */
export type AgentFacts = {
  readonly hostName: string
  /** As its maker names it: `Debian GNU/Linux 12 (bookworm)`. */
  readonly system: string
  readonly kernel: string
  readonly architecture: string
  readonly processors: number
  readonly memoryBytes: number
  /** An older agent says nothing of it. */
  readonly program?: AgentProgram | undefined
}

export type AgentProgram = {
  /** As the programs that are given away are named: `linux-x64`. */
  readonly platform: string
  /** Why it cannot be exchanged by the agent itself. Null: it can. */
  readonly fixedBecause: string | null
}

/** What an agent measures of itself with every beat. */
export type AgentHealth = {
  /** Over the wire in both directions, since the beat before. */
  readonly bytesPerSecond: number
  /** Messages that the server has not acknowledged yet. */
  readonly backlog: number
  /** Of the disk that holds the agent's own folder. */
  readonly freeBytes: number
  readonly diskBytes: number
  readonly memoryBytes: number
  readonly upSeconds: number
}

export type Agent = {
  readonly id: AgentId
  readonly siteId: SiteId
  readonly invitationId: AgentInvitationId
  readonly name: string
  readonly roles: readonly AgentRole[]
  /** Ed25519, SPKI, base64url. */
  readonly publicKey: string
  /** A digest by which the server that it runs on is known again. One agent per server. */
  readonly serverIdentity: string
  /** Of the server, as it was accepted last. Null: none was ever told. */
  readonly hardware: ServerHardware | null
  /** It came from there, and was refused. */
  readonly otherHardware: OtherHardware | null
  readonly enrolledAt: Instant
  readonly version: string
  readonly facts: AgentFacts
  readonly health: AgentHealth | null
  /** By the clock of the control plane. Null: it has not connected yet. */
  readonly seenAt: Instant | null
  /** Its clock minus ours. Null: not known yet. */
  readonly clockSkewMilliseconds: number | null
  readonly revokedAt: Instant | null
  readonly revokedBy: string | null
}

/** One time and one hour: whoever has its token may enrol one agent at this site. */
export type AgentInvitation = {
  readonly id: AgentInvitationId
  readonly siteId: SiteId
  readonly tokenHash: string
  readonly roles: readonly AgentRole[]
  readonly createdBy: string
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly usedAt: Instant | null
}

export const INVITATION_MINUTES = 60

/** What the server asks of an agent. Numbered per agent; done once, however often it is sent. */
export const agentOrderKinds = ['report-facts', 'upgrade'] as const
export type AgentOrderKind = (typeof agentOrderKinds)[number]

/** Who may be asked for what, and whose answers count. */
const rolesThatMay: Record<AgentOrderKind, readonly AgentRole[]> = {
  'report-facts': agentRoles,
  upgrade: agentRoles,
}

export const mayAgent = (roles: readonly AgentRole[], kind: AgentOrderKind): boolean =>
  roles.some((role) => rolesThatMay[kind].includes(role))

/** Its own disks may be read through it. */
export const isProtectedServer = (roles: readonly AgentRole[]): boolean => roles.includes('protected-server')

/** The disks of the computer that it runs on may be written through it, and it is no server of its site. */
export const isReceiver = (roles: readonly AgentRole[]): boolean => roles.includes('receiver')

/** Whoever is to be written must never be read as a server, nor the other way round. */
export const goTogether = (roles: readonly AgentRole[]): boolean => new Set(roles).size === 1

/** `expected`: enrolled, and never seen since. */
export type AgentState = 'expected' | 'connected' | 'silent' | 'revoked'

/** Pure: from when it was last heard, by the clock that wrote that down. */
export function stateOfAgent(
  agent: Pick<Agent, 'revokedAt' | 'seenAt' | 'enrolledAt'>,
  now: Instant,
  silentSeconds: number,
): AgentState {
  if (agent.revokedAt !== null) return 'revoked'
  const quietSeconds = (now - (agent.seenAt ?? agent.enrolledAt)) / 1000
  if (quietSeconds > silentSeconds) return 'silent'
  return agent.seenAt === null ? 'expected' : 'connected'
}
