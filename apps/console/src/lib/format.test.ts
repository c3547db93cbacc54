import { describe, expect, test } from 'vitest'
import { formatDuration, formatRelative } from './format.ts'

describe('durations', () => {
  test.each([
    [0.25, '250 ms'],
    [4.24, '4.2 s'],
    [5, '5 s'],
    [9.97, '10 s'],
    [59.6, '1 min'],
    [65, '1 min 5 s'],
    [3600, '1 h'],
    [7440, '2 h 4 min'],
    [266_400, '3 d 2 h'],
  ])('%d seconds read as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text)
  })
})

describe('moments', () => {
  const now = Date.parse('2026-03-01T12:00:00Z')
  test.each([
    ['2026-03-01T11:59:59.500Z', 'just now'],
    ['2026-03-01T11:59:48Z', '12 s ago'],
    ['2026-03-01T12:05:00Z', 'in 5 min'],
    ['2026-03-01T08:59:59Z', '3 h ago'],
  ])('%s reads as %s', (iso, text) => {
    expect(formatRelative(iso, now)).toBe(text)
  })
})
