// Lists that are small enough to sort and cut in memory (sites, machines, protections): one page of them.
import { Refusal } from '@understudy/base/errors'

export type PageOf<Row> = {
  readonly items: Row[]
  readonly next: string | null
  readonly total: number | null
}

/**
 * Cuts one page from the sorted rows. The cursor names the last row that was shown, by its id, so that rows that come and go
 * shift nothing; when that row itself has gone the list starts again.
 */
export function pageRows<Row>(
  rows: readonly Row[],
  request: { readonly limit: number; readonly cursor?: string | undefined },
  idOf: (row: Row) => string,
): PageOf<Row> {
  const after = request.cursor === undefined ? -1 : rows.findIndex((row) => idOf(row) === request.cursor)
  if (request.cursor !== undefined && after < 0)
    throw new Refusal({
      code: 'page/cursor-gone',
      message: 'The row at which this page begins is no longer there',
      remedy: 'Read the list again from its start.',
    })
  const items = rows.slice(after + 1, after + 1 + request.limit)
  const last = items.at(-1)
  const more = after + 1 + items.length < rows.length
  return { items, next: more && last !== undefined ? idOf(last) : null, total: rows.length }
}

/** Made once: to make one for every comparison took most of the time of sorting a thousand rows. */
const byName = new Intl.Collator('en', { numeric: true })

/** `-name` sorts downwards. Rows without a value come last either way. */
export function sortRows<Row>(
  rows: readonly Row[],
  sort: string | undefined,
  keys: Readonly<Record<string, (row: Row) => string | number | null>>,
): Row[] {
  const down = sort?.startsWith('-') ?? false
  const key = keys[(sort ?? '').replace(/^-/, '')] ?? Object.values(keys)[0]
  if (!key) return [...rows]
  return [...rows].sort((left, right) => {
    const a = key(left)
    const b = key(right)
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1
    const order =
      typeof a === 'number' && typeof b === 'number' ? a - b : byName.compare(String(a), String(b))
    return down ? -order : order
  })
}

export function matches(search: string | undefined, ...texts: readonly string[]): boolean {
  if (search === undefined || search === '') return true
  const wanted = search.toLowerCase()
  return texts.some((text) => text.toLowerCase().includes(wanted))
}
