import { Refusal } from '@understudy/base/errors'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { weekdays } from '../calendar/weekday.ts'
import {
  type BandwidthCalendar,
  type BandwidthLimit,
  bytesPerSecondAt,
  checkBandwidth,
  nextBandwidthChange,
  wordsOfBandwidth,
} from './bandwidth.ts'
import type { SiteId } from './site.ts'

const working: BandwidthCalendar = {
  timeZone: 'Europe/Berlin',
  rules: [{ weekdays: [1, 2, 3, 4, 5], fromMinute: 8 * 60, toMinute: 18 * 60, megabitsPerSecond: 20 }],
  otherwiseMegabitsPerSecond: null,
}
const at = (text: string): number => Date.parse(text)

describe('a limit by the clock', () => {
  test.each([
    ['Monday morning in Berlin, which is an hour before in UTC', '2026-11-30T07:00:00Z', 2_500_000],
    ['a minute before', '2026-11-30T06:59:59Z', null],
    ['the last second', '2026-11-30T16:59:59Z', 2_500_000],
    ['the end', '2026-11-30T17:00:00Z', null],
    ['Sunday', '2026-11-29T12:00:00Z', null],
    ['summer time', '2026-07-01T06:00:00Z', 2_500_000],
  ])('%s', (_what, instant, expected) => {
    expect(bytesPerSecondAt(working, at(instant))).toBe(expected)
  })

  test('a rule over midnight belongs to the day on which it begins', () => {
    const night: BandwidthCalendar = {
      timeZone: 'UTC',
      rules: [{ weekdays: [5], fromMinute: 22 * 60, toMinute: 6 * 60, megabitsPerSecond: 8 }],
      otherwiseMegabitsPerSecond: 4,
    }
    expect(bytesPerSecondAt(night, at('2026-11-27T23:00:00Z'))).toBe(1_000_000)
    expect(bytesPerSecondAt(night, at('2026-11-28T05:59:00Z'))).toBe(1_000_000)
    expect(bytesPerSecondAt(night, at('2026-11-28T06:00:00Z'))).toBe(500_000)
    expect(bytesPerSecondAt(night, at('2026-11-27T05:00:00Z'))).toBe(500_000)
  })

  test('a rule from a time to the same time lasts a whole day, and one to 24:00 ends with its day', () => {
    const rule = { weekdays: [3 as const], megabitsPerSecond: 8 }
    const whole = { ...working, timeZone: 'UTC', rules: [{ ...rule, fromMinute: 60, toMinute: 60 }] }
    expect(bytesPerSecondAt(whole, at('2026-12-03T00:59:00Z'))).toBe(1_000_000)
    expect(bytesPerSecondAt(whole, at('2026-12-03T01:00:00Z'))).toBeNull()
    const day = { ...working, timeZone: 'UTC', rules: [{ ...rule, fromMinute: 0, toMinute: 1440 }] }
    expect(bytesPerSecondAt(day, at('2026-12-02T23:59:59Z'))).toBe(1_000_000)
    expect(bytesPerSecondAt(day, at('2026-12-03T00:00:00Z'))).toBeNull()
  })

  test('of several that apply the lowest counts, also below what counts otherwise', () => {
    const rule = { weekdays, fromMinute: 0, toMinute: 1440 }
    const both = {
      ...working,
      rules: [
        { ...rule, megabitsPerSecond: 80 },
        { ...rule, megabitsPerSecond: 8 },
      ],
    }
    expect(bytesPerSecondAt({ ...both, otherwiseMegabitsPerSecond: 1 }, 0)).toBe(1_000_000)
  })

  test('it is said when another limit begins, and that none ever does', () => {
    expect(nextBandwidthChange(working, at('2026-11-30T10:00:00Z'))).toBe(at('2026-11-30T17:00:00Z'))
    expect(nextBandwidthChange(working, at('2026-11-27T17:00:00Z'))).toBe(at('2026-11-30T07:00:00Z'))
    expect(nextBandwidthChange({ ...working, rules: [], otherwiseMegabitsPerSecond: 5 }, 0)).toBeNull()
  })

  test('until the next change the limit stays what it is, and there it is another one, in every zone and over every change of clocks', () => {
    const minute = fc.integer({ min: 0, max: 1439 })
    const rule = fc.record({
      weekdays: fc.uniqueArray(fc.constantFrom(...weekdays), { minLength: 1 }),
      fromMinute: minute,
      toMinute: minute.map((value) => value + 1),
      megabitsPerSecond: fc.constantFrom(1, 10, 100),
    })
    const calendars = fc.record({
      timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe'),
      rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
      otherwiseMegabitsPerSecond: fc.constantFrom(null, 10),
    })
    const moments = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2027-01-01T00:00:00Z') })
    fc.assert(
      fc.property(calendars, moments, fc.double({ min: 0, max: 1, noNaN: true }), (calendar, now, share) => {
        const change = nextBandwidthChange(calendar, now)
        const limit = bytesPerSecondAt(calendar, now)
        const end = change ?? now + 7 * 86_400_000
        if (change !== null) expect(bytesPerSecondAt(calendar, change)).not.toBe(limit)
        // An hour that comes twice may begin or end a rule twice: only there may the limit differ earlier.
        const between = Math.floor(now + share * (end - now - 1))
        const isNearChange = [-1, 1].some(
          (hours) =>
            zoneOffset(calendar.timeZone, between) !==
            zoneOffset(calendar.timeZone, between + hours * 2 * 3_600_000),
        )
        if (!isNearChange && between >= now) expect(bytesPerSecondAt(calendar, between)).toBe(limit)
      }),
      { numRuns: 300 },
    )
  })

  test('it is said in words', () => {
    expect(wordsOfBandwidth(working)).toBe(
      '20 Mbit/s every weekday, Monday to Friday, from 08:00 to 18:00; otherwise no limit (Europe/Berlin)',
    )
    expect(wordsOfBandwidth({ ...working, rules: [], otherwiseMegabitsPerSecond: 50 })).toBe('50 Mbit/s')
  })
})

describe('what makes no sense is refused', () => {
  const limit: BandwidthLimit = {
    sourceSiteId: 'one' as SiteId,
    targetSiteId: 'two' as SiteId,
    calendar: working,
  }
  const rule = { weekdays, fromMinute: 0, toMinute: 1440, megabitsPerSecond: 8 }
  const withRule = (change: object): BandwidthLimit => ({
    ...limit,
    calendar: { ...working, rules: [{ ...rule, ...change }] },
  })
  test('what makes sense is not', () => {
    checkBandwidth(limit)
    checkBandwidth(withRule({}))
  })
  test.each<[string, BandwidthLimit]>([
    ['one site', { ...limit, targetSiteId: limit.sourceSiteId }],
    ['a zone that there is not', { ...limit, calendar: { ...working, timeZone: 'Mars/Base' } }],
    ['no limit at all', { ...limit, calendar: { ...working, rules: [] } }],
    ['too many rules', { ...limit, calendar: { ...working, rules: Array.from({ length: 21 }, () => rule) } }],
    ['a standstill', withRule({ megabitsPerSecond: 0 })],
    ['a standstill otherwise', { ...limit, calendar: { ...working, otherwiseMegabitsPerSecond: 0 } }],
    ['no day', withRule({ weekdays: [] })],
    ['a minute that no day has', withRule({ fromMinute: 1440 })],
    ['an end at the beginning of a day', withRule({ toMinute: 0 })],
  ])('%s', (_what, wanted) => {
    expect(() => checkBandwidth(wanted)).toThrow(Refusal)
  })
})

const zoneOffset = (timeZone: string, instant: number): number => {
  const text = new Date(instant).toLocaleString('sv-SE', { timeZone })
  return Date.parse(`${text.replace(' ', 'T')}Z`) - Math.floor(instant / 1000) * 1000
}
