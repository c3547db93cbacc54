import { expect, test } from 'vitest'
import { lagCounts, standstillOf, wordsOfFlow } from './replication-words.ts'

test('a machine that runs from its replica is never said to be up to date, whatever was measured last', () => {
  for (const state of ['failingOver', 'failedOver', 'committing', 'committed', 'rollingBack'] as const) {
    expect(wordsOfFlow(state, 'idle'), state).toBe(standstillOf[state])
    expect(wordsOfFlow(state, 'idle'), state).toContain('Not replicating')
    expect(lagCounts[state], state).toBe(false)
  }
  expect(wordsOfFlow('committed', null)).toContain('reprotect to protect the copy')
})

test('the lag of a machine that still runs at its source counts, also while nothing is replicated', () => {
  for (const state of ['protected', 'resyncing', 'paused', 'broken'] as const)
    expect(lagCounts[state], state).toBe(true)
})

test.each([
  ['resyncing', 'idle', 'Everything is compared in the next cycle'],
  ['resyncing', null, 'Everything is compared in the next cycle'],
  ['resyncing', 'waiting', 'Waiting for its turn'],
  ['resyncing', 'copying', 'Comparing everything, copying what differs'],
  ['seeding', 'idle', 'The first copy is about to begin'],
  ['seeding', 'copying', 'Making the first copy'],
  ['protected', 'idle', 'Up to date, waiting for the next cycle'],
  ['protected', 'copying', 'Copying what changed'],
  ['protected', null, 'Nothing is being copied'],
  ['paused', 'idle', 'Paused; resume it to replicate again'],
] as const)('%s with a cycle that is %s: %s', (state, phase, words) => {
  expect(wordsOfFlow(state, phase)).toBe(words)
})
