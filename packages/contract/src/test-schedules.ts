// The rules and words of schedules, as the server has them. Without schemas, which a browser would load in vain.

// biome-ignore lint/performance/noBarrelFile: a browser imports nothing but the contract, and these rules are part of it.
export { isTimeZone, wallTextOf } from '@understudy/domain/calendar/wall-time'
export { type Weekday, weekdays, wordsOfTime, wordsOfWeekday } from '@understudy/domain/calendar/weekday'
export { wordsOfSchedule } from '@understudy/domain/recovery-plans/schedule-words'
export {
  defaultTestSchedule,
  nextTestsAt,
} from '@understudy/domain/recovery-plans/test-schedule'
