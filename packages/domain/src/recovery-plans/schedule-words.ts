// A schedule as one would say it: "every Saturday at 03:00".
import type { ScheduleDays, TestSchedule, Weekday } from './test-schedule.ts'

export const wordsOfWeekday: Record<Weekday, string> = {
  1: 'Monday',
  2: 'Tuesday',
  3: 'Wednesday',
  4: 'Thursday',
  5: 'Friday',
  6: 'Saturday',
  7: 'Sunday',
}

export const weekdays: readonly Weekday[] = [1, 2, 3, 4, 5, 6, 7]

/** Pure. */
export const wordsOfSchedule = ({ days, minuteOfDay, timeZone }: TestSchedule): string =>
  `${wordsOfDays(days)} at ${wordsOfTime(minuteOfDay)} (${timeZone})`

/** `03:00`. */
export const wordsOfTime = (minuteOfDay: number): string =>
  [Math.floor(minuteOfDay / 60), minuteOfDay % 60].map((part) => String(part).padStart(2, '0')).join(':')

function wordsOfDays(days: ScheduleDays): string {
  if (days.kind === 'month') {
    const sorted = [...new Set(days.days)].toSorted((one, other) => one - other)
    return sorted.length === 0 ? 'on no day' : `on the ${joined(sorted.map(wordsOfMonthDay))} of every month`
  }
  const chosen = weekdays.filter((day) => days.weekdays.includes(day))
  switch (chosen.join('')) {
    case '':
      return 'on no day'
    case '1234567':
      return 'every day'
    case '12345':
      return 'every weekday, Monday to Friday,'
    default:
      return `every ${joined(chosen.map((day) => wordsOfWeekday[day]))}`
  }
}

function wordsOfMonthDay(day: number): string {
  if (day === 31) return 'last day'
  const ending = day > 10 && day < 14 ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[day % 10] ?? 'th')
  return `${day}${ending}`
}

const joined = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
