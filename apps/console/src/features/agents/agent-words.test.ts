import { expect, test } from 'vitest'
import { countDown, wordsOfSkew } from './agent-words.ts'

test('a clock agrees, or is so far ahead or behind', () => {
  expect([null, 0, 1.9, -1.9, 90, -3.5, -86_400 * 400].map(wordsOfSkew)).toEqual([
    '–',
    'agrees',
    'agrees',
    'agrees',
    '1 min 30 s ahead',
    '3.5 s behind',
    '400 d behind',
  ])
})

test('a token counts down to zero and no further', () => {
  const end = '2026-01-01T12:00:00.000Z'
  const at = (secondsBefore: number): number => Date.parse(end) - secondsBefore * 1000
  expect([3600, 61, 0.4, 0, -5].map((seconds) => countDown(end, at(seconds)))).toEqual([
    '60:00',
    '1:01',
    '0:01',
    '0:00',
    '0:00',
  ])
})
