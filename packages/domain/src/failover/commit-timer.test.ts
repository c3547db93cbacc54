import { expect, test } from 'vitest'
import { checkCommitTimer } from './commit-timer.ts'

const facts = { deadline: 1_000_000, warnSeconds: 600, warned: false, now: 0 }

test('a failover without a deadline waits for ever', () => {
  expect(checkCommitTimer({ ...facts, deadline: null, now: Number.MAX_SAFE_INTEGER })).toBe('wait')
})

test('the timer warns once within the warning time and acts at the deadline', () => {
  expect(checkCommitTimer({ ...facts, now: 399_999 })).toBe('wait')
  expect(checkCommitTimer({ ...facts, now: 400_000 })).toBe('warn')
  expect(checkCommitTimer({ ...facts, now: 400_000, warned: true })).toBe('wait')
  expect(checkCommitTimer({ ...facts, now: 1_000_000, warned: true })).toBe('act')
})

test('a deadline that passed while nobody looked is acted on although no warning was given', () => {
  expect(checkCommitTimer({ ...facts, now: 5_000_000 })).toBe('act')
})
