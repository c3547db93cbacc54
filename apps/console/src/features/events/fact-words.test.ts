import { expect, test } from 'vitest'
import { wordsOfFacts } from './fact-words.ts'

test('what an event knows is said in words and units, and what has parts is left to the export', () => {
  const facts = {
    kind: 'seed',
    diskBytes: 33_554_432,
    forecastSeconds: 65,
    runId: 'cf91',
    accepted: true,
    cycle: { kind: 'seed' },
    nothing: null,
  }
  expect(wordsOfFacts(facts)).toBe(
    'kind seed · disk 32.0 MiB · forecast 1 min 5 s · run id cf91 · accepted true',
  )
})
test('what an edit changed is said by name', () => {
  const names = new Map([['01-ab', 'Every 5 seconds']])
  expect(wordsOfFacts({ policyId: '01-ab' }, names)).toBe('policy Every 5 seconds')
  expect(wordsOfFacts({ excludedDisks: ['vdb', 'vdc'] }, names)).toBe('excluded disks vdb, vdc')
  expect(wordsOfFacts({ excludedDisks: [] }, names)).toBe('excluded disks none')
  expect(wordsOfFacts({ adapters: [{ adapterKey: 'net0' }] }, names)).toBe('adapters 1 mapped anew')
  expect(wordsOfFacts({ policyId: 'unheard-of' }, names)).toBe('policy id unheard-of')
})
test('an event that knows nothing more says nothing more', () => {
  expect(wordsOfFacts({})).toBe('')
})
