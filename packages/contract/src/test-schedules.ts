// The rules and words of schedules, as the server has them. Without schemas, which a browser would load in vain.

// biome-ignore lint/performance/noBarrelFile: a browser imports nothing but the contract, and these rules are part of it.
export {
  weekdays,
  wordsOfSchedule,
  wordsOfTime,
  wordsOfWeekday,
} from '@understudy/domain/recovery-plans/schedule-words'
export {
  defaultTestSchedule,
  nextTestsAt,
  type Weekday,
} from '@understudy/domain/recovery-plans/test-schedule'
export { isTimeZone, wallTextOf } from '@understudy/domain/recovery-plans/wall-time'
