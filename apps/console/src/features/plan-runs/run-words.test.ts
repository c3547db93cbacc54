import { expect, it } from 'vitest'
import { statusOfRun } from './run-words.ts'

it.each([
  ['all of it succeeded', { state: 'succeeded', note: null }, 'good Succeeded'],
  [
    'some failed, and the plan went on',
    { state: 'succeeded', note: '5 failed, and the plan went on' },
    'at-risk Succeeded with reservations',
  ],
  [
    'some were skipped, as a wall sees it',
    { state: 'succeeded', activities: [{ state: 'succeeded' }, { state: 'skipped' }] },
    'at-risk Succeeded with reservations',
  ],
  ['it stopped', { state: 'failed', note: 'Stopped because web failed.' }, 'bad Stopped by a failure'],
] as const)('a run says what happened: %s', (_, run, said) => {
  const { tone, words } = statusOfRun(run)
  expect(`${tone} ${words}`).toBe(said)
})
