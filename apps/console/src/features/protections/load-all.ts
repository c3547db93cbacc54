// All machines and all protections, page by page. Bounded: beyond it the list says that it is cut.
import { queryOptions } from '@tanstack/react-query'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { client } from '../../api/client.ts'

const pageRows = 500
const mostPages = 40

type PageOf<Row> = { readonly items: readonly Row[]; readonly next: string | null }

async function loadPages<Row>(
  load: (cursor: string | undefined) => Promise<PageOf<Row>>,
): Promise<readonly Row[]> {
  const rows: Row[] = []
  let cursor: string | undefined
  for (let page = 0; page < mostPages; page += 1) {
    const { items, next } = await load(cursor)
    rows.push(...items)
    if (next === null) return rows
    cursor = next
  }
  return rows
}

export const allMachines = queryOptions({
  queryKey: [['machines', 'all']],
  queryFn: ({ signal }): Promise<readonly Machine[]> =>
    loadPages((cursor) => client.machines.list({ cursor, limit: pageRows }, { signal })),
})

export const allProtections = queryOptions({
  queryKey: [['protections', 'all']],
  queryFn: ({ signal }): Promise<readonly Protection[]> =>
    loadPages((cursor) => client.protections.list({ cursor, limit: pageRows }, { signal })),
})
