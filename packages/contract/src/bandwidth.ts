import { MOST_BANDWIDTH_RULES } from '@understudy/domain/sites/bandwidth'
import { z } from 'zod'
import { Id, InstantText, Name, WeekdayNumber } from './primitives.ts'

const Megabits = z.number().min(1).max(1_000_000)
export const BandwidthRule = z.strictObject({
  weekdays: z.array(WeekdayNumber).min(1).max(7).describe('On which it begins: 1 is Monday, 7 Sunday'),
  fromMinute: z.number().int().min(0).max(1439).describe('Minutes since midnight'),
  toMinute: z
    .number()
    .int()
    .min(1)
    .max(1440)
    .describe('Not later than fromMinute: on the day after. 1440 is the end of the day'),
  megabitsPerSecond: Megabits,
})
export const BandwidthCalendar = z.strictObject({
  timeZone: z.string().min(1).max(60).describe('IANA, such as Europe/Berlin'),
  rules: z.array(BandwidthRule).max(MOST_BANDWIDTH_RULES).describe('Where several apply, the lowest counts'),
  otherwiseMegabitsPerSecond: Megabits.nullable().describe('When no rule applies; null: no limit'),
})
export type BandwidthCalendar = z.infer<typeof BandwidthCalendar>
const pair = { sourceSiteId: Id, targetSiteId: Id }
export const BandwidthPair = z.strictObject(pair)
export const BandwidthLimitInput = z
  .strictObject({ ...pair, calendar: BandwidthCalendar })
  .meta({ id: 'BandwidthLimitInput' })
/** Of all cycles from one site to another. */
export const BandwidthLimit = z
  .object({
    ...pair,
    sourceName: Name,
    targetName: Name,
    calendar: BandwidthCalendar,
    words: z.string(),
    megabitsPerSecondNow: z.number().nullable().describe('Null: no limit now'),
    changesAt: InstantText.nullable().describe('When another limit begins; null: never'),
  })
  .meta({ id: 'BandwidthLimit' })
export type BandwidthLimit = z.infer<typeof BandwidthLimit>
