// What is typed into the form of a bandwidth limit, until it is saved. Pure.
import type { BandwidthCalendar, BandwidthLimit } from '@understudy/contract/bandwidth'
import { type Weekday, wordsOfTime } from '@understudy/contract/test-schedules'
import { endMinuteOf, localTimeZone, minuteOf } from '../../lib/time-of-day.ts'

export type RuleDraft = {
  /** Of the row: rules may be equal. */
  readonly key: number
  readonly weekdays: Weekday[]
  readonly from: string
  readonly to: string
  /** An empty field is no number. */
  readonly megabits: number | string
}

export type BandwidthDraft = {
  readonly sourceSiteId: string | null
  readonly targetSiteId: string | null
  readonly timeZone: string
  readonly rules: readonly RuleDraft[]
  /** Empty: no limit. */
  readonly otherwise: number | string
}

export const workingHours = (key: number): RuleDraft => ({
  key,
  weekdays: [1, 2, 3, 4, 5],
  from: '08:00',
  to: '18:00',
  megabits: 20,
})

export const draftOfLimit = (limit: BandwidthLimit | null): BandwidthDraft =>
  limit === null
    ? {
        sourceSiteId: null,
        targetSiteId: null,
        timeZone: localTimeZone(),
        rules: [workingHours(0)],
        otherwise: '',
      }
    : {
        sourceSiteId: limit.sourceSiteId,
        targetSiteId: limit.targetSiteId,
        timeZone: limit.calendar.timeZone,
        rules: limit.calendar.rules.map(({ weekdays, fromMinute, toMinute, megabitsPerSecond }, key) => ({
          key,
          weekdays: [...weekdays],
          from: wordsOfTime(fromMinute),
          to: wordsOfTime(toMinute),
          megabits: megabitsPerSecond,
        })),
        otherwise: limit.calendar.otherwiseMegabitsPerSecond ?? '',
      }

export const TIME_FAULT = 'As 08:00; an end may be 24:00'

/** Null: it cannot be saved as it is, see `faultOfDraft`. */
export function calendarOf({ timeZone, rules, otherwise }: BandwidthDraft): BandwidthCalendar | null {
  const read = rules.flatMap(({ weekdays, from, to, megabits }) => {
    const [fromMinute, toMinute] = [minuteOf(from), endMinuteOf(to)]
    const known = fromMinute !== null && toMinute !== null && isRate(megabits) && weekdays.length > 0
    return known ? [{ weekdays, fromMinute, toMinute, megabitsPerSecond: Number(megabits) }] : []
  })
  if (read.length < rules.length || !(otherwise === '' || isRate(otherwise))) return null
  return { timeZone, rules: read, otherwiseMegabitsPerSecond: otherwise === '' ? null : Number(otherwise) }
}

/** Why it cannot be saved as it is; null: it can. */
export function faultOfDraft(draft: BandwidthDraft): string | null {
  const { sourceSiteId, targetSiteId, rules, otherwise } = draft
  if (sourceSiteId === null || targetSiteId === null) return 'Choose both sites'
  if (sourceSiteId === targetSiteId) return 'A site has no line to itself: choose two'
  if (rules.some(({ weekdays }) => weekdays.length === 0)) return 'Choose at least one day for each rule'
  if (rules.some(({ from, to }) => minuteOf(from) === null || endMinuteOf(to) === null))
    return `Give times ${TIME_FAULT.toLowerCase()}`
  if (calendarOf(draft) === null) return 'Allow at least 1 Mbit/s'
  if (rules.length === 0 && otherwise === '') return 'Nothing is limited: add a rule, or a limit'
  return null
}

const isRate = (value: number | string): boolean => value !== '' && Number(value) >= 1
