import { expect, test } from 'vitest'
import { checkLag, lagSeconds } from './lag.ts'

test('lag is the age of the newest point and unknown before the first', () => {
  expect(lagSeconds(10_000, 14_500)).toBe(4.5)
  expect(lagSeconds(null, 14_500)).toBeNull()
})

test('a source clock that is ahead of ours makes no negative lag', () => {
  expect(lagSeconds(20_000, 14_500)).toBe(0)
})

test.each([
  { lagSeconds: 31, raised: false, verdict: 'raise' },
  { lagSeconds: 31, raised: true, verdict: 'leave' },
  { lagSeconds: 30, raised: true, verdict: 'resolve' },
  { lagSeconds: 30, raised: false, verdict: 'leave' },
  { lagSeconds: null, raised: true, verdict: 'leave' },
])(
  'with a target of 30 s, a lag of $lagSeconds s while raised=$raised means $verdict',
  ({ verdict, ...facts }) => {
    expect(checkLag({ ...facts, targetSeconds: 30 })).toBe(verdict)
  },
)
