// Machines that get the same size for the same reason, as one line each. Pure.

type Size = { readonly name: string; readonly why: string }
type Machine = { readonly id: string; readonly name: string }
export type AlikeSize = Size & { readonly names: readonly string[] }

/** In the order of the machines; one that has no size is left out. */
export function alikeSizes(
  machines: readonly Machine[],
  sizes: Readonly<Record<string, Size>>,
): readonly AlikeSize[] {
  const known = machines.flatMap(({ id, name }) => (sizes[id] ? [{ machine: name, size: sizes[id] }] : []))
  const alike = Map.groupBy(known, ({ size }) => `${size.name} ${size.why}`)
  return [...alike.values()].flatMap((group) =>
    group[0] ? [{ ...group[0].size, names: group.map(({ machine }) => machine) }] : [],
  )
}

const NAMED = 4

/** The first ones by name, and how many more there are. */
export function nameFirst(names: readonly string[]): string {
  const more = names.length - NAMED
  return more > 1 ? `${names.slice(0, NAMED).join(', ')} and ${more} more` : names.join(', ')
}
