import { describe, expect, test } from 'vitest'
import {
  formatDuration,
  formatRelative,
  formatTick,
  formatWithZone,
  readable,
  withLocalTimes,
  zoneName,
} from './format.ts'

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

describe('the ticks of an axis', () => {
  const at = (second: number): number => new Date(2026, 2, 1, 7, 5, second).getTime()
  test('closer than a minute name their seconds, so that no two say the same', () => {
    const labels = [0, 15, 30, 45].map((second) => formatTick(at(second), 15))
    expect(new Set(labels).size).toBe(4)
    expect(labels[1]).toBe('07:05:15')
    expect(formatTick(at(0), 60)).toBe('07:05')
  })
  test('a midnight is a day, and so is every tick of a day or more', () => {
    const midnight = new Date(2026, 2, 2).getTime()
    expect(formatTick(midnight, 3600)).not.toContain(':')
    expect(formatTick(at(0), 86_400)).not.toContain(':')
  })
})

describe('moments as they are written', () => {
  test('count the hours to 23 and name their zone', () => {
    const late = formatWithZone(new Date(2026, 2, 1, 23, 5, 7).toISOString())
    expect(late).toContain('23:05:07')
    expect(late.endsWith(zoneName())).toBe(true)
  })
  test.each([
    ['is 975 s old; the target is 30 s', 'is 16 min 15 s old; the target is 30 s'],
    ['229 s and 1.75 s', '3 min 49 s and 1.75 s'],
    ['within 60 s.', 'within 1 min.'],
    ['86400 sectors', '86400 sectors'],
  ])('%s is said as: %s', (text, words) => {
    expect(readable(text)).toBe(words)
  })
  test('what the server says about a moment is said in the same way', () => {
    const iso = '2026-03-01T21:53:07.222Z'
    expect(withLocalTimes(`runs from the point of ${iso}, and since ${iso}`)).toBe(
      `runs from the point of ${formatWithZone(iso)}, and since ${formatWithZone(iso)}`,
    )
  })
})
