import { Refusal } from '@understudy/base/errors'
import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { Session as ShownSession, User as ShownUser } from '@understudy/contract/access'
import type { ApiToken, Role, Session, TokenId, User, UserId } from '@understudy/engine/ports/access-stores'
import { hashPassword, hashSecret, isPasswordRight, newSecret } from '../access/secrets.ts'
import { callerOf } from './asker.ts'
import { type ApiDeps, os, type RequestContext } from './context.ts'

const dayMilliseconds = 24 * 3_600_000
const showUser = (user: User): ShownUser => ({
  id: user.id,
  name: user.name,
  role: user.role,
  disabled: user.disabled,
  createdAt: toIso(user.createdAt),
  lastSeenAt: toIsoOrNull(user.signedInAt),
})

const showToken = (token: ApiToken) => ({
  id: token.id,
  name: token.name,
  role: token.role,
  createdAt: toIso(token.createdAt),
  expiresAt: toIsoOrNull(token.expiresAt),
  lastUsedAt: toIsoOrNull(token.lastUsedAt),
})

const newUser = async (deps: ApiDeps, name: string, role: Role, password: string): Promise<User> => ({
  id: deps.newId() as UserId,
  name,
  email: null,
  role,
  passwordHash: await hashPassword(password),
  disabled: false,
  createdAt: deps.clock.now(),
  signedInAt: null,
})

/** Starts a session: the secret goes into the cookie, its hash into the store. */
async function beginSession(deps: ApiDeps, user: User, context: RequestContext): Promise<ShownSession> {
  const secret = newSecret()
  const now = deps.clock.now()
  const session: Session = {
    idHash: hashSecret(secret),
    userId: user.id,
    createdAt: now,
    seenAt: now,
    expiresAt: now + deps.session.sessionMilliseconds,
    ip: context.ip,
    userAgent: context.userAgent,
  }
  await deps.stores.sessions.create(session)
  context.setHeader('set-cookie', deps.session.cookieFor(secret))
  return {
    user: showUser(user),
    expiresAt: toIso(session.expiresAt),
    csrfToken: deps.session.csrfTokenOf(session.idHash),
  }
}

export function setupRoutes(deps: ApiDeps) {
  return {
    status: os.setup.status.handler(async () => ({
      needed: await deps.stores.setup.needed(),
      version: deps.version,
    })),
    complete: os.setup.complete.handler(async ({ input, context }) => {
      const tokenHash = hashSecret(input.token)
      const closed = () =>
        new Refusal({
          code: 'setup/link-not-valid',
          message: 'This set-up link is not valid any more',
          remedy: 'Use the newest link that the server printed; restart the server to get a fresh one.',
        })
      // Before the costly hash: strangers must not be able to burn our processor.
      if (!(await deps.stores.setup.isOpen(tokenHash, deps.clock.now()))) throw closed()
      const owner = await newUser(deps, input.name, 'owner', input.password)
      if (!(await deps.stores.setup.complete(tokenHash, deps.clock.now(), owner))) throw closed()
      context.audit(owner.id, { name: owner.name, role: owner.role })
      await deps.stores.users.update(owner.id, { signedInAt: deps.clock.now() })
      return beginSession(deps, { ...owner, signedInAt: deps.clock.now() }, context)
    }),
  }
}

export function sessionRoutes(deps: ApiDeps) {
  return {
    current: os.session.current.handler(({ context }) => {
      const caller = callerOf(context)
      const expiresAt =
        caller.session?.expiresAt ?? caller.token?.expiresAt ?? deps.clock.now() + dayMilliseconds
      return {
        user: { ...showUser(caller.user), role: caller.role },
        expiresAt: toIso(expiresAt),
        csrfToken: caller.session ? deps.session.csrfTokenOf(caller.session.idHash) : '',
      }
    }),
    signIn: os.session.signIn.handler(async ({ input, context }) => {
      context.audit(null, { name: input.name })
      const user = await deps.stores.users.findByName(input.name)
      const right = await isPasswordRight(user?.passwordHash ?? null, input.password)
      if (!user || !right || user.disabled)
        throw new Refusal({
          code: 'access/wrong-credentials',
          message: 'Name or password is wrong',
          remedy: 'Check both and try again, or ask an owner to set a new password.',
        })
      await deps.stores.users.update(user.id, { signedInAt: deps.clock.now() })
      return beginSession(deps, user, context)
    }),
    changePassword: os.session.changePassword.handler(async ({ input, context }) => {
      const { user, session } = callerOf(context)
      context.audit(user.id, { name: user.name })
      if (!(await isPasswordRight(user.passwordHash, input.current)))
        throw new Refusal({
          code: 'password/wrong',
          message: 'The current password is not right',
          remedy: 'Type it again. If it is lost, an owner can set a new one under Settings, Users.',
        })
      await deps.stores.users.update(user.id, { passwordHash: await hashPassword(input.password) })
      // Whoever else knew it is out now.
      await deps.stores.sessions.removeOfUser(user.id, session?.idHash ?? null)
      return {}
    }),
    signOut: os.session.signOut.handler(async ({ context }) => {
      const { session } = callerOf(context)
      if (session) await deps.stores.sessions.remove(session.idHash)
      context.setHeader('set-cookie', deps.session.expiredCookie())
      return {}
    }),
  }
}

export function userRoutes(deps: ApiDeps) {
  const showOne = async (id: string): Promise<ShownUser> => {
    const user = await deps.stores.users.find(id as UserId)
    if (user) return showUser(user)
    throw new Refusal({
      code: 'user/unknown',
      message: `There is no user with the id ${id}`,
      remedy: 'Read the list of users again.',
    })
  }
  return {
    list: os.users.list.handler(async () => {
      const items = (await deps.stores.users.list()).map(showUser)
      return { items, next: null, total: items.length }
    }),
    create: os.users.create.handler(async ({ input, context }) => {
      context.audit(null, { name: input.name, role: input.role })
      const user = await newUser(deps, input.name, input.role, input.password)
      await deps.stores.users.create(user)
      return showUser(user)
    }),
    update: os.users.update.handler(async ({ input, context }) => {
      const { id, role, disabled, password } = input
      context.audit(id, { role, disabled, passwordChanged: password !== undefined })
      await deps.stores.users.update(id as UserId, {
        ...(role === undefined ? {} : { role }),
        ...(disabled === undefined ? {} : { disabled }),
        ...(password === undefined ? {} : { passwordHash: await hashPassword(password) }),
      })
      // Whoever knew the old password, or was disabled, is out now; the one who changes their own stays in.
      if (disabled === true || password !== undefined) {
        const own = callerOf(context)
        const keep = own.user.id === id ? (own.session?.idHash ?? null) : null
        await deps.stores.sessions.removeOfUser(id as UserId, keep)
      }
      return showOne(id)
    }),
    remove: os.users.remove.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await deps.stores.users.remove(input.id as UserId)
      return {}
    }),
  }
}

export function tokenRoutes(deps: ApiDeps) {
  return {
    list: os.tokens.list.handler(async () => {
      const items = (await deps.stores.tokens.list()).map(showToken)
      return { items, next: null, total: items.length }
    }),
    create: os.tokens.create.handler(async ({ input, context }) => {
      context.audit(null, { name: input.name, role: input.role })
      const secret = `us_${newSecret()}`
      const now = deps.clock.now()
      const token: ApiToken = {
        id: deps.newId() as TokenId,
        idHash: hashSecret(secret),
        name: input.name,
        role: input.role,
        userId: callerOf(context).user.id,
        createdAt: now,
        expiresAt: input.expiresInDays === null ? null : now + input.expiresInDays * dayMilliseconds,
        lastUsedAt: null,
      }
      await deps.stores.tokens.create(token)
      context.audit(token.id, {})
      return { ...showToken(token), secret }
    }),
    remove: os.tokens.remove.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await deps.stores.tokens.remove(input.id as TokenId)
      return {}
    }),
  }
}

export function auditRoutes(deps: ApiDeps) {
  const shownOutcome = { granted: 'accepted', refused: 'refused', failed: 'failed' } as const
  return {
    list: os.audit.list.handler(async ({ input }) => {
      const page = await deps.stores.audit.list({}, { limit: input.limit, cursor: input.cursor ?? null })
      const items = page.rows.map((entry) => ({
        id: entry.id,
        at: toIso(entry.at),
        who: entry.who,
        action: entry.action,
        subject: entry.subjectName ?? entry.subject,
        outcome: shownOutcome[entry.outcome],
        facts: { ...entry.facts },
        address: entry.ip,
      }))
      return { items, next: page.next, total: null }
    }),
  }
}
