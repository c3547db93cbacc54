import { expect, test } from 'vitest'
import { verdictOf } from './site-verdict.ts'

test.each([
  [{ machines: 1, recoverable: 1, unprotected: 0, blockers: [] }, 'its one machine comes back'],
  [{ machines: 3, recoverable: 3, unprotected: 0, blockers: [] }, 'all 3 come back'],
  [{ machines: 2, recoverable: 1, unprotected: 1, blockers: [] }, '1 comes back, 1 is not protected'],
  [{ machines: 5, recoverable: 2, unprotected: 3, blockers: [] }, '2 come back, 3 are not protected'],
  [
    { machines: 1, recoverable: 0, unprotected: 1, blockers: [] },
    '1 machine is not protected, nothing comes back',
  ],
  [
    { machines: 2, recoverable: 0, unprotected: 2, blockers: [] },
    '2 machines are not protected, nothing comes back',
  ],
  [
    { machines: 1, recoverable: 0, unprotected: 0, blockers: ['db has no recovery point yet'] },
    'db has no recovery point yet',
  ],
  [
    { machines: 2, recoverable: 1, unprotected: 0, blockers: ['db has no recovery point yet'] },
    '1 comes back; db has no recovery point yet',
  ],
])('%o: %s', (row, words) => {
  expect(verdictOf(row)).toBe(words)
})
