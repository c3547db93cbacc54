import { describe, expect, test } from 'vitest'
import { loadPages } from './load-all.ts'

type Row = { readonly id: string; readonly points: number }
const pagesOf =
  (...pages: readonly (readonly Row[])[]) =>
  async (cursor: string | undefined) => {
    const page = Number(cursor ?? 0)
    return { items: pages[page] ?? [], next: page + 1 < pages.length ? String(page + 1) : null }
  }
const row = (id: string, points = 1): Row => ({ id, points })

describe('lists of all machines, page by page', () => {
  test('every page is read, in order', async () => {
    const rows = await loadPages(undefined, pagesOf([row('a'), row('b')], [row('c')]))
    expect(rows.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })
  test('the same answer is the same list: nothing is drawn again', async () => {
    const before = await loadPages(undefined, pagesOf([row('a')], [row('b')]))
    expect(await loadPages(before, pagesOf([row('a')], [row('b')]))).toBe(before)
  })
  test('of another answer only the rows that changed are new, wherever they stand now', async () => {
    const before = await loadPages(undefined, pagesOf([row('a'), row('b'), row('c')]))
    const after = await loadPages(before, pagesOf([row('c'), row('b', 2)]))
    expect(after).toEqual([row('c'), row('b', 2)])
    expect([after[0] === before[2], after[1] === before[1]]).toEqual([true, false])
  })
  test('a row that is gone makes another list, though all others are the same', async () => {
    const before = await loadPages(undefined, pagesOf([row('a'), row('b')]))
    expect(await loadPages(before, pagesOf([row('a')]))).toEqual([row('a')])
  })
})
