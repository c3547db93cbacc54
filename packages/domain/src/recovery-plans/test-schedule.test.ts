import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { instantOf, localDateOf, wallTextOf } from '../calendar/wall-time.ts'
import { weekdays } from '../calendar/weekday.ts'
import type { PlanId } from './plan-ids.ts'
import { wordsOfSchedule } from './schedule-words.ts'
import {
  checkTestSettings,
  defaultTestSchedule,
  judgeDue,
  nextTestAt,
  nextTestsAt,
  noTestSettings,
  type TestSchedule,
} from './test-schedule.ts'

const at = (text: string) => Date.parse(text)
const daily = (timeZone: string, time: string): TestSchedule => {
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  const days = { kind: 'week', weekdays } as const
  return { ...defaultTestSchedule, days, timeZone, minuteOfDay: hour * 60 + minute }
}
const next = (schedule: TestSchedule, after: string) =>
  new Date(nextTestAt(schedule, at(after)) ?? Number.NaN).toISOString().slice(0, 16)

describe('when a schedule is next due', () => {
  test.each([
    ['in winter', 'Europe/Berlin', '03:00', '2026-01-10T12:00Z', '2026-01-11T02:00'],
    ['in summer', 'Europe/Berlin', '03:00', '2026-07-10T12:00Z', '2026-07-11T01:00'],
    ['the night the clocks go forward', 'Europe/Berlin', '03:00', '2026-03-28T12:00Z', '2026-03-29T01:00'],
    ['a time that night does not have', 'Europe/Berlin', '02:30', '2026-03-28T12:00Z', '2026-03-29T01:30'],
    ['a time that night has twice', 'Europe/Berlin', '02:30', '2026-10-24T12:00Z', '2026-10-25T00:30'],
    ['and not again an hour later', 'Europe/Berlin', '02:30', '2026-10-25T00:30Z', '2026-10-26T01:30'],
    ['on the other side of the world', 'Pacific/Auckland', '03:00', '2026-01-10T12:00Z', '2026-01-10T14:00'],
    ['where half hours count', 'Asia/Kolkata', '03:00', '2026-01-10T12:00Z', '2026-01-10T21:30'],
    [
      'where clocks move by half an hour',
      'Australia/Lord_Howe',
      '02:10',
      '2026-10-03T12:00Z',
      '2026-10-03T15:40',
    ],
    ['where midnight does not come', 'America/Santiago', '00:00', '2026-09-05T12:00Z', '2026-09-06T04:00'],
    ['exactly at its time it is the next one', 'UTC', '03:00', '2026-01-10T03:00Z', '2026-01-11T03:00'],
  ])('%s', (_words, zone, time, after, expected) => {
    expect(next(daily(zone, time), after)).toBe(expected)
  })

  test.each([
    [[6], '2026-05-01T00:00Z', '2026-05-02T03:00'],
    [[1, 3], '2026-05-02T00:00Z', '2026-05-04T03:00'],
    [[7], '2026-05-03T04:00Z', '2026-05-10T03:00'],
  ] as const)('weekdays %j', (chosen, after, expected) => {
    expect(next({ ...defaultTestSchedule, days: { kind: 'week', weekdays: chosen } }, after)).toBe(expected)
  })

  test.each([
    [[1, 15], '2026-05-02T00:00Z', '2026-05-15T03:00'],
    [[31], '2026-02-01T00:00Z', '2026-02-28T03:00'],
    [[30], '2024-02-01T00:00Z', '2024-02-29T03:00'],
    [[31], '2026-04-30T04:00Z', '2026-05-31T03:00'],
  ])('days of the month %j', (days, after, expected) => {
    expect(next({ ...defaultTestSchedule, days: { kind: 'month', days } }, after)).toBe(expected)
  })

  test('on a date that a zone has left out it is due a day later, from whenever one looks', () => {
    const fridays = { ...daily('Pacific/Apia', '10:00'), days: { kind: 'week', weekdays: [5] } } as const
    // There was no 30 December 2011 in Samoa, which had been a Friday.
    for (const after of ['2011-12-24T00:00Z', '2011-12-30T09:00Z', '2011-12-30T19:00Z'])
      expect(next(fridays, after)).toBe('2011-12-30T20:00')
  })

  test('one that is off is never due', () => {
    expect(nextTestAt({ ...defaultTestSchedule, enabled: false }, 0)).toBeNull()
  })
})

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'America/St_Johns',
]
const anySchedule: fc.Arbitrary<TestSchedule> = fc
  .record({
    timeZone: fc.constantFrom(...zones),
    minuteOfDay: fc.integer({ min: 0, max: 1439 }),
    days: fc.oneof(
      fc.record({
        kind: fc.constant('week' as const),
        weekdays: fc.subarray([...weekdays], { minLength: 1 }),
      }),
      fc.record({
        kind: fc.constant('month' as const),
        days: fc.uniqueArray(fc.integer({ min: 1, max: 31 }), { minLength: 1, maxLength: 5 }),
      }),
    ),
  })
  .map((part) => ({ ...defaultTestSchedule, ...part }))
const anyInstant = fc.integer({ min: at('2005-01-01T00:00Z'), max: at('2037-01-01T00:00Z') })
const hour = 3_600_000

describe('any schedule, over every change of the clocks', () => {
  test('is due later, within two months, and nothing between was passed over', () => {
    fc.assert(
      fc.property(
        anySchedule,
        anyInstant,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (schedule, after, part) => {
          const due = nextTestAt(schedule, after) ?? Number.NaN
          expect(due).toBeGreaterThan(after)
          expect(due - after).toBeLessThan(63 * 24 * hour)
          // From any moment before it, it is the same one.
          expect(nextTestAt(schedule, after + Math.floor((due - 1 - after) * part))).toBe(due)
        },
      ),
    )
  })

  test('is due when the clock on the wall says so, or as much later as the clocks are put forward', () => {
    fc.assert(
      fc.property(anySchedule, anyInstant, (schedule, after) => {
        const due = nextTestAt(schedule, after) ?? Number.NaN
        const shown = wallTextOf(due, schedule.timeZone).slice(11)
        const [hours = 0, minutes = 0] = shown.split(':').map(Number)
        const late = (hours * 60 + minutes - schedule.minuteOfDay + 1440) % 1440
        if (late === 0) return
        // Then that time is nowhere that night: the instant before has a clock that is behind by just that.
        const before = instantOf(
          localDateOf(due - 24 * hour, schedule.timeZone),
          schedule.minuteOfDay,
          schedule.timeZone,
        )
        expect(due - before).toBeLessThanOrEqual(48 * hour)
        expect([30, 60, 1440]).toContain(late)
      }),
    )
  })

  test('a daily one is due once for every date', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer({ min: 0, max: 1439 }),
        anyInstant,
        (zone, minuteOfDay, after) => {
          const schedule = { ...daily(zone, '00:00'), minuteOfDay }
          const times = nextTestsAt(schedule, after, 40)
          const dates = times.map((time) => wallTextOf(time, zone).slice(0, 10))
          expect(times).toHaveLength(40)
          // A night without that time may lend it to the next date; two on one date are an hour apart at least.
          expect(new Set(dates).size).toBeGreaterThanOrEqual(39)
          for (const [index, time] of times.entries())
            if (index > 0) expect(time - (times[index - 1] ?? 0)).toBeGreaterThanOrEqual(22 * hour)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('what becomes of a test that is due', () => {
  const nextAt = at('2026-05-02T03:00Z')
  const settings = { ...noTestSettings('plan' as PlanId), schedule: defaultTestSchedule, nextAt }
  const minutes = (count: number) => nextAt + count * 60_000
  test.each([
    ['before its time nothing', {}, null, -1, { kind: 'not-due' }],
    ['at its time it begins', {}, null, 0, { kind: 'begin' }],
    ['within its window it still begins', {}, null, 60, { kind: 'begin' }],
    ['after its window it was missed', {}, null, 60.1, { kind: 'miss' }],
    ['an obstacle is waited out', {}, 'a failover', 10, { kind: 'wait', reason: 'a failover' }],
    ['and skips it in the end', { waitsFor: 'a failover' }, null, 61, { kind: 'skip', reason: 'a failover' }],
    ['one that is over in time does not', { waitsFor: 'a failover' }, null, 59, { kind: 'begin' }],
    ['without a schedule nothing', { schedule: null }, null, 10, { kind: 'not-due' }],
  ])('%s', (_words, change, obstacle, after, expected) => {
    expect(judgeDue({ settings: { ...settings, ...change }, obstacle, now: minutes(after) })).toEqual(
      expected,
    )
  })
})

test.each([
  [{ kind: 'week', weekdays: [6] }, 'every Saturday at 03:00 (UTC)'],
  [{ kind: 'week', weekdays: [7, 1] }, 'every Monday and Sunday at 03:00 (UTC)'],
  [{ kind: 'week', weekdays }, 'every day at 03:00 (UTC)'],
  [{ kind: 'month', days: [22, 1, 31] }, 'on the 1st, 22nd and last day of every month at 03:00 (UTC)'],
  [{ kind: 'month', days: [11, 12, 13] }, 'on the 11th, 12th and 13th of every month at 03:00 (UTC)'],
] as const)('%j is said as %s', (days, words) => {
  expect(wordsOfSchedule({ ...defaultTestSchedule, days })).toBe(words)
})

test.each([
  ['an unknown zone', { timeZone: 'Mars/Olympus' }],
  ['no weekday', { days: { kind: 'week', weekdays: [] } as const }],
  ['day 32', { days: { kind: 'month', days: [32] } as const }],
  ['no window', { windowMinutes: 0 }],
  ['a test without an end', { giveUpMinutes: 0 }],
])('%s is refused with what to do', (_words, change) => {
  const wrong = { testEveryDays: 30, schedule: { ...defaultTestSchedule, ...change } }
  expect(() => checkTestSettings(wrong)).toThrow(expect.objectContaining({ code: 'test-schedule/invalid' }))
  expect(() => checkTestSettings({ ...wrong, schedule: defaultTestSchedule })).not.toThrow()
})
