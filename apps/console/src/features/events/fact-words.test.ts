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
test('an event that knows nothing more says nothing more', () => {
  expect(wordsOfFacts({})).toBe('')
})
