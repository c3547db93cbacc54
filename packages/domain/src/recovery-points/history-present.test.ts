import { expect, test } from 'vitest'
import { historyPresent } from './history-present.ts'

const hour = 3_600_000
const noon = 1_800_000_000_000
const policy = {
  intervalSeconds: 5,
  retention: [
    { everySeconds: 0, forSeconds: 3600 },
    { everySeconds: 3600, forSeconds: 3 * 24 * 3600 },
  ],
}
const at = (...hours: readonly number[]) => hours.map((offset) => ({ instant: noon + offset * hour }))

test.each([
  { what: 'without points it is now', points: at(), now: 5, present: 5 },
  { what: 'while replication goes on it is the newest point', points: at(-2, -1, 0), now: 0, present: 0 },
  { what: 'while the source is away it stands still', points: at(-2, -1, 0), now: 60, present: 0 },
  { what: 'an hour after a pause it is still its beginning', points: at(-1, 0, 60, 61), now: 61, present: 0 },
  {
    what: 'a day after a pause the history ages again',
    points: at(-1, 0, ...Array.from({ length: 26 }, (_, index) => 60 + index)),
    now: 85,
    present: 85,
  },
  {
    what: 'a clock that jumped a year ahead changes nothing',
    points: at(-1, 0, 8760),
    now: 8760,
    present: 0,
  },
  { what: 'a clock that was set back does not either', points: at(-1, 0, -1), now: -1, present: -1 },
  { what: 'gaps that the policy makes are no pause', points: at(-4, -2, 0), now: 0, present: 0 },
])('$what', ({ points, now, present }) => {
  expect(historyPresent({ points, policy, now: now === 5 ? 5 : noon + now * hour })).toBe(
    now === 5 ? 5 : noon + present * hour,
  )
})
