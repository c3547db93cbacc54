// What every implementation of the control plane's access stores must do. Apply it to memory and to the database alike.
import type { Instant } from '@understudy/base/instant'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type {
  ApiToken,
  AuditEntry,
  AuditEntryId,
  ControlPlaneStores,
  DisplayLink,
  DisplayLinkId,
  IdempotencyRequest,
  Session,
  TokenId,
  User,
  UserId,
} from '@understudy/engine/ports/access-stores'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

/** Empty stores for one test. */
export type AccessStoresHarness = { readonly stores: ControlPlaneStores; close(): Promise<void> }

const noon: Instant = Date.parse('2026-01-01T12:00:00Z')
const minute = 60_000

export function accessStoresContract(name: string, make: () => Promise<AccessStoresHarness>): void {
  describe(`access stores: ${name}`, () => {
    let harness: AccessStoresHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(async () => {
      await harness.close()
    })
    const current = (): ControlPlaneStores => harness.stores
    userTests(current)
    sessionTests(current)
    tokenTests(current)
    displayLinkTests(current)
    auditTests(current)
    idempotencyTests(current)
    setupTests(current)
    historyTests(current)
  })
}

type Current = () => ControlPlaneStores

let made = 0
function sampleUser(change: Partial<User> = {}): User {
  made += 1
  return {
    id: `user-${made}` as UserId,
    name: `User ${made}`,
    email: null,
    role: 'reader',
    passwordHash: '$argon2id$',
    disabled: false,
    createdAt: noon,
    signedInAt: null,
    ...change,
  }
}

async function addUser(current: Current, change: Partial<User> = {}): Promise<User> {
  const user = sampleUser(change)
  await current().users.create(user)
  return user
}

const sampleSession = (userId: UserId, idHash: string, change: Partial<Session> = {}): Session => ({
  idHash,
  userId,
  createdAt: noon,
  seenAt: noon,
  expiresAt: noon + minute,
  ip: '192.0.2.1',
  userAgent: null,
  ...change,
})

const sampleToken = (userId: UserId, id: string, change: Partial<ApiToken> = {}): ApiToken => ({
  id: id as TokenId,
  idHash: `hash of ${id}`,
  name: 'Terraform',
  role: 'operator',
  userId,
  createdAt: noon,
  expiresAt: null,
  lastUsedAt: null,
  ...change,
})

function userTests(current: Current): void {
  test('a user comes back as created, found by a name of any case', async () => {
    const user = await addUser(current, { name: 'Ada', email: 'ada@example.org' })
    expect(await current().users.find(user.id)).toEqual(user)
    expect(await current().users.findByName('aDA')).toEqual(user)
    expect(await current().users.findByName('bob')).toBeNull()
    expect(await current().users.list()).toEqual([user])
  })
  test('a user name that is taken is refused, for a new user and for a renamed one', async () => {
    await addUser(current, { name: 'Ada', role: 'owner' })
    const bob = await addUser(current, { name: 'Bob' })
    const taken = { code: 'user/name-taken' }
    await expect(current().users.create(sampleUser({ name: 'ADA' }))).rejects.toMatchObject(taken)
    await expect(current().users.update(bob.id, { name: 'ada' })).rejects.toMatchObject(taken)
    await current().users.update(bob.id, { name: 'BOB' })
    expect(await current().users.findByName('bob')).toEqual({ ...bob, name: 'BOB' })
  })
  test('the last owner who is not disabled cannot be removed, disabled or made less', async () => {
    const owner = await addUser(current, { role: 'owner' })
    await addUser(current, { role: 'owner', disabled: true })
    const refused = { code: 'user/last-owner' }
    await expect(current().users.remove(owner.id)).rejects.toMatchObject(refused)
    await expect(current().users.update(owner.id, { disabled: true })).rejects.toMatchObject(refused)
    await expect(current().users.update(owner.id, { role: 'contributor' })).rejects.toMatchObject(refused)
    expect(await current().users.find(owner.id)).toEqual(owner)
    const other = await addUser(current, { role: 'owner' })
    await current().users.remove(owner.id)
    expect(await current().users.find(owner.id)).toBeNull()
    expect(await current().users.find(other.id)).toEqual(other)
  })
  test('of all owners who are removed at the same moment one stays', async () => {
    const owners: User[] = []
    for (let count = 0; count < 6; count += 1) owners.push(await addUser(current, { role: 'owner' }))
    const ends = await Promise.allSettled(owners.map(({ id }) => current().users.remove(id)))
    expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(await current().users.list()).toHaveLength(1)
  })
  test('an update leaves alone what it does not name and refuses an unknown user', async () => {
    const user = await addUser(current)
    await current().users.update(user.id, { signedInAt: noon + 1 })
    expect(await current().users.find(user.id)).toEqual({ ...user, signedInAt: noon + 1 })
    await expect(current().users.update('nobody' as UserId, { email: 'x' })).rejects.toMatchObject({
      code: 'user/not-found',
    })
  })
  test('a removed user takes sessions, tokens and keys along', async () => {
    await addUser(current, { role: 'owner' })
    const { id } = await addUser(current)
    const { users, sessions, tokens, idempotency } = current()
    await sessions.create(sampleSession(id, 'a'))
    await tokens.create(sampleToken(id, 't'))
    await idempotency.begin({ key: 'k', userId: id, requestHash: 'r', createdAt: noon }, 0)
    await users.remove(id)
    await users.remove(id)
    expect(await sessions.find('a')).toBeNull()
    expect(await tokens.list()).toEqual([])
    await users.create(sampleUser({ id }))
    expect(await idempotency.begin({ key: 'k', userId: id, requestHash: 'r', createdAt: noon }, 0)).toEqual({
      kind: 'new',
    })
  })
}

function sessionTests(current: Current): void {
  test('a session is kept, prolonged and ended', async () => {
    const { id } = await addUser(current)
    const { sessions } = current()
    const session = sampleSession(id, 'a')
    await sessions.create(session)
    expect(await sessions.find('a')).toEqual(session)
    await sessions.touch('a', noon + 1, noon + 2 * minute)
    expect(await sessions.find('a')).toEqual({ ...session, seenAt: noon + 1, expiresAt: noon + 2 * minute })
    await sessions.remove('a')
    await sessions.remove('a')
    await sessions.touch('a', noon, noon)
    expect(await sessions.find('a')).toBeNull()
  })
  test('a session of nobody is refused', async () => {
    const session = sampleSession('nobody' as UserId, 'a')
    await expect(current().sessions.create(session)).rejects.toMatchObject({ code: 'user/not-found' })
  })
  test('signing out everywhere keeps the one session that asks, and other users', async () => {
    const [ada, bob] = [await addUser(current), await addUser(current)]
    const { sessions } = current()
    for (const [index, idHash] of ['a', 'b', 'c'].entries())
      await sessions.create(sampleSession(ada.id, idHash, { createdAt: noon + index }))
    await sessions.create(sampleSession(bob.id, 'd'))
    expect((await sessions.list(ada.id)).map(({ idHash }) => idHash)).toEqual(['c', 'b', 'a'])
    expect(await sessions.removeOfUser(ada.id, 'b')).toBe(2)
    expect((await sessions.list(ada.id)).map(({ idHash }) => idHash)).toEqual(['b'])
    expect(await sessions.removeOfUser(ada.id, null)).toBe(1)
    expect(await sessions.list(bob.id)).toHaveLength(1)
  })
  test('trimming drops expired sessions only', async () => {
    const { id } = await addUser(current)
    const { sessions } = current()
    await sessions.create(sampleSession(id, 'old', { expiresAt: noon }))
    await sessions.create(sampleSession(id, 'new', { expiresAt: noon + 1 }))
    expect(await sessions.trim(noon + 1)).toBe(1)
    expect(await sessions.find('old')).toBeNull()
    expect(await sessions.find('new')).not.toBeNull()
  })
}

function displayLinkTests(current: Current): void {
  const sampleLink = (id: string, change: Partial<DisplayLink> = {}): DisplayLink => ({
    id: id as DisplayLinkId,
    idHash: `hash of ${id}`,
    name: 'Operations room',
    layout: 'plans',
    cycleSeconds: 30,
    createdBy: 'ada',
    createdAt: noon,
    expiresAt: null,
    lastUsedAt: null,
    ...change,
  })
  test('a display link is found by its hash, remembers its last use and can be revoked', async () => {
    const { displayLinks } = current()
    const link = sampleLink('l', { expiresAt: noon + minute })
    await displayLinks.create(link)
    expect(await displayLinks.findByHash(link.idHash)).toEqual(link)
    expect(await displayLinks.findByHash('other')).toBeNull()
    await displayLinks.used(link.id, noon + 5)
    expect(await displayLinks.find(link.id)).toEqual({ ...link, lastUsedAt: noon + 5 })
    await displayLinks.remove(link.id)
    await displayLinks.remove(link.id)
    await displayLinks.used(link.id, noon)
    expect(await displayLinks.find(link.id)).toBeNull()
  })
  test('display links are listed from young to old', async () => {
    const { displayLinks } = current()
    for (const [index, id] of ['a', 'b', 'c'].entries())
      await displayLinks.create(sampleLink(id, { createdAt: noon + index, cycleSeconds: null }))
    expect((await displayLinks.list()).map(({ id }) => id)).toEqual(['c', 'b', 'a'])
  })
}

function tokenTests(current: Current): void {
  test('a token is found by its hash, remembers its last use and can be withdrawn', async () => {
    const { id } = await addUser(current)
    const { tokens } = current()
    const token = sampleToken(id, 't', { expiresAt: noon + minute })
    await tokens.create(token)
    expect(await tokens.findByHash(token.idHash)).toEqual(token)
    expect(await tokens.findByHash('other')).toBeNull()
    await tokens.used(token.id, noon + 5)
    expect(await tokens.find(token.id)).toEqual({ ...token, lastUsedAt: noon + 5 })
    await tokens.remove(token.id)
    await tokens.remove(token.id)
    await tokens.used(token.id, noon)
    expect(await tokens.find(token.id)).toBeNull()
  })
  test('tokens are listed from young to old, of one user or of all', async () => {
    const [ada, bob] = [await addUser(current), await addUser(current)]
    const { tokens } = current()
    await tokens.create(sampleToken(ada.id, 'a', { createdAt: noon }))
    await tokens.create(sampleToken(bob.id, 'b', { createdAt: noon + 1 }))
    await tokens.create(sampleToken(ada.id, 'c', { createdAt: noon + 2 }))
    expect((await tokens.list()).map(({ id }) => id)).toEqual(['c', 'b', 'a'])
    expect((await tokens.list(ada.id)).map(({ id }) => id)).toEqual(['c', 'a'])
  })
}

function sampleEntry(change: Partial<AuditEntry> = {}): AuditEntry {
  made += 1
  return {
    id: `entry-${made}` as AuditEntryId,
    at: noon,
    who: 'ada',
    action: 'user.create',
    subject: null,
    subjectName: null,
    outcome: 'granted',
    facts: { role: 'reader', nested: [1, null] },
    ip: null,
    ...change,
  }
}

function auditTests(current: Current): void {
  test('audit entries are listed from new to old, by who, action, subject and time', async () => {
    const { audit } = current()
    const a = sampleEntry({ who: 'ada', subject: 'x', at: noon })
    const b = sampleEntry({ who: 'bob', subject: 'x', at: noon + 1, action: 'site.create' })
    const c = sampleEntry({ who: 'ada', at: noon + 2, outcome: 'refused', ip: '192.0.2.1' })
    for (const entry of [a, b, c]) await audit.append(entry)
    const list = async (filter: Parameters<typeof audit.list>[0]) =>
      (await audit.list(filter, { limit: 10, cursor: null })).rows
    expect(await list({})).toEqual([c, b, a])
    expect(await list({ who: 'ada' })).toEqual([c, a])
    expect(await list({ subject: 'x', action: 'site.create' })).toEqual([b])
    expect(await list({ from: noon + 1 })).toEqual([c, b])
    expect(await list({ from: noon, to: noon + 2 })).toEqual([b, a])
  })
  test('pages of the audit neither repeat nor skip an entry of one instant, while new ones come', async () => {
    const { audit } = current()
    const entries = Array.from({ length: 7 }, () => sampleEntry())
    for (const entry of entries) await audit.append(entry)
    const seen: AuditEntry[] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof audit.list>> = await audit.list({}, { limit: 3, cursor })
      seen.push(...page.rows)
      await audit.append(sampleEntry({ at: noon + 1 }))
      cursor = page.next
    } while (cursor !== null)
    expect(seen).toEqual(entries.toReversed())
  })
  test('an entry is written once, and goes when it is old', async () => {
    const { audit } = current()
    const entry = sampleEntry()
    await audit.append(entry)
    await audit.append({ ...entry, who: 'mallory' })
    expect((await audit.list({}, { limit: 10, cursor: null })).rows).toEqual([entry])
    expect(await audit.trim(noon)).toBe(0)
    expect(await audit.trim(noon + 1)).toBe(1)
  })
}

function idempotencyTests(current: Current): void {
  const begin = async () => {
    const { id } = await addUser(current)
    const request: IdempotencyRequest = { key: 'k', userId: id, requestHash: 'r', createdAt: noon }
    return { request, keys: current().idempotency }
  }
  test('a repeated request gets the first answer, another request under its key does not', async () => {
    const { request, keys } = await begin()
    expect(await keys.begin(request, 0)).toEqual({ kind: 'new' })
    expect(await keys.begin(request, 0)).toEqual({ kind: 'running' })
    await keys.complete(request.userId, 'k', 202, { jobId: 'j', list: [1, null] })
    const done = { kind: 'done', status: 202, body: { jobId: 'j', list: [1, null] } }
    expect(await keys.begin(request, noon + minute)).toEqual(done)
    expect(await keys.begin({ ...request, requestHash: 'other' }, 0)).toEqual({ kind: 'other-request' })
    expect(await keys.begin({ ...request, key: 'k2' }, 0)).toEqual({ kind: 'new' })
  })
  test('an answer without a body stays without one, and a null body null', async () => {
    const { request, keys } = await begin()
    await keys.begin(request, 0)
    await keys.complete(request.userId, 'k', 204, undefined)
    expect(await keys.begin(request, 0)).toEqual({ kind: 'done', status: 204, body: undefined })
    await keys.begin({ ...request, key: 'n' }, 0)
    await keys.complete(request.userId, 'n', 200, null)
    expect(await keys.begin({ ...request, key: 'n' }, 0)).toEqual({ kind: 'done', status: 200, body: null })
  })
  test('an abandoned request may be made again, a completed one is not forgotten', async () => {
    const { request, keys } = await begin()
    await keys.begin(request, 0)
    await keys.abandon(request.userId, 'k')
    expect(await keys.begin(request, 0)).toEqual({ kind: 'new' })
    await keys.complete(request.userId, 'k', 200, 1)
    await keys.abandon(request.userId, 'k')
    expect(await keys.begin(request, 0)).toMatchObject({ kind: 'done' })
  })
  test('a request whose process died is free again after a while, for one', async () => {
    const { request, keys } = await begin()
    await keys.begin(request, 0)
    expect(await keys.begin(request, noon)).toEqual({ kind: 'running' })
    const again = { ...request, createdAt: noon + minute }
    const verdicts = await Promise.all([1, 2, 3].map(() => keys.begin(again, noon + 1)))
    expect(verdicts.map(({ kind }) => kind).sort()).toEqual(['new', 'running', 'running'])
  })
  test('of many that come with one key at the same moment one is new', async () => {
    const { request, keys } = await begin()
    const verdicts = await Promise.all(Array.from({ length: 6 }, () => keys.begin(request, 0)))
    expect(verdicts.filter(({ kind }) => kind === 'new')).toHaveLength(1)
    expect(await keys.trim(noon)).toBe(0)
    expect(await keys.trim(noon + 1)).toBe(1)
  })
}

function setupTests(current: Current): void {
  test('the set-up link makes one owner, once', async () => {
    const { setup, users } = current()
    await setup.offer('link', noon + minute)
    expect(await setup.needed()).toBe(true)
    expect(await setup.isOpen('link', noon)).toBe(true)
    expect(await setup.isOpen('other', noon)).toBe(false)
    const owners = [sampleUser({ role: 'owner' }), sampleUser({ role: 'owner' })]
    const ends = await Promise.all(owners.map((owner) => setup.complete('link', noon, owner)))
    expect(ends.filter(Boolean)).toHaveLength(1)
    expect(await users.list()).toEqual(owners.filter((_, index) => ends[index]))
    expect(await setup.needed()).toBe(false)
    expect(await setup.isOpen('link', noon)).toBe(false)
  })
  test('an expired link and a replaced link are not open', async () => {
    const { setup, users } = current()
    await setup.offer('first', noon + minute)
    await setup.offer('second', noon + minute)
    expect(await setup.isOpen('first', noon)).toBe(false)
    expect(await setup.complete('first', noon, sampleUser({ role: 'owner' }))).toBe(false)
    expect(await setup.isOpen('second', noon + minute)).toBe(false)
    expect(await setup.complete('second', noon + minute, sampleUser({ role: 'owner' }))).toBe(false)
    expect(await users.list()).toEqual([])
  })
  test('no link is open once somebody has signed up', async () => {
    const { setup } = current()
    await addUser(current, { role: 'owner' })
    await setup.offer('link', noon + minute)
    expect(await setup.isOpen('link', noon)).toBe(false)
    expect(await setup.complete('link', noon, sampleUser({ role: 'owner' }))).toBe(false)
  })
}

function historyTests(current: Current): void {
  const id = 'protection-1' as ProtectionId
  const sample = (at: Instant, lagSeconds: number | null, bytes: number, protectionId = id) => ({
    protectionId,
    at,
    lagSeconds,
    bytes,
  })
  test('samples come back from old to new, of one protection and between two instants', async () => {
    const { history } = current()
    const rows = [sample(noon, null, 0), sample(noon + 1000, 2.5, 2 ** 45), sample(noon + 2000, 1, 7)]
    await history.append([...rows].reverse())
    await history.append([sample(noon, 9, 9, 'protection-2' as ProtectionId)])
    await history.append([])
    expect(await history.range(id, noon, noon + 2000, 100)).toEqual(rows.slice(0, 2))
    expect(await history.range(id, noon, noon + 2001, 3)).toEqual(rows)
  })
  test('a second sample of one instant replaces the first, also within one call', async () => {
    const { history } = current()
    await history.append([sample(noon, 1, 1), sample(noon, 2, 2)])
    await history.append([sample(noon, 3, 3)])
    expect(await history.range(id, noon, noon + 1, 10)).toEqual([sample(noon, 3, 3)])
  })
  test('more samples than wanted are merged: greatest lag, all bytes, newest instant of each slot', async () => {
    const { history } = current()
    await history.append(Array.from({ length: 10 }, (_, index) => sample(noon + index * 1000, index % 4, 10)))
    expect(await history.range(id, noon, noon + 10_000, 5)).toEqual([
      sample(noon + 1000, 1, 20),
      sample(noon + 3000, 3, 20),
      sample(noon + 5000, 1, 20),
      sample(noon + 7000, 3, 20),
      sample(noon + 9000, 1, 20),
    ])
  })
  test('trimming drops what is older and says how much', async () => {
    const { history } = current()
    await history.append([sample(noon, 1, 1), sample(noon + 1, 1, 1)])
    expect(await history.trim(noon + 1)).toBe(1)
    expect(await history.range(id, noon, noon + minute, 10)).toEqual([sample(noon + 1, 1, 1)])
  })
}
