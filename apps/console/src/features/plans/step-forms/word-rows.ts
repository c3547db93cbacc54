// Environment and headers as rows while they are typed. Pure.
export type WordRow = { readonly name: string; readonly value: string }

export const rowsOf = (words: Readonly<Record<string, string>>): readonly WordRow[] =>
  Object.entries(words).map(([name, value]) => ({ name, value }))

/** Without the rows that have no name yet; of two with one name the last. */
export const recordOf = (rows: readonly WordRow[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    rows.filter(({ name }) => name.trim() !== '').map(({ name, value }) => [name.trim(), value]),
  )
