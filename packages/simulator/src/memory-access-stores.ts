// Users, sessions, tokens, audit and lag history in plain memory: the model that the PostgreSQL stores are judged by.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type {
  ApiToken,
  AuditEntry,
  AuditStore,
  ControlPlaneStores,
  DisplayLink,
  DisplayLinkId,
  DisplayLinkStore,
  IdempotencyRequest,
  IdempotencyStore,
  Session,
  SessionStore,
  SetupStore,
  TokenId,
  TokenStore,
  User,
  UserId,
  UserStore,
} from '@understudy/engine/ports/access-stores'
import type { HistoryStore, LagSample } from '@understudy/engine/ports/history-store'
import { memoryAgentStore } from './memory-agent-store.ts'
import { memoryReceiverStore } from './memory-receiver-store.ts'

/** Every operation is atomic: nothing awaits between reading and writing. Keep the object to simulate a restart. */
export function memoryAccessStores(): ControlPlaneStores {
  const users = new Map<UserId, User>()
  const sessions = new Map<string, Session>()
  const tokens = new Map<TokenId, ApiToken>()
  const keys = new Map<string, KeyRow>()
  const dropUser = (id: UserId): void => {
    for (const session of sessions.values()) if (session.userId === id) sessions.delete(session.idHash)
    for (const token of tokens.values()) if (token.userId === id) tokens.delete(token.id)
    for (const [at, row] of keys) if (row.request.userId === id) keys.delete(at)
  }
  return {
    users: memoryUserStore(users, dropUser),
    sessions: memorySessionStore(sessions, users),
    tokens: memoryTokenStore(tokens, users),
    displayLinks: memoryDisplayLinkStore(),
    audit: memoryAuditStore(),
    idempotency: memoryIdempotencyStore(keys, users),
    setup: memorySetupStore(users),
    history: memoryHistoryStore(),
    agents: memoryAgentStore(),
    receivers: memoryReceiverStore(),
  }
}

const copy = <Value>(value: Value): Value => structuredClone(value)
const toKey = (name: string): string => name.normalize('NFC').toLowerCase()

const userMissing = (id: UserId): Refusal =>
  new Refusal({
    code: 'user/not-found',
    message: `There is no user ${id}`,
    remedy: 'Reload the list; somebody may have removed it.',
  })

function memoryUserStore(rows: Map<UserId, User>, dropUser: (id: UserId) => void): UserStore {
  const byName = (name: string): User | undefined =>
    [...rows.values()].find((user) => toKey(user.name) === toKey(name))
  const refuseTaken = (user: User): void => {
    const other = byName(user.name)
    if (other && other.id !== user.id)
      throw new Refusal({
        code: 'user/name-taken',
        message: `There is a user called "${user.name}" already`,
        remedy: 'Choose another name.',
      })
  }
  const refuseOwnerless = (left: Iterable<User>): void => {
    if ([...left].some((user) => user.role === 'owner' && !user.disabled)) return
    throw new Refusal({
      code: 'user/last-owner',
      message: 'Nobody would be left who may manage users',
      remedy: 'Make somebody else an owner first.',
    })
  }
  return {
    list: async () => copy([...rows.values()].sort((a, b) => (toKey(a.name) < toKey(b.name) ? -1 : 1))),
    find: async (id) => copy(rows.get(id) ?? null),
    findByName: async (name) => copy(byName(name) ?? null),
    async create(user) {
      refuseTaken(user)
      rows.set(user.id, copy(user))
    },
    async update(id, change) {
      const before = rows.get(id)
      if (!before) throw userMissing(id)
      const after = { ...before, ...change }
      refuseTaken(after)
      if (change.role !== undefined || change.disabled !== undefined)
        refuseOwnerless(new Map(rows).set(id, after).values())
      rows.set(id, copy(after))
    },
    async remove(id) {
      if (!rows.has(id)) return
      refuseOwnerless([...rows.values()].filter((user) => user.id !== id))
      rows.delete(id)
      dropUser(id)
    },
  }
}

function memorySessionStore(rows: Map<string, Session>, users: ReadonlyMap<UserId, User>): SessionStore {
  const dropWhere = (gone: (session: Session) => boolean): number => {
    const ids = [...rows.values()].filter(gone).map((session) => session.idHash)
    for (const id of ids) rows.delete(id)
    return ids.length
  }
  return {
    async create(session) {
      if (!users.has(session.userId)) throw userMissing(session.userId)
      rows.set(session.idHash, copy(session))
    },
    find: async (idHash) => copy(rows.get(idHash) ?? null),
    list: async (userId) =>
      copy(
        [...rows.values()].filter((row) => row.userId === userId).sort((a, b) => b.createdAt - a.createdAt),
      ),
    async touch(idHash, seenAt, expiresAt) {
      const row = rows.get(idHash)
      if (row) rows.set(idHash, { ...row, seenAt, expiresAt })
    },
    async remove(idHash) {
      rows.delete(idHash)
    },
    removeOfUser: async (userId, keepIdHash) =>
      dropWhere((row) => row.userId === userId && row.idHash !== keepIdHash),
    trim: async (before) => dropWhere((row) => row.expiresAt < before),
  }
}

function memoryTokenStore(rows: Map<TokenId, ApiToken>, users: ReadonlyMap<UserId, User>): TokenStore {
  return {
    list: async (userId) =>
      copy(
        [...rows.values()]
          .filter((row) => userId === undefined || row.userId === userId)
          .sort((a, b) => b.createdAt - a.createdAt),
      ),
    find: async (id) => copy(rows.get(id) ?? null),
    findByHash: async (idHash) => copy([...rows.values()].find((row) => row.idHash === idHash) ?? null),
    async create(token) {
      if (!users.has(token.userId)) throw userMissing(token.userId)
      rows.set(token.id, copy(token))
    },
    async used(id, at) {
      const row = rows.get(id)
      if (row) rows.set(id, { ...row, lastUsedAt: at })
    },
    async remove(id) {
      rows.delete(id)
    },
  }
}

function memoryDisplayLinkStore(): DisplayLinkStore {
  const rows = new Map<DisplayLinkId, DisplayLink>()
  return {
    list: async () => copy([...rows.values()].sort((a, b) => b.createdAt - a.createdAt)),
    find: async (id) => copy(rows.get(id) ?? null),
    findByHash: async (idHash) => copy([...rows.values()].find((row) => row.idHash === idHash) ?? null),
    async create(link) {
      rows.set(link.id, copy(link))
    },
    async used(id, at) {
      const row = rows.get(id)
      if (row) rows.set(id, { ...row, lastUsedAt: at })
    },
    async remove(id) {
      rows.delete(id)
    },
  }
}

function memoryAuditStore(): AuditStore {
  let rows: { readonly order: number; readonly entry: AuditEntry }[] = []
  let order = 0
  return {
    async append(entry) {
      if (rows.some((row) => row.entry.id === entry.id)) return
      order += 1
      rows.push({ order, entry: copy(entry) })
    },
    async list({ who, action, subject, from, to }, page) {
      const [at = Infinity, place = Infinity] = page.cursor === null ? [] : page.cursor.split('/').map(Number)
      const rest = rows
        .filter(
          ({ entry }) =>
            (who === undefined || entry.who === who) &&
            (action === undefined || entry.action === action) &&
            (subject === undefined || entry.subject === subject) &&
            (from === undefined || entry.at >= from) &&
            (to === undefined || entry.at < to),
        )
        .sort((a, b) => b.entry.at - a.entry.at || b.order - a.order)
        .filter((row) => row.entry.at < at || (row.entry.at === at && row.order < place))
      const shown = rest.slice(0, page.limit)
      const last = shown.at(-1)
      const next = last && rest.length > shown.length ? `${last.entry.at}/${last.order}` : null
      return { rows: shown.map((row) => copy(row.entry)), next }
    },
    async trim(before) {
      const kept = rows.filter((row) => row.entry.at >= before)
      const removed = rows.length - kept.length
      rows = kept
      return removed
    },
  }
}

type KeyRow = {
  readonly request: IdempotencyRequest
  readonly answer: { readonly status: number; readonly body: unknown } | null
}

function memoryIdempotencyStore(
  rows: Map<string, KeyRow>,
  users: ReadonlyMap<UserId, User>,
): IdempotencyStore {
  const place = (userId: UserId, key: string): string => JSON.stringify([userId, key])
  return {
    async begin(request, staleBefore) {
      if (!users.has(request.userId)) throw userMissing(request.userId)
      const at = place(request.userId, request.key)
      const row = rows.get(at)
      if (!row || (row.answer === null && row.request.createdAt < staleBefore)) {
        rows.set(at, { request: copy(request), answer: null })
        return { kind: 'new' }
      }
      if (row.request.requestHash !== request.requestHash) return { kind: 'other-request' }
      return row.answer === null ? { kind: 'running' } : { kind: 'done', ...copy(row.answer) }
    },
    async complete(userId, key, status, body) {
      const row = rows.get(place(userId, key))
      if (row) rows.set(place(userId, key), { ...row, answer: copy({ status, body }) })
    },
    async abandon(userId, key) {
      if (rows.get(place(userId, key))?.answer === null) rows.delete(place(userId, key))
    },
    async trim(before) {
      const old = [...rows].filter(([, row]) => row.request.createdAt < before)
      for (const [at] of old) rows.delete(at)
      return old.length
    },
  }
}

function memorySetupStore(users: Map<UserId, User>): SetupStore {
  let link: { readonly tokenHash: string; readonly expiresAt: Instant } | null = null
  const isOpen = (tokenHash: string, at: Instant): boolean =>
    users.size === 0 && link?.tokenHash === tokenHash && at < link.expiresAt
  return {
    needed: async () => users.size === 0,
    async offer(tokenHash, expiresAt) {
      link = { tokenHash, expiresAt }
    },
    isOpen: async (tokenHash, at) => isOpen(tokenHash, at),
    async complete(tokenHash, at, owner) {
      if (!isOpen(tokenHash, at)) return false
      link = null
      users.set(owner.id, copy(owner))
      return true
    },
  }
}

function memoryHistoryStore(): HistoryStore {
  const rows = new Map<string, LagSample>()
  const place = (sample: LagSample): string => JSON.stringify([sample.protectionId, sample.at])
  return {
    async append(samples) {
      for (const sample of samples) rows.set(place(sample), copy(sample))
    },
    async range(protectionId, from, to, maximumRows) {
      const wanted = [...rows.values()]
        .filter((row) => row.protectionId === protectionId && row.at >= from && row.at < to)
        .sort((a, b) => a.at - b.at)
      if (wanted.length <= maximumRows) return copy(wanted)
      const slot = (row: LagSample): number => Math.floor(((row.at - from) / (to - from)) * maximumRows)
      return [...Map.groupBy(wanted, slot).values()].map((group) => merge(protectionId, group))
    },
    async trim(before) {
      const old = [...rows.values()].filter((row) => row.at < before)
      for (const row of old) rows.delete(place(row))
      return old.length
    },
  }
}

function merge(protectionId: LagSample['protectionId'], samples: readonly LagSample[]): LagSample {
  const lags = samples.flatMap((sample) => (sample.lagSeconds === null ? [] : [sample.lagSeconds]))
  return {
    protectionId,
    at: Math.max(...samples.map((sample) => sample.at)),
    lagSeconds: lags.length === 0 ? null : Math.max(...lags),
    bytes: samples.reduce((sum, sample) => sum + sample.bytes, 0),
  }
}
