import { describe, expect, test } from 'vitest'
import { checkTiers, expectedPoints, marksOf, wordsOfRetention, wordsOfSpan } from './retention-words.ts'

const hour = 3600
const day = 24 * hour
const tiers = [
  { everySeconds: day, forSeconds: 30 * day },
  { everySeconds: 0, forSeconds: hour },
  { everySeconds: hour, forSeconds: day },
]

describe('retention in words', () => {
  test('tiers read in order of age, whatever their order in the policy', () => {
    expect(wordsOfRetention(tiers)).toBe(
      'Every point for 1 hour, then one every hour for 1 day, then one every day for 1 month.',
    )
  })
  test.each([
    [90, '90 seconds'],
    [3600, '1 hour'],
    [7200, '2 hours'],
    [604_800, '1 week'],
  ])('%d seconds is %s', (seconds, words) => {
    expect(wordsOfSpan(seconds)).toBe(words)
  })
})

describe('what is kept', () => {
  test('points at five seconds for an hour, hourly for a day, daily for a month', () => {
    expect(expectedPoints(tiers, 5)).toBe(720 + 23 + 29)
  })
  test('an older tier that is finer than a younger one is told', () => {
    expect(
      checkTiers([
        { everySeconds: hour, forSeconds: day },
        { everySeconds: 60, forSeconds: 2 * day },
      ]),
    ).toContain('must be coarser')
  })
  test('a tier that keeps nothing is told', () => {
    expect(checkTiers([{ everySeconds: day, forSeconds: hour }])).toContain('keeps nothing')
  })
  test('sensible tiers have no problem', () => {
    expect(checkTiers(tiers)).toBeNull()
  })
  test('the picture holds a bounded number of marks, each within its tier', () => {
    for (const { tier, from, ages } of marksOf(tiers, 5, 24)) {
      expect(ages.length).toBeLessThanOrEqual(24)
      for (const age of ages) {
        expect(age).toBeGreaterThan(from)
        expect(age).toBeLessThanOrEqual(tier.forSeconds)
      }
    }
  })
})
