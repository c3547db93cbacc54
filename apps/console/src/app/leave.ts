/**
 * To the sign-in page with a fresh start: queries, sockets and forms of whoever was signed in are gone with the page. Where
 * the session ended by itself, signing in again leads back here.
 */
export function leave(why: 'signed-out' | 'session-ended'): void {
  const { pathname, search } = window.location
  if (pathname === '/sign-in' || pathname === '/setup') return
  const back = why === 'session-ended' ? `?from=${encodeURIComponent(pathname + search)}` : ''
  window.location.assign(`/sign-in${back}`)
}
