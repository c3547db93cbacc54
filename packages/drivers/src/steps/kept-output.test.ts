import { expect, test } from 'vitest'
import { toText } from './kept-output.ts'

const text = (head: string, tail: string, left = 7): string =>
  toText(Buffer.from(head), Buffer.from(tail), head.length + tail.length + left)

test('output of which nothing is left out is kept as it is', () => {
  expect(text('one hun', 'ter2', 0)).toBe('one hunter2')
})

test('what is left out is cut at ends of lines', () => {
  expect(text('one\ntwo hun', 'ter2\nlast\n')).toBe('one\n[... 19 bytes are left out here ...]\nlast\n')
})

test('a piece without the end of a line is left out whole: it could hold half a secret', () => {
  expect(text('one hun', 'ter2 two')).toBe('[... 22 bytes are left out here ...]\n')
  expect(text('one hun', 'ter2\nlast')).toBe('[... 19 bytes are left out here ...]\nlast')
  expect(text('one\nhun', 'ter2')).toBe('one\n[... 14 bytes are left out here ...]\n')
})
