// What the sign-in of a site may not do, one by one, for a list; the sentence of the refusal names only the first ones.

export type MissingRight = {
  /** As the platform calls it. */
  readonly right: string
  /** Where it is missing, as in `resource group replicas`. */
  readonly scope: string
  /** What it is needed for, as in `to make disks of copies`. */
  readonly purpose: string
}

const NAMED = 3

/** For a sentence: the first ones by name, and how many more there are. */
export function nameRights(missing: readonly MissingRight[]): string {
  const named = missing.slice(0, NAMED).map(({ right, scope }) => `${right} in ${scope}`)
  const more = missing.length - named.length
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ')
}

/** Of the facts of a refusal: those that are told as such, and nothing else. */
export const missingRightsIn = (facts: Readonly<Record<string, unknown>>): readonly MissingRight[] =>
  Array.isArray(facts.missingRights) ? facts.missingRights.filter(isMissingRight) : []

const isMissingRight = (value: unknown): value is MissingRight =>
  typeof value === 'object' &&
  value !== null &&
  ['right', 'scope', 'purpose'].every((name) => typeof (value as Record<string, unknown>)[name] === 'string')
