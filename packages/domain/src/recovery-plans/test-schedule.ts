// When a plan is tested by itself. Operational, and so no part of the plan: to move a test to another night makes no version of it.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { stateMachine } from '@understudy/base/state-machine'
import {
  addDays,
  instantOf,
  isTimeZone,
  type LocalDate,
  localDateOf,
  weekdayOf,
} from '../calendar/wall-time.ts'
import type { Weekday } from '../calendar/weekday.ts'
import type { PlanId } from './plan-ids.ts'
import type { PlanRunId } from './plan-run.ts'

/** Days of the month that a month does not have are its last day: 31 means the last day of every month. */
export type ScheduleDays =
  | { readonly kind: 'week'; readonly weekdays: readonly Weekday[] }
  | { readonly kind: 'month'; readonly days: readonly number[] }

export type TestSchedule = {
  readonly enabled: boolean
  readonly days: ScheduleDays
  /** Minutes since midnight on the clock of the zone. */
  readonly minuteOfDay: number
  /** IANA: `Europe/Berlin`. */
  readonly timeZone: string
  /** It does not begin later than this after its time. */
  readonly windowMinutes: number
  /** From the end of the test to its clean-up: for people to look around. */
  readonly keepMinutes: number
  /** A test that is not over by then is cancelled, which cleans it up, and counts as failed. */
  readonly giveUpMinutes: number
}

/** Of one plan. */
export type TestSettings = {
  readonly planId: PlanId
  /** A test is due so many days after the last one that passed. */
  readonly testEveryDays: number
  readonly schedule: TestSchedule | null
  /** Rises with every change by a person; 0: nobody has set anything yet. */
  readonly revision: number
  /** When the next one is due; null: never. */
  readonly nextAt: Instant | null
  /** Why the one that is due has not begun, else null. */
  readonly waitsFor: string | null
  readonly changedAt: Instant
}

export const TEST_EVERY_DAYS = 30

export const defaultTestSchedule: TestSchedule = {
  enabled: true,
  days: { kind: 'week', weekdays: [6] },
  minuteOfDay: 3 * 60,
  timeZone: 'UTC',
  windowMinutes: 60,
  keepMinutes: 0,
  giveUpMinutes: 240,
}

/** Of a plan for which nobody has set anything. */
export const noTestSettings = (planId: PlanId): TestSettings => ({
  planId,
  testEveryDays: TEST_EVERY_DAYS,
  schedule: null,
  revision: 0,
  nextAt: null,
  waitsFor: null,
  changedAt: 0,
})

/** One time that a schedule was due, and what has come of it. */
export type ScheduledTest = {
  readonly planId: PlanId
  /** Outlives the plan. */
  readonly planName: string
  readonly dueAt: Instant
  readonly state: ScheduledTestState
  /** Written down before the run begins, so it begins once. Null: it was not to begin. */
  readonly planRunId: PlanRunId | null
  /** The last moment to begin. */
  readonly beginBy: Instant
  readonly keepMinutes: number
  readonly giveUpMinutes: number
  /** What has come of it, for a person. */
  readonly note: string | null
  /** Of one that is done. */
  readonly passed: boolean | null
  readonly settledAt: Instant | null
}

/** `missed`: nobody was there to begin it. `skipped`: it could not begin, and its note says why. */
export type ScheduledTestState = 'beginning' | 'running' | 'done' | 'skipped' | 'missed'

/** Read a row as: from here, only there. One that was given up as missed may turn out to have begun at that moment. */
export const scheduledTestLife = stateMachine<ScheduledTestState>('scheduled test', {
  beginning: ['running', 'skipped', 'missed'],
  running: ['done'],
  missed: ['running'],
  skipped: [],
  done: [],
})

/** These count among the tests that may run at once. */
export const openTestStates: readonly ScheduledTestState[] = ['beginning', 'running']

/** Longest gap between two days of any schedule, and a day for the zones. */
const LOOK_AHEAD_DAYS = 63

/** The first time that is later than `after`; null: it is off. Pure. */
export function nextTestAt(schedule: TestSchedule, after: Instant): Instant | null {
  if (!schedule.enabled) return null
  const { minuteOfDay, timeZone } = schedule
  // A day earlier: a time that does not exist that night is moved, in some zones into the next day.
  const first = addDays(localDateOf(after, timeZone), -1)
  for (let ahead = 0; ahead <= LOOK_AHEAD_DAYS; ahead += 1) {
    const date = addDays(first, ahead)
    if (!isScheduled(schedule.days, date)) continue
    const at = instantOf(date, minuteOfDay, timeZone)
    if (at > after) return at
  }
  return null
}

/** The next `count` times. Pure. */
export function nextTestsAt(schedule: TestSchedule, after: Instant, count: number): readonly Instant[] {
  const times: Instant[] = []
  for (
    let at = nextTestAt(schedule, after);
    at !== null && times.length < count;
    at = nextTestAt(schedule, at)
  )
    times.push(at)
  return times
}

function isScheduled(days: ScheduleDays, date: LocalDate): boolean {
  if (days.kind === 'week') return days.weekdays.includes(weekdayOf(date))
  const isLast = addDays(date, 1).day === 1
  return days.days.some((day) => day === date.day || (isLast && day > date.day))
}

export type DueFacts = {
  readonly settings: Pick<TestSettings, 'nextAt' | 'schedule' | 'waitsFor'>
  /** Why none may begin now, else null. */
  readonly obstacle: string | null
  readonly now: Instant
}

export type DueVerdict =
  | { readonly kind: 'not-due' }
  | { readonly kind: 'begin' }
  | { readonly kind: 'wait'; readonly reason: string }
  | { readonly kind: 'skip'; readonly reason: string }
  | { readonly kind: 'miss' }

/**
 * What becomes of a test that is due. An obstacle is waited out as long as the window lasts: a failover that is over in five minutes
 * does not cost the test of the week. Pure.
 */
export function judgeDue({ settings, obstacle, now }: DueFacts): DueVerdict {
  const { nextAt, schedule, waitsFor } = settings
  if (schedule === null || nextAt === null || now < nextAt) return { kind: 'not-due' }
  const isLate = now > beginByOf(nextAt, schedule)
  if (isLate) return waitsFor === null ? { kind: 'miss' } : { kind: 'skip', reason: waitsFor }
  return obstacle === null ? { kind: 'begin' } : { kind: 'wait', reason: obstacle }
}

export const beginByOf = (dueAt: Instant, { windowMinutes }: TestSchedule): Instant =>
  dueAt + windowMinutes * 60_000

/** Refuses what would never be due, or could not be kept. Shapes are the contract's business; this is about sense. */
export function checkTestSettings({
  testEveryDays,
  schedule,
}: Pick<TestSettings, 'testEveryDays' | 'schedule'>): void {
  const refuse = (message: string, remedy: string): never => {
    throw new Refusal({ code: 'test-schedule/invalid', message, remedy })
  }
  if (testEveryDays < 1 || testEveryDays > 730)
    refuse('How often it is to be tested is out of range', 'Choose 1 to 730 days.')
  if (schedule === null) return
  const { days, timeZone, minuteOfDay } = schedule
  if (!isTimeZone(timeZone))
    refuse(
      `"${timeZone}" is no time zone that this server knows`,
      'Choose one such as Europe/Berlin, or UTC.',
    )
  if (days.kind === 'week' ? days.weekdays.length === 0 : days.days.length === 0)
    refuse('No day is chosen', 'Choose at least one day, or switch the schedule off.')
  if (days.kind === 'month' && days.days.some((day) => day < 1 || day > 31))
    refuse('A month has the days 1 to 31', 'Choose days from 1 to 31; 31 is the last day of every month.')
  if (minuteOfDay < 0 || minuteOfDay >= 24 * 60)
    refuse('A day has 24 hours', 'Choose a time from 00:00 to 23:59.')
  for (const [what, minutes, least, most] of [
    ['The window', schedule.windowMinutes, 1, 24 * 60],
    ['The time to look around', schedule.keepMinutes, 0, 24 * 60],
    ['The longest duration', schedule.giveUpMinutes, 5, 24 * 60],
  ] as const)
    if (minutes < least || minutes > most)
      refuse(`${what} is out of range`, `Choose ${least} to ${most} minutes.`)
}
