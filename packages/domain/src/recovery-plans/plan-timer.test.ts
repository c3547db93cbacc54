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
  expect(planTimerOf([{ members, endedAt: noon }])).toEqual({ deadline: noon + at * hour, action })
})

test('a plan without any machine that has a timer stays as it is', () => {
  expect(planTimerOf([{ members: [never], endedAt: noon }])).toBeNull()
  expect(planTimerOf([])).toBeNull()
})

test.each([
  ['the same may be repeated', ['roll-back'], 'roll-back'],
  ['another is not done to the rest', ['commit'], 'undecided'],
  ['both leave it to a person', ['commit', 'roll-back'], 'undecided'],
] as const)('of what was begun already %s', (_, begun, action) => {
  expect(planTimerOf([{ members: [member(2)], endedAt: noon }], new Set(begun))?.action).toBe(action)
})

test('plans that share machines wait for the latest of them, and decide nothing where they differ', () => {
  const data = { members: [member(2)], endedAt: noon }
  const shop = { members: [member(3), member(2)], endedAt: noon + 4 * hour }
  expect(planTimerOf([data, shop])).toEqual({ deadline: noon + 5 * hour, action: 'roll-back' })
  const other = { ...shop, members: [member(3, { action: 'commit' })] }
  expect(planTimerOf([data, other])?.action).toBe('undecided')
})
