import type { BootCheck } from '@understudy/contract/boot-check'
import { expect, test } from 'vitest'
import { inOrderOfGravity, toneOfOutcome, verdictWords } from './boot-words.ts'

const judged = (change: Partial<NonNullable<BootCheck['judged']>> = {}): BootCheck['judged'] => ({
  at: '2026-11-30T10:00:00Z',
  system: 'Debian 12',
  hardware: 'hyper-v',
  emulatedOn: null,
  findings: [],
  ...change,
})
const finding = (outcome: BootCheck['verdict']) => ({
  outcome,
  code: `boot/${outcome}`,
  title: outcome,
  message: '',
  remedy: null,
  commands: null,
})

test('what was not looked at is neither green nor called prepared', () => {
  expect(toneOfOutcome.unknown).not.toBe('good')
  expect(
    verdictWords({ verdict: 'unknown', judged: null, trouble: null, preparation: null }, 'West'),
  ).toMatch(/not known/)
  expect(
    verdictWords({ verdict: 'unknown', judged: judged(), trouble: null, preparation: null }, 'West'),
  ).toMatch(/not everything/)
})

test('of an emulated place it is said that the real one is meant', () => {
  const words = verdictWords(
    { verdict: 'blocker', judged: judged({ emulatedOn: 'virtio' }), trouble: null, preparation: null },
    'West',
  )
  expect(words).toContain('the place that West emulates')
})

test('what would fail stands first, what is in order last', () => {
  const shown = inOrderOfGravity([finding('passed'), finding('note'), finding('blocker'), finding('unknown')])
  expect(shown.map(({ outcome }) => outcome)).toEqual(['blocker', 'unknown', 'note', 'passed'])
})
