import { expect, test } from 'vitest'
import { box, linkPath, type Place } from './link-path.ts'

const at = (column: number, row = 0): Place => ({
  x: column * (box.width + box.gapX),
  y: row * (box.height + box.gapY),
})

test('neighbours are joined by a straight line, side by side and one below the other', () => {
  expect(linkPath(at(0), at(1), false)).toEqual({
    line: 'M 190 37 L 279 37',
    label: { x: 234.5, y: 29 },
    detour: null,
  })
  expect(linkPath(at(0), at(0, 1), false).line).toBe('M 95 74 L 95 114')
})

test('the two of a pair are kept apart', () => {
  expect(linkPath(at(0), at(1), true).line).toBe('M 190 27 L 279 27')
  expect(linkPath(at(1), at(0), true).line).toBe('M 286 47 L 197 47')
})

test('an arrow that would run through another box goes around it, the two of a pair on either side', () => {
  expect(linkPath(at(0), at(2), false).detour).toBe('above')
  expect(linkPath(at(0), at(2), true).detour).toBe('above')
  expect(linkPath(at(2), at(0), true).detour).toBe('below')
  expect(linkPath(at(2), at(0), true).line).toMatch(/^M 667 74 C .* 95 80$/)
})
