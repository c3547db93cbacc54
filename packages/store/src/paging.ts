// Pages from new to old. The cursor names the last row shown, so rows that come or go elsewhere do not shift the pages.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { Page, PageRequest } from '@understudy/engine/ports/page'

/** No page is longer; `next` leads on. */
const longestPage = 1000

/** Where a row stands: its time, and its number among the rows of the same millisecond. */
export type Place = { readonly at: Date; readonly sequence: bigint }

export type PageQuery<Column extends string> = {
  readonly where: object
  readonly orderBy: readonly ({ [Name in Column]?: 'desc' } | { sequence: 'desc' })[]
  /** One more than shown tells whether there is a next page. */
  readonly take: number
}

/** The part of a query that finds the rows after the cursor, by the time in `column`. */
export function toPageQuery<Column extends string>(column: Column, page: PageRequest): PageQuery<Column> {
  const after = page.cursor === null ? null : readCursor(page.cursor)
  return {
    where: after
      ? { OR: [{ [column]: { lt: after.at } }, { [column]: after.at, sequence: { lt: after.sequence } }] }
      : {},
    orderBy: [{ [column]: 'desc' } as { [Name in Column]?: 'desc' }, { sequence: 'desc' }],
    take: pageLimit(page) + 1,
  }
}

const pageLimit = (page: PageRequest): number => Math.min(Math.max(1, Math.trunc(page.limit)), longestPage)

export function toPage<Found, Row>(
  found: readonly Found[],
  page: PageRequest,
  place: (row: Found) => Place,
  toRow: (row: Found) => Row,
): Page<Row> {
  const shown = found.slice(0, pageLimit(page))
  const last = shown.at(-1)
  return {
    rows: shown.map(toRow),
    next: last && found.length > shown.length ? writeCursor(place(last)) : null,
  }
}

const writeCursor = ({ at, sequence }: Place): string => `${at.getTime()}/${sequence}`

function readCursor(cursor: string): Place {
  const [, at, sequence] = /^(\d{1,15})\/(\d{1,18})$/.exec(cursor) ?? []
  if (at === undefined || sequence === undefined)
    throw new Refusal({
      code: 'page/bad-cursor',
      message: 'That is not a place in this list',
      remedy: 'Begin with the first page, and pass on `next` as it comes.',
    })
  const instant: Instant = Number(at)
  return { at: new Date(instant), sequence: BigInt(sequence) }
}
