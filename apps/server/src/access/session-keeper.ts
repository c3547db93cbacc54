import { createHmac } from 'node:crypto'
import type { SessionKeeper } from '../api/context.ts'
import { cookieName } from './caller.ts'

/**
 * The session cookie and the CSRF token that belongs to it. The token is derived from the session, so that nothing more is
 * stored; `key` keeps it from being computed by whoever reads the database.
 */
export function sessionKeeper(options: {
  readonly key: Buffer
  readonly secure: boolean
  readonly sessionHours: number
}): SessionKeeper {
  const attributes = `Path=/; HttpOnly; SameSite=Strict${options.secure ? '; Secure' : ''}`
  const name = cookieName(options.secure)
  return {
    sessionMilliseconds: options.sessionHours * 3_600_000,
    // A session cookie lives as long as the browser; the server ends the session when it is idle for too long.
    cookieFor: (secret) => `${name}=${secret}; ${attributes}`,
    expiredCookie: () => `${name}=; Max-Age=0; ${attributes}`,
    fingerprintOf: (text) => createHmac('sha256', options.key).update(`request ${text}`).digest('base64url'),
    csrfTokenOf: (sessionIdHash) =>
      createHmac('sha256', options.key).update(`csrf ${sessionIdHash}`).digest('base64url'),
  }
}
