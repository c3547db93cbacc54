/** 1 is Monday, as ISO 8601 counts. */
export type Weekday = 1 | 2 | 3 | 4 | 5 | 6 | 7

export const weekdays: readonly Weekday[] = [1, 2, 3, 4, 5, 6, 7]

export const wordsOfWeekday: Record<Weekday, string> = {
  1: 'Monday',
  2: 'Tuesday',
  3: 'Wednesday',
  4: 'Thursday',
  5: 'Friday',
  6: 'Saturday',
  7: 'Sunday',
}

/** `03:00`; the end of a day is `24:00`. */
export const wordsOfTime = (minuteOfDay: number): string =>
  [Math.floor(minuteOfDay / 60), minuteOfDay % 60].map((part) => String(part).padStart(2, '0')).join(':')

/** `every Monday and Friday`. */
export function wordsOfWeekdays(chosen: readonly Weekday[]): string {
  const days = weekdays.filter((day) => chosen.includes(day))
  switch (days.join('')) {
    case '':
      return 'on no day'
    case '1234567':
      return 'every day'
    case '12345':
      return 'every weekday, Monday to Friday,'
    default:
      return `every ${joined(days.map((day) => wordsOfWeekday[day]))}`
  }
}

/** `a, b and c`. */
export const joined = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
