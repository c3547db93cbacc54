// A screen on a wall is opened with a link instead of a user. Its secret stands behind the # of the address: browsers send that to nobody.
let known: string | null | undefined

/** Of the link that this page was opened with; null: of none. The same for as long as the page is open. */
export function displaySecret(): string | null {
  known ??= secretOf(window.location)
  return known
}

/** Only the wall is opened by it. Pure. */
export function secretOf({ pathname, hash }: Pick<Location, 'pathname' | 'hash'>): string | null {
  if (pathname !== '/wall' && !pathname.startsWith('/wall/')) return null
  return new URLSearchParams(hash.slice(1)).get('display')
}
