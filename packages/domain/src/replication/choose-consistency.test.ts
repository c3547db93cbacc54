import { describe, expect, test } from 'vitest'
import { chooseConsistency } from './choose-consistency.ts'

const facts = { everySeconds: 3600, lastSuccessAt: null, lastAttemptAt: null, now: 10_000_000 }

describe('chooseConsistency', () => {
  test('a policy without application-consistent points never asks for one', () => {
    expect(chooseConsistency({ ...facts, everySeconds: 0 })).toBe('crash')
  })

  test('the first point is application-consistent when the policy wants such points', () => {
    expect(chooseConsistency(facts)).toBe('application')
  })

  test('between two application-consistent points the points are crash-consistent', () => {
    const lastSuccessAt = facts.now - 3_599_000
    expect(chooseConsistency({ ...facts, lastSuccessAt, lastAttemptAt: lastSuccessAt })).toBe('crash')
    expect(chooseConsistency({ ...facts, lastSuccessAt: facts.now - 3_600_000 })).toBe('application')
  })

  test('a guest that could not be frozen is asked again after five minutes, not at every cycle', () => {
    const attempt = (ago: number) => chooseConsistency({ ...facts, lastAttemptAt: facts.now - ago })
    expect(attempt(5_000)).toBe('crash')
    expect(attempt(299_999)).toBe('crash')
    expect(attempt(300_000)).toBe('application')
  })

  test('a schedule shorter than the pause after a fallback is kept', () => {
    const short = { ...facts, everySeconds: 60 }
    expect(chooseConsistency({ ...short, lastAttemptAt: facts.now - 60_000 })).toBe('application')
  })
})
