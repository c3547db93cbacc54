// Clocks on walls: what a date and a time of day in a zone are as an instant, over every change of the clocks.
import type { Instant } from '@understudy/base/instant'
import type { Weekday } from './weekday.ts'

export type LocalDate = { readonly year: number; readonly month: number; readonly day: number }

const DAY = 86_400_000
const MINUTE = 60_000

/** Making one takes a while, and there are few zones. */
const formatters = new Map<string, Intl.DateTimeFormat>()

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  formatters.set(timeZone, made)
  return made
}

export function isTimeZone(timeZone: string): boolean {
  try {
    formatterOf(timeZone)
    return true
  } catch {
    return false
  }
}

/** What the clock shows, written as if it were UTC. Pure. */
function wallOf(instant: Instant, timeZone: string): Instant {
  const parts = new Map(
    formatterOf(timeZone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  )
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
}

export function localDateOf(instant: Instant, timeZone: string): LocalDate {
  return dateOf(wallOf(instant, timeZone))
}

/** What the clock shows, in minutes since midnight. Pure. */
export const minuteOfDayOf = (instant: Instant, timeZone: string): number =>
  Math.floor((((wallOf(instant, timeZone) % DAY) + DAY) % DAY) / MINUTE)

const dateOf = (wall: Instant): LocalDate => {
  const date = new Date(wall)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
}

const startOf = ({ year, month, day }: LocalDate): Instant => Date.UTC(year, month - 1, day)

export const addDays = (date: LocalDate, days: number): LocalDate => dateOf(startOf(date) + days * DAY)

export const weekdayOf = (date: LocalDate): Weekday => (new Date(startOf(date)).getUTCDay() || 7) as Weekday

/**
 * When the clock of the zone shows that time on that date. Of a time that comes twice (clocks are put back) the first; one that does
 * not come (they are put forward) is as much later as they are. Pure.
 */
export function instantOf(date: LocalDate, minuteOfDay: number, timeZone: string): Instant {
  const wall = startOf(date) + minuteOfDay * MINUTE
  // No zone is further than a day from UTC, and none changes twice within two days: one of these is what is valid then.
  const offsets = [wall - DAY, wall + DAY].map((instant) => wallOf(instant, timeZone) - instant)
  const [before = 0] = offsets
  const valid = offsets.map((offset) => wall - offset).filter((instant) => wallOf(instant, timeZone) === wall)
  return valid.length === 0 ? wall - before : Math.min(...valid)
}

/** `2026-03-28 03:00`, as the clock of the zone shows it. Pure. */
export const wallTextOf = (instant: Instant, timeZone: string): string =>
  new Date(wallOf(instant, timeZone)).toISOString().slice(0, 16).replace('T', ' ')

/** The same to the second. Pure. */
export const wallSecondsOf = (instant: Instant, timeZone: string): string =>
  new Date(wallOf(instant, timeZone)).toISOString().slice(0, 19).replace('T', ' ')
