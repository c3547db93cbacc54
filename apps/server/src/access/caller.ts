// Who is behind a request: a browser's session cookie or a program's bearer token, looked up in one place.
import type { Clock } from '@understudy/base/instant'
import { mayCall } from '@understudy/contract/roles'
import type {
  ApiToken,
  ControlPlaneStores,
  DisplayLink,
  Role,
  Session,
  User,
} from '@understudy/engine/ports/access-stores'
import { hashSecret } from './secrets.ts'

export type Caller = {
  readonly user: User
  readonly role: Role
  /** Name for job, event and audit. */
  readonly name: string
  readonly session: Session | null
  readonly token: ApiToken | null
}

/** Also the name of the cookie where the server does not speak https; see `cookieName`. */
const plainCookie = 'understudy_session'

/** `__Host-` makes the browser refuse the cookie from anyone but this very host, but only over https. */
export const cookieName = (secure: boolean): string => (secure ? `__Host-${plainCookie}` : plainCookie)

const lower = (a: Role, b: Role): Role => (mayCall(a, b) ? a : b)

/** However much it is used, a session ends: a console on a wall must not stay signed in for ever. */
const longestSessionMilliseconds = 30 * 24 * 3_600_000

/** Resolution of the last-seen stamp: not a write for every request. */
const touchEveryMilliseconds = 60_000

/** What a display link's secret begins with, so that it is told from a token. */
export const displayPrefix = 'ud_'

export type CallerFinder = {
  /** Null: nobody, or a session or token that is over. Counts as use, so that an idle session is told from one in use. */
  find(headers: CallerHeaders): Promise<Caller | null>
  /** The same without counting as use: for what a page does by itself, such as keeping its socket open. */
  look(headers: CallerHeaders): Promise<Caller | null>
  /** Whether a display link was sent at all, and which; `link` null: it opens nothing any more. Null: none was sent. */
  findDisplay(headers: CallerHeaders): Promise<SentDisplay | null>
}

export type SentDisplay =
  | { readonly link: DisplayLink }
  | { readonly link: null; readonly end: 'revoked' | 'expired' }

type CallerHeaders = {
  readonly cookie?: string | undefined
  readonly authorization?: string | undefined
}

export function callerFinder(
  stores: Pick<ControlPlaneStores, 'users' | 'sessions' | 'tokens' | 'displayLinks'>,
  clock: Clock,
  options: { readonly secure: boolean; readonly sessionHours: number },
): CallerFinder {
  const sessionMilliseconds = options.sessionHours * 3_600_000

  async function bySession(secret: string, inUse: boolean): Promise<Caller | null> {
    const session = await stores.sessions.find(hashSecret(secret))
    const now = clock.now()
    if (!session || session.expiresAt <= now) return null
    if (now - session.createdAt > longestSessionMilliseconds) return null
    const user = await stores.users.find(session.userId)
    if (!user || user.disabled) return null
    if (inUse && now - session.seenAt > touchEveryMilliseconds)
      await stores.sessions.touch(session.idHash, now, now + sessionMilliseconds)
    return { user, role: user.role, name: user.name, session, token: null }
  }

  async function byToken(secret: string): Promise<Caller | null> {
    const token = await stores.tokens.findByHash(hashSecret(secret))
    const now = clock.now()
    if (!token || (token.expiresAt !== null && token.expiresAt <= now)) return null
    const user = await stores.users.find(token.userId)
    if (!user || user.disabled) return null
    if (token.lastUsedAt === null || now - token.lastUsedAt > touchEveryMilliseconds)
      await stores.tokens.used(token.id, now)
    return {
      user,
      role: lower(token.role, user.role),
      name: `${user.name} (${token.name})`,
      session: null,
      token,
    }
  }

  const identify = async (headers: CallerHeaders, inUse: boolean): Promise<Caller | null> => {
    const bearer = bearerOf(headers)
    if (bearer !== undefined) return byToken(bearer)
    const cookie = readCookie(headers.cookie ?? '', cookieName(options.secure))
    return cookie === null ? null : bySession(cookie, inUse)
  }
  return {
    find: (headers) => identify(headers, true),
    look: (headers) => identify(headers, false),
    async findDisplay(headers) {
      const secret = bearerOf(headers)
      if (secret?.startsWith(displayPrefix) !== true) return null
      const link = await stores.displayLinks.findByHash(hashSecret(secret))
      const now = clock.now()
      if (!link) return { link: null, end: 'revoked' }
      if (link.expiresAt !== null && link.expiresAt <= now) return { link: null, end: 'expired' }
      if (link.lastUsedAt === null || now - link.lastUsedAt > touchEveryMilliseconds)
        await stores.displayLinks.used(link.id, now)
      return { link }
    },
  }
}

const bearerOf = ({ authorization }: CallerHeaders): string | undefined =>
  /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1]

/** Value of a cookie in a Cookie header (RFC 6265, section 4.2), or null. */
export function readCookie(header: string, name: string): string | null {
  for (const pair of header.split(';')) {
    const [key, value] = pair.trim().split('=', 2)
    if (key === name && value !== undefined && value !== '') return value
  }
  return null
}
