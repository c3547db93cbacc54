import { expect, it } from 'vitest'
import { tileGrid } from './tile-grid.ts'

it('a wall never shows more tiles than can be read, however many machines there are', () => {
  expect(tileGrid(10_000)).toEqual({ columns: 5, shown: 40 })
  expect(tileGrid(3)).toEqual({ columns: 2, shown: 3 })
  expect(tileGrid(24).columns).toBe(4)
  expect(tileGrid(0).shown).toBe(0)
})
