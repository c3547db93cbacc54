// All machines and all protections, page by page. Bounded: beyond it the list says that it is cut.
import { queryOptions, replaceEqualDeep } from '@tanstack/react-query'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { client } from '../../api/client.ts'

const pageRows = 500
const mostPages = 40

type PageOf<Row> = { readonly items: readonly Row[]; readonly next: string | null }

/**
 * A row that says what it said before is the same object as before, and so is the whole list: nothing is sorted or drawn
 * again for it. Compared page by page, between two answers of the server: ten thousand at once would hold up a scroll.
 */
export async function loadPages<Row extends { readonly id: string }>(
  before: readonly Row[] | undefined,
  load: (cursor: string | undefined) => Promise<PageOf<Row>>,
): Promise<readonly Row[]> {
  const known = new Map(before?.map((row) => [row.id, row]))
  const rows: Row[] = []
  let cursor: string | undefined
  for (let page = 0; page < mostPages; page += 1) {
    const { items, next } = await load(cursor)
    for (const row of items) rows.push(replaceEqualDeep(known.get(row.id), row))
    if (next === null) break
    cursor = next
  }
  const isSame = before?.length === rows.length && rows.every((row, index) => row === before[index])
  return isSame ? before : rows
}

export const allMachines = queryOptions({
  queryKey: [['machines', 'all']],
  queryFn: ({ signal, client: queries, queryKey }): Promise<readonly Machine[]> =>
    loadPages(queries.getQueryData<readonly Machine[]>(queryKey), (cursor) =>
      client.machines.list({ cursor, limit: pageRows }, { signal }),
    ),
  structuralSharing: false,
})

export const allProtections = queryOptions({
  queryKey: [['protections', 'all']],
  queryFn: ({ signal, client: queries, queryKey }): Promise<readonly Protection[]> =>
    loadPages(queries.getQueryData<readonly Protection[]>(queryKey), (cursor) =>
      client.protections.list({ cursor, limit: pageRows }, { signal }),
    ),
  structuralSharing: false,
})
