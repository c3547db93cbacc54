import { expect, test } from 'vitest'
import { chooseFreeName } from './choose-free-name.ts'

test.each([
  { taken: [], name: 'web' },
  { taken: ['web'], name: 'web-2' },
  { taken: ['web', 'web-2', 'web-4'], name: 'web-3' },
  { taken: ['web-2'], name: 'web' },
])('beside $taken a machine that wants to be web is called $name', ({ taken, name }) => {
  expect(chooseFreeName('web', new Set(taken))).toBe(name)
})

test('a name that is cut to a length keeps its number', () => {
  expect(chooseFreeName('database', new Set(['data']), 4)).toBe('da-2')
  expect(chooseFreeName('database', new Set(), 4)).toBe('data')
})
