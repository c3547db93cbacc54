import { expect, test } from 'vitest'
import { planTimerOf, type TimedMember } from './plan-timer.ts'

const noon = Date.parse('2026-03-01T12:00:00Z')
const hour = 3_600_000
const member = (hours: number, more: Partial<TimedMember> = {}): TimedMember => ({
  deadline: noon + hours * hour,
  timeoutSeconds: 3600,
  action: 'roll-back',
  ...more,
})
const never = member(0, { deadline: null, timeoutSeconds: 0, action: 'none' })

test.each([
  ['the earliest of its machines counts for all', [member(5), member(2)], { at: 2, action: 'roll-back' }],
  ['no time has passed before the plan was done', [member(-3), member(5)], { at: 1, action: 'roll-back' }],
  [
    'policies that differ decide nothing',
    [member(2), member(3, { action: 'commit' })],
    { at: 2, action: 'undecided' },
  ],
  ['nor does one for a machine that has no timer', [member(2), never], { at: 2, action: 'undecided' }],
] as const)('of a plan that was failed over: %s', (_, members, { at, action }) => {
  expect(planTimerOf(members, noon)).toEqual({ deadline: noon + at * hour, action })
})

test('a plan without any machine that has a timer stays as it is', () => {
  expect(planTimerOf([never], noon)).toBeNull()
  expect(planTimerOf([], noon)).toBeNull()
})
