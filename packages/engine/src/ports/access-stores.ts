// Who may use the control plane, and what they did. Beside the engine's own stores: the server needs them, the engine does not.
// PostgreSQL in the product, plain memory in tests.
import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'
import type { AgentStore } from './agent-store.ts'
import type { HistoryStore } from './history-store.ts'
import type { Page, PageRequest } from './page.ts'
import type { ReceiverStore } from './receiver-store.ts'

export type UserId = Brand<'UserId'>
export type TokenId = Brand<'TokenId'>
export type AuditEntryId = Brand<'AuditEntryId'>

/** From least to most. Each may do what the ones before it may. */
export const roles = ['reader', 'operator', 'contributor', 'owner'] as const
export type Role = (typeof roles)[number]

export type User = {
  readonly id: UserId
  /** What they sign in with. Unique whatever the case. */
  readonly name: string
  readonly email: string | null
  readonly role: Role
  readonly passwordHash: string
  readonly disabled: boolean
  readonly createdAt: Instant
  readonly signedInAt: Instant | null
}

export interface UserStore {
  list(): Promise<readonly User[]>
  find(id: UserId): Promise<User | null>
  findByName(name: string): Promise<User | null>
  /** Refuses a name that is taken (`user/name-taken`). */
  create(user: User): Promise<void>
  /** Refuses (`user/last-owner`) what would leave nobody who is an owner and not disabled; an unknown id (`user/not-found`). */
  update(id: UserId, change: Partial<Omit<User, 'id' | 'createdAt'>>): Promise<void>
  /** Takes sessions, tokens and idempotency keys along. Repeatable. Refuses as `update` does. */
  remove(id: UserId): Promise<void>
}

/** A signed-in browser. Only a hash of the cookie's value is kept: reading the database gives nobody a session. */
export type Session = {
  readonly idHash: string
  readonly userId: UserId
  readonly createdAt: Instant
  readonly seenAt: Instant
  readonly expiresAt: Instant
  readonly ip: string | null
  readonly userAgent: string | null
}

export interface SessionStore {
  create(session: Session): Promise<void>
  /** Also one that has expired: the caller compares `expiresAt` with its clock. */
  find(idHash: string): Promise<Session | null>
  /** From young to old. */
  list(userId: UserId): Promise<readonly Session[]>
  /** Does nothing when it has gone meanwhile. */
  touch(idHash: string, seenAt: Instant, expiresAt: Instant): Promise<void>
  /** Repeatable. */
  remove(idHash: string): Promise<void>
  /** Signs a user out everywhere but in `keepIdHash`. Returns how many sessions ended. */
  removeOfUser(userId: UserId, keepIdHash: string | null): Promise<number>
  /** Drops those that expired before. Returns how many. */
  trim(before: Instant): Promise<number>
}

/** A key for programs. `idHash` is a hash of the secret, which is shown once. */
export type ApiToken = {
  readonly id: TokenId
  readonly idHash: string
  readonly name: string
  /** Never more than its user's role counts. */
  readonly role: Role
  readonly userId: UserId
  readonly createdAt: Instant
  /** Null: never. */
  readonly expiresAt: Instant | null
  readonly lastUsedAt: Instant | null
}

export interface TokenStore {
  /** From young to old. */
  list(userId?: UserId): Promise<readonly ApiToken[]>
  find(id: TokenId): Promise<ApiToken | null>
  findByHash(idHash: string): Promise<ApiToken | null>
  create(token: ApiToken): Promise<void>
  /** Does nothing when it has gone meanwhile. */
  used(id: TokenId, at: Instant): Promise<void>
  /** Repeatable. */
  remove(id: TokenId): Promise<void>
}

export type DisplayLinkId = Brand<'DisplayLinkId'>

/** Opens the wall on a screen where nobody signs in, and nothing else. `idHash` is a hash of the secret, which is shown once. */
export type DisplayLink = {
  readonly id: DisplayLinkId
  readonly idHash: string
  readonly name: string
  readonly layout: 'sites' | 'machines' | 'plans' | 'incident'
  /** How long each picture stays; null: it stays with the first. */
  readonly cycleSeconds: number | null
  /** A name that outlives the user: a screen does not go dark because somebody left. */
  readonly createdBy: string
  readonly createdAt: Instant
  /** Null: never. */
  readonly expiresAt: Instant | null
  readonly lastUsedAt: Instant | null
}

export interface DisplayLinkStore {
  /** From young to old. */
  list(): Promise<readonly DisplayLink[]>
  find(id: DisplayLinkId): Promise<DisplayLink | null>
  findByHash(idHash: string): Promise<DisplayLink | null>
  create(link: DisplayLink): Promise<void>
  /** Does nothing when it has gone meanwhile. */
  used(id: DisplayLinkId, at: Instant): Promise<void>
  /** Repeatable. */
  remove(id: DisplayLinkId): Promise<void>
}

/** What somebody did or tried. Written once, never changed. */
export type AuditEntry = {
  readonly id: AuditEntryId
  readonly at: Instant
  /** A name that outlives the user; `system` for what nobody asked for. */
  readonly who: string
  /** `protection.failover`, `user.create`, `session.sign-in`. */
  readonly action: string
  /** Id and name of what it was done to. */
  readonly subject: string | null
  readonly subjectName: string | null
  readonly outcome: 'granted' | 'refused' | 'failed'
  readonly facts: Readonly<Record<string, unknown>>
  readonly ip: string | null
}

export interface AuditStore {
  append(entry: AuditEntry): Promise<void>
  /** From new to old. */
  list(
    filter: { who?: string; action?: string; subject?: string; from?: Instant; to?: Instant },
    page: PageRequest,
  ): Promise<Page<AuditEntry>>
  /** Bounded history: drops what is older than `before`. Returns how many. */
  trim(before: Instant): Promise<number>
}

export type IdempotencyRequest = {
  readonly key: string
  readonly userId: UserId
  /** Of method, path and body: the same key with another request is a mistake of the caller. */
  readonly requestHash: string
  readonly createdAt: Instant
}

export type IdempotencyVerdict =
  /** Go on; end with `complete` or `abandon`. */
  | { readonly kind: 'new' }
  /** The same request is being worked on right now. */
  | { readonly kind: 'running' }
  | { readonly kind: 'done'; readonly status: number; readonly body: unknown }
  | { readonly kind: 'other-request' }

export interface IdempotencyStore {
  /** Atomic between processes. An unfinished one from before `staleBefore` counts as abandoned: its process died. */
  begin(request: IdempotencyRequest, staleBefore: Instant): Promise<IdempotencyVerdict>
  complete(userId: UserId, key: string, status: number, body: unknown): Promise<void>
  /** The request failed in a way that may be repeated: forget it. Leaves a completed one alone. */
  abandon(userId: UserId, key: string): Promise<void>
  trim(before: Instant): Promise<number>
}

/** The one-time link by which the first owner signs up. */
export interface SetupStore {
  /** True until the first user exists. */
  needed(): Promise<boolean>
  /** Makes this the only link that works. */
  offer(tokenHash: string, expiresAt: Instant): Promise<void>
  /** The link works now: known, not used, not expired, and nobody has signed up yet. */
  isOpen(tokenHash: string, at: Instant): Promise<boolean>
  /** Atomically uses the link and creates the owner. Returns false, changing nothing, when the link is not open. */
  complete(tokenHash: string, at: Instant, owner: User): Promise<boolean>
}

export type ControlPlaneStores = {
  readonly users: UserStore
  readonly sessions: SessionStore
  readonly tokens: TokenStore
  readonly displayLinks: DisplayLinkStore
  readonly audit: AuditStore
  readonly idempotency: IdempotencyStore
  readonly setup: SetupStore
  readonly history: HistoryStore
  readonly agents: AgentStore
  readonly receivers: ReceiverStore
}
