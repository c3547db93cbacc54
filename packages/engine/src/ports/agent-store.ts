// The agents, who may become one, and what they were asked. PostgreSQL in the product, plain memory in tests.
import type { Instant } from '@understudy/base/instant'
import type {
  Agent,
  AgentFacts,
  AgentHealth,
  AgentId,
  AgentInvitation,
  AgentOrderId,
  AgentOrderKind,
} from '@understudy/domain/agents/agent'
import type { OtherHardware, ServerHardware } from '@understudy/domain/agents/server-hardware'

export type AgentOrder = {
  readonly id: AgentOrderId
  readonly agentId: AgentId
  /** Rises by one with each order of this agent. */
  readonly sequence: number
  readonly kind: AgentOrderKind
  readonly askedBy: string
  readonly askedAt: Instant
  readonly answeredAt: Instant | null
  /** Null until it is answered. */
  readonly answer: AgentAnswer | null
}

export type AgentAnswer =
  | { readonly kind: 'facts'; readonly facts: AgentFacts }
  | { readonly kind: 'upgraded'; readonly from: string; readonly to: string }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

export type EnrolVerdict =
  | { readonly kind: 'enrolled'; readonly agent: Agent }
  /** The same agent has been here with this token: its answer was lost. Nothing is changed. */
  | { readonly kind: 'repeated'; readonly agent: Agent }
  /** Unknown, used by another, or expired. */
  | { readonly kind: 'token-not-valid' }
  /** The token is for a receiver, and this is none, or the other way round. It stays as it is. */
  | { readonly kind: 'other-role' }
  /** Another agent that is not revoked runs on this server. The token stays as it is. */
  | { readonly kind: 'server-taken'; readonly by: Agent }

export type AgentContact = {
  readonly seenAt: Instant
  readonly clockSkewMilliseconds: number
  readonly health?: AgentHealth
  readonly version?: string
  readonly facts?: AgentFacts
  readonly hardware?: ServerHardware
}

export interface AgentStore {
  /** By name, then id; revoked ones too. */
  list(): Promise<readonly Agent[]>
  find(id: AgentId): Promise<Agent | null>
  /** Its site is there. */
  invite(invitation: AgentInvitation): Promise<void>
  /** In one act: uses the token and makes the agent of it, at the site and with the roles of its invitation. */
  enrol(
    tokenHash: string,
    at: Instant,
    agent: Pick<Agent, 'id' | 'name' | 'publicKey' | 'serverIdentity' | 'hardware' | 'version' | 'facts'>,
    /** It says that it is a receiver. */
    receives?: boolean,
  ): Promise<EnrolVerdict>
  /** False when it is not there or revoked already. */
  revoke(id: AgentId, at: Instant, by: string): Promise<boolean>
  /** Which of these are there and not revoked. */
  allowed(ids: readonly AgentId[]): Promise<ReadonlySet<AgentId>>
  /** Does nothing when it has gone meanwhile. */
  seen(id: AgentId, contact: AgentContact): Promise<void>
  /** Null: whoever came from there has not come again. */
  setOtherHardware(id: AgentId, other: OtherHardware | null): Promise<void>
  /** What it was refused for is its server's from now on. False, changing nothing, unless that is what came first at `at`. */
  acceptHardware(id: AgentId, at: Instant): Promise<boolean>
  /** It comes from there from now on. Does nothing when it has gone meanwhile. */
  setHardware(id: AgentId, hardware: ServerHardware): Promise<void>
  /** The number of the newest message of this agent that was taken; 0: none. */
  received(id: AgentId): Promise<number>
  /**
   * Takes the message of this number, and in the same act the answer that it holds. False, changing nothing, unless it is the one after
   * what was received. An answer to an order of another agent, or to one that is answered, is not kept.
   */
  take(
    id: AgentId,
    sequence: number,
    answer: { readonly orderId: AgentOrderId; readonly answer: AgentAnswer; readonly at: Instant } | null,
  ): Promise<boolean>
  /** Gives it the agent's next number. Refuses an unknown agent (`agent/not-found`). */
  order(order: Omit<AgentOrder, 'sequence' | 'answeredAt' | 'answer'>): Promise<AgentOrder>
  /** Its next order gets a number behind this one: the agent knows more of them than we do, as after a backup was brought back. */
  catchUp(id: AgentId, ordered: number): Promise<void>
  /** Who was asked something and has not answered. */
  waitedFor(): Promise<ReadonlySet<AgentId>>
  /** Not answered, behind this number, in order. */
  open(id: AgentId, behind: number): Promise<readonly AgentOrder[]>
  findOrder(id: AgentOrderId): Promise<AgentOrder | null>
  /** The newest answered one of each kind of each agent. */
  newestAnswers(): Promise<readonly AgentOrder[]>
  /** Drops orders and invitations from before. Returns how many. An agent's newest answer of each kind stays. */
  trim(before: Instant): Promise<number>
}
