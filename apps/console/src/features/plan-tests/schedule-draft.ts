// What is typed into the form of a schedule, until it is saved. Pure.
import type { TestSchedule, TestSettings } from '@understudy/contract/plan-tests'
import { defaultTestSchedule, wordsOfTime } from '@understudy/contract/test-schedules'
import { localTimeZone, minuteOf } from '../../lib/time-of-day.ts'

export type ScheduleDraft = {
  readonly testEveryDays: number
  /** Null: none. */
  readonly schedule: TestSchedule | null
  /** As a person types it: `1, 15, 31`. */
  readonly monthDays: string
  /** `03:30`. */
  readonly time: string
}

export function draftOf({
  testEveryDays,
  schedule,
}: Pick<TestSettings, 'testEveryDays' | 'schedule'>): ScheduleDraft {
  const monthDays = schedule?.days.kind === 'month' ? schedule.days.days.join(', ') : '1'
  return {
    testEveryDays,
    schedule,
    monthDays,
    time: wordsOfTime((schedule ?? defaultTestSchedule).minuteOfDay),
  }
}

/** Where the reader is. */
export const newSchedule = (): TestSchedule => ({
  ...defaultTestSchedule,
  days: { kind: 'week', weekdays: [6] },
  timeZone: localTimeZone(),
})

/** Null: that are no days of a month. */
export function monthDaysOf(text: string): number[] | null {
  const words = text.split(/[,\s]+/).filter((word) => word !== '')
  const days = words.map((word) => (/^\d{1,2}$/.test(word) ? Number(word) : Number.NaN))
  return days.length > 0 && days.every((day) => day >= 1 && day <= 31) ? days : null
}

export const WRONG_TIME = 'Give the time as 03:30, from 00:00 to 23:59'

/** Why it cannot be saved as it is; null: it can. */
export function faultOf({ schedule, monthDays, time }: ScheduleDraft): string | null {
  if (schedule === null) return null
  if (minuteOf(time) === null) return WRONG_TIME
  if (schedule.days.kind === 'week')
    return schedule.days.weekdays.length === 0 ? 'Choose at least one day' : null
  return monthDaysOf(monthDays) === null ? 'Name days from 1 to 31, such as 1, 15' : null
}
