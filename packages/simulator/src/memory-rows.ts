// What the stores in plain memory share: rows are copied on their way in and out, so a caller cannot change one behind the store's back.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { Page, PageRequest } from '@understudy/engine/ports/page'

export const copy = <Value>(value: Value): Value => structuredClone(value)

export const copies = <Value>(values: Iterable<Value>): Value[] => [...values].map(copy)

const missing = (noun: string, id: string): Refusal =>
  new Refusal({
    code: `${noun}/not-found`,
    message: `There is no ${noun} ${id}`,
    remedy: 'Reload the list; somebody may have removed it.',
  })

export const findOrRefuse = <Row>(rows: ReadonlyMap<string, Row>, noun: string, id: string): Row => {
  const row = rows.get(id)
  if (row === undefined) throw missing(noun, id)
  return row
}

export type Listed<Row> = { readonly at: Instant; readonly order: number; readonly row: Row }

/** Newest first. The cursor names the last row shown, so rows that come or go elsewhere do not shift the pages. */
export function pageOf<Row>(all: Iterable<Listed<Row>>, page: PageRequest): Page<Row> {
  const sorted = [...all].sort((a, b) => b.at - a.at || b.order - a.order)
  const [at = Infinity, order = Infinity] = page.cursor === null ? [] : page.cursor.split('/').map(Number)
  const rest = sorted.filter((row) => row.at < at || (row.at === at && row.order < order))
  const rows = rest.slice(0, page.limit)
  const last = rows.at(-1)
  const next = last && rest.length > rows.length ? `${last.at}/${last.order}` : null
  return { rows: rows.map(({ row }) => copy(row)), next }
}
