// A schedule as one would say it: "every Saturday at 03:00".
import { joined, wordsOfTime, wordsOfWeekdays } from '../calendar/weekday.ts'
import type { ScheduleDays, TestSchedule } from './test-schedule.ts'

/** Pure. */
export const wordsOfSchedule = ({ days, minuteOfDay, timeZone }: TestSchedule): string =>
  `${wordsOfDays(days)} at ${wordsOfTime(minuteOfDay)} (${timeZone})`

function wordsOfDays(days: ScheduleDays): string {
  if (days.kind === 'month') {
    const sorted = [...new Set(days.days)].toSorted((one, other) => one - other)
    return sorted.length === 0 ? 'on no day' : `on the ${joined(sorted.map(wordsOfMonthDay))} of every month`
  }
  return wordsOfWeekdays(days.weekdays)
}

function wordsOfMonthDay(day: number): string {
  if (day === 31) return 'last day'
  const ending = day > 10 && day < 14 ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[day % 10] ?? 'th')
  return `${day}${ending}`
}
