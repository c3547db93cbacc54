import type { BandwidthLimit } from '@understudy/contract/bandwidth'
import { expect, test } from 'vitest'
import {
  type BandwidthDraft,
  calendarOf,
  draftOfLimit,
  faultOfDraft,
  workingHours,
} from './bandwidth-draft.ts'

const limit: BandwidthLimit = {
  sourceSiteId: 'a',
  targetSiteId: 'b',
  sourceName: 'Harbour',
  targetName: 'Hillside',
  calendar: {
    timeZone: 'Europe/Berlin',
    rules: [{ weekdays: [1, 5], fromMinute: 480, toMinute: 1440, megabitsPerSecond: 20 }],
    otherwiseMegabitsPerSecond: null,
  },
  words: '',
  megabitsPerSecondNow: 20,
  changesAt: null,
}
const draft: BandwidthDraft = { ...draftOfLimit(null), sourceSiteId: 'a', targetSiteId: 'b' }

test('what was saved comes back as it was', () => {
  expect(calendarOf(draftOfLimit(limit))).toEqual(limit.calendar)
  const otherwise = { ...limit, calendar: { ...limit.calendar, rules: [], otherwiseMegabitsPerSecond: 50 } }
  expect(calendarOf(draftOfLimit(otherwise))).toEqual(otherwise.calendar)
})

test('a new one limits the working hours, and only wants its sites', () => {
  expect(faultOfDraft(draftOfLimit(null))).toBe('Choose both sites')
  expect(faultOfDraft(draft)).toBeNull()
})

const rule = workingHours(0)
test.each<[string, Partial<BandwidthDraft>]>([
  ['A site has no line to itself: choose two', { targetSiteId: 'a' }],
  ['Choose at least one day for each rule', { rules: [{ ...rule, weekdays: [] }] }],
  ['Give times as 08:00; an end may be 24:00', { rules: [rule, { ...rule, from: '24:00' }] }],
  ['Give times as 08:00; an end may be 24:00', { rules: [{ ...rule, to: 'noon' }] }],
  ['Allow at least 1 Mbit/s', { rules: [{ ...rule, megabits: '' }] }],
  ['Allow at least 1 Mbit/s', { otherwise: 0 }],
  ['Nothing is limited: add a rule, or a limit', { rules: [] }],
])('%s', (fault, change) => {
  expect(faultOfDraft({ ...draft, ...change })).toBe(fault)
})
