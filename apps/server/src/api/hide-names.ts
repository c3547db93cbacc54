// Texts of the engine name whoever did something. On a wall, where anybody reads along, they name nobody.
import type { ApiDeps } from './context.ts'

/** `more`: names that the text may hold beside those of the users that there are. */
export type HideNames = (text: string, ...more: readonly (string | null | undefined)[]) => string

/** By the users and tokens that there are now; `more`: of somebody who may have gone since. */
export async function namesHidden(
  deps: Pick<ApiDeps, 'stores'>,
  ...more: readonly string[]
): Promise<HideNames> {
  const [users, tokens] = await Promise.all([deps.stores.users.list(), deps.stores.tokens.list()])
  const nameOf = new Map(users.map(({ id, name }) => [id, name]))
  const known = [
    ...tokens.map(({ userId, name }) => `${nameOf.get(userId) ?? ''} (${name})`),
    ...users.map(({ name }) => name),
    ...more,
  ]
  return (text, ...others) => hideNames(text, [...known, ...others.filter((name) => name != null)])
}

/** Whole words only, the longest names first, whatever their case. Pure. */
export function hideNames(text: string, names: readonly string[]): string {
  const sorted = [...new Set(names.map((name) => name.trim()))]
    .filter((name) => name !== '')
    .toSorted((left, right) => right.length - left.length)
  return sorted.reduce((hidden, name) => hidden.replaceAll(wordOf(name), 'somebody'), text)
}

/** No letter or digit on either side: a user called "web" is not in "web-1" or "webshop". */
const wordOf = (name: string): RegExp =>
  new RegExp(
    `(?<![\\p{L}\\p{N}_-])${name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\p{L}\\p{N}_-])`,
    'giu',
  )
