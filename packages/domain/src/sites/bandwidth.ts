// How much replication may take of the line between two sites, by the clock of one of them.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import {
  addDays,
  instantOf,
  isTimeZone,
  localDateOf,
  minuteOfDayOf,
  weekdayOf,
} from '../calendar/wall-time.ts'
import { type Weekday, wordsOfTime, wordsOfWeekdays } from '../calendar/weekday.ts'
import type { SiteId } from './site.ts'

export type BandwidthRule = {
  /** Those on which it begins. */
  readonly weekdays: readonly Weekday[]
  /** Minutes since midnight, 0 to 1439. */
  readonly fromMinute: number
  /** 1 to 1440. Not later than `fromMinute`: on the day after. */
  readonly toMinute: number
  readonly megabitsPerSecond: number
}

export type BandwidthCalendar = {
  /** IANA: `Europe/Berlin`. */
  readonly timeZone: string
  /** Where several apply, the lowest counts. */
  readonly rules: readonly BandwidthRule[]
  /** When no rule applies. Null: no limit. */
  readonly otherwiseMegabitsPerSecond: number | null
}

/** Of all cycles from one site to another; jobs that somebody waits for do not heed it. */
export type BandwidthLimit = {
  readonly sourceSiteId: SiteId
  readonly targetSiteId: SiteId
  readonly calendar: BandwidthCalendar
}

export const MOST_BANDWIDTH_RULES = 20
const DAY_MINUTES = 24 * 60
const BYTES_PER_MEGABIT = 125_000

/** Bytes a second at that moment; null: no limit. Pure. */
export function bytesPerSecondAt(calendar: BandwidthCalendar, now: Instant): number | null {
  const megabits = megabitsPerSecondAt(calendar, now)
  return megabits === null ? null : megabits * BYTES_PER_MEGABIT
}

/** Null: no limit at that moment. Pure. */
export function megabitsPerSecondAt(calendar: BandwidthCalendar, now: Instant): number | null {
  const megabits = calendar.rules.filter((rule) => applies(rule, calendar.timeZone, now)).map(megabitsOf)
  return megabits.length === 0 ? calendar.otherwiseMegabitsPerSecond : Math.min(...megabits)
}

const megabitsOf = ({ megabitsPerSecond }: BandwidthRule): number => megabitsPerSecond

function applies({ weekdays, fromMinute, toMinute }: BandwidthRule, timeZone: string, now: Instant): boolean {
  const date = localDateOf(now, timeZone)
  const minute = minuteOfDayOf(now, timeZone)
  const isOn = (day: Weekday): boolean => weekdays.includes(day)
  const today = isOn(weekdayOf(date))
  if (toMinute > fromMinute) return today && minute >= fromMinute && minute < toMinute
  return (today && minute >= fromMinute) || (isOn(weekdayOf(addDays(date, -1))) && minute < toMinute)
}

/** When another limit begins; null: never. On the night when clocks are put back the second of two equal times is not foreseen. Pure. */
export function nextBandwidthChange(calendar: BandwidthCalendar, now: Instant): Instant | null {
  const current = bytesPerSecondAt(calendar, now)
  const first = addDays(localDateOf(now, calendar.timeZone), -1)
  const edges = Array.from({ length: 10 }, (_, ahead) => addDays(first, ahead)).flatMap((date) =>
    calendar.rules.flatMap(({ fromMinute, toMinute }) =>
      [fromMinute, toMinute].map((minute) => instantOf(date, minute, calendar.timeZone)),
    ),
  )
  const later = edges.filter((at) => at > now).toSorted((one, other) => one - other)
  return later.find((at) => bytesPerSecondAt(calendar, at) !== current) ?? null
}

/** `20 Mbit/s every weekday, Monday to Friday, from 08:00 to 18:00; otherwise no limit (Europe/Berlin)`. Pure. */
export function wordsOfBandwidth({ rules, otherwiseMegabitsPerSecond, timeZone }: BandwidthCalendar): string {
  const otherwise = otherwiseMegabitsPerSecond === null ? 'no limit' : `${otherwiseMegabitsPerSecond} Mbit/s`
  if (rules.length === 0) return otherwise
  const parts = rules.map(
    (rule) =>
      `${rule.megabitsPerSecond} Mbit/s ${wordsOfWeekdays(rule.weekdays)} from ${wordsOfTime(rule.fromMinute)} to ${wordsOfTime(rule.toMinute)}`,
  )
  return `${parts.join('; ')}; otherwise ${otherwise} (${timeZone})`
}

/** Refuses what would limit nothing, never or for ever. Shapes are the contract's business; this is about sense. */
export function checkBandwidth({ sourceSiteId, targetSiteId, calendar }: BandwidthLimit): void {
  const refuse = (message: string, remedy: string): never => {
    throw new Refusal({ code: 'bandwidth/invalid', message, remedy })
  }
  if (sourceSiteId === targetSiteId) refuse('A site has no line to itself', 'Choose two sites.')
  if (!isTimeZone(calendar.timeZone))
    refuse(
      `"${calendar.timeZone}" is no time zone that this server knows`,
      'Choose one such as Europe/Berlin, or UTC.',
    )
  if (calendar.rules.length === 0 && calendar.otherwiseMegabitsPerSecond === null)
    refuse('Nothing is limited', 'Add a rule, or remove the limit.')
  if (calendar.rules.length > MOST_BANDWIDTH_RULES)
    refuse('There are too many rules', `Use at most ${MOST_BANDWIDTH_RULES}.`)
  const rates = [...calendar.rules.map(megabitsOf), calendar.otherwiseMegabitsPerSecond ?? 1]
  if (rates.some((rate) => !(rate >= 1)))
    refuse(
      'With less than 1 Mbit/s nothing would ever be replicated',
      'Allow at least 1 Mbit/s. To stop replication for a while, pause the machines.',
    )
  for (const rule of calendar.rules) checkRule(rule, refuse)
}

function checkRule(
  { weekdays, fromMinute, toMinute }: BandwidthRule,
  refuse: (message: string, remedy: string) => never,
): void {
  if (weekdays.length === 0) refuse('A rule has no day', 'Choose at least one day, or remove the rule.')
  if (fromMinute < 0 || fromMinute >= DAY_MINUTES || toMinute < 1 || toMinute > DAY_MINUTES)
    refuse('A day has 24 hours', 'Choose times from 00:00 to 24:00.')
}
