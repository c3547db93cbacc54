import { expect, test } from 'vitest'
import { draftOf, faultOf, monthDaysOf, newSchedule } from './schedule-draft.ts'

test.each([
  ['1', [1]],
  ['1, 15,31', [1, 15, 31]],
  [' 7 8 ', [7, 8]],
  ['', null],
  ['0', null],
  ['32', null],
  ['first', null],
  ['1.5', null],
])('the days of a month, %j', (text, expected) => {
  expect(monthDaysOf(text)).toEqual(expected)
})

test('a schedule without a day cannot be saved, and says why', () => {
  const draft = draftOf({ testEveryDays: 30, schedule: newSchedule() })
  expect(faultOf(draft)).toBeNull()
  const none = { ...newSchedule(), days: { kind: 'week' as const, weekdays: [] } }
  expect(faultOf({ ...draft, schedule: none })).toBe('Choose at least one day')
  const month = { ...newSchedule(), days: { kind: 'month' as const, days: [1] } }
  expect(faultOf({ ...draft, schedule: month, monthDays: 'x' })).toMatch('Name days')
  expect(faultOf({ ...draft, time: '25:00' })).toMatch('03:30')
  expect(faultOf({ ...draft, schedule: null })).toBeNull()
})
