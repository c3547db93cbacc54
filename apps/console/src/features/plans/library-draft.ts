// Which machine has which role of a ready plan. Pure.
import type { LibraryEntry } from '@understudy/contract/plan-library'

export type Roles = Readonly<Record<string, readonly string[]>>

/** Every role has a machine, and none has two of them. */
export function isFilled(wanted: LibraryEntry['roles'], roles: Roles): boolean {
  const ids = wanted.flatMap(({ name }) => roles[name] ?? [])
  return wanted.every(({ name }) => (roles[name]?.length ?? 0) > 0) && new Set(ids).size === ids.length
}
