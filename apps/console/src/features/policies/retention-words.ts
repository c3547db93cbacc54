// Retention tiers as a sentence and as rows of a picture. Pure.
import type { Policy } from '@understudy/contract/policy'

type Tier = Policy['retention'][number]
export type PolicyDraft = Omit<Policy, 'id' | 'protectionCount'>

const units: readonly (readonly [number, string])[] = [
  [365 * 86_400, 'year'],
  [30 * 86_400, 'month'],
  [7 * 86_400, 'week'],
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
]

/** `90` to `90 seconds`, `3600` to `1 hour`: the largest unit that divides it. */
export function wordsOfSpan(seconds: number): string {
  const [size, name] = units.find(([unit]) => seconds >= unit && seconds % unit === 0) ?? [1, 'second']
  const count = seconds / size
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

const every = (seconds: number): string => {
  const words = wordsOfSpan(seconds)
  return words.startsWith('1 ') ? words.slice(2) : words
}

/** `Every point for 1 hour, then one an hour for 1 day, then one a day for 1 month.` */
export function wordsOfRetention(tiers: readonly Tier[]): string {
  if (tiers.length === 0) return 'Nothing is kept.'
  const parts = byAge(tiers).map((tier) =>
    tier.everySeconds === 0
      ? `every point for ${wordsOfSpan(tier.forSeconds)}`
      : `one every ${every(tier.everySeconds)} for ${wordsOfSpan(tier.forSeconds)}`,
  )
  const sentence = parts.join(', then ')
  return `${sentence.slice(0, 1).toUpperCase()}${sentence.slice(1)}.`
}

const byAge = (tiers: readonly Tier[]): Tier[] =>
  [...tiers].sort((left, right) => left.forSeconds - right.forSeconds)

/** About how many points a machine keeps in the long run, when a point is taken every `intervalSeconds`. */
export function expectedPoints(tiers: readonly Tier[], intervalSeconds: number): number {
  let counted = 0
  let from = 0
  for (const tier of byAge(tiers)) {
    const step = Math.max(tier.everySeconds, intervalSeconds, 1)
    counted += Math.max(0, Math.floor((tier.forSeconds - from) / step))
    from = Math.max(from, tier.forSeconds)
  }
  return counted
}

/** What does not make sense in the tiers, for a person; null when all is well. */
export function checkTiers(tiers: readonly Tier[]): string | null {
  const sorted = byAge(tiers)
  for (const [index, tier] of sorted.entries()) {
    if (tier.everySeconds >= tier.forSeconds)
      return `"One every ${wordsOfSpan(tier.everySeconds)}" keeps nothing within ${wordsOfSpan(tier.forSeconds)}`
    const before = sorted[index - 1]
    if (before && tier.forSeconds === before.forSeconds) return 'Two tiers reach equally far back'
    if (before && tier.everySeconds <= before.everySeconds)
      return `The tier that reaches ${wordsOfSpan(tier.forSeconds)} back must be coarser than the one before it`
  }
  return null
}

/** Marks of the picture: ages in seconds, at most `most` of each tier, oldest last. */
export function marksOf(
  tiers: readonly Tier[],
  intervalSeconds: number,
  most: number,
): readonly { readonly tier: Tier; readonly from: number; readonly ages: readonly number[] }[] {
  let from = 0
  return byAge(tiers).map((tier) => {
    const begin = from
    const step = Math.max(tier.everySeconds, intervalSeconds, 1)
    const count = Math.max(1, Math.floor((tier.forSeconds - begin) / step))
    const shown = Math.min(most, count)
    const ages = Array.from(
      { length: shown },
      (_, index) => begin + ((index + 1) * (tier.forSeconds - begin)) / shown,
    )
    from = Math.max(from, tier.forSeconds)
    return { tier, from: begin, ages }
  })
}
