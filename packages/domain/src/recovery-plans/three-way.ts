// Merging what two have made of one beginning: settings, presence and order, of whatever kind.
import type { PlanSpot } from './plan-finding.ts'
import { isSameValue } from './same-value.ts'

export type MergeConflict = { readonly at: PlanSpot; readonly message: string }

export type Sides<Value> = { readonly base: Value; readonly mine: Value; readonly theirs: Value }

export type Merger = {
  /** The value of whoever has changed it. `words` say what it is and how a value of it is said. */
  value<Value>(sides: Sides<Value>, words: ValueWords<Value>): Value
  conflict(at: PlanSpot, message: string): void
}

export type ValueWords<Value> = {
  readonly at: PlanSpot
  readonly what: string
  readonly of: (value: Value) => string
}

export const mergerInto = (conflicts: MergeConflict[]): Merger => ({
  value({ base, mine, theirs }, { at, what, of }) {
    if (isSameValue(base, mine)) return theirs
    if (!isSameValue(base, theirs) && !isSameValue(mine, theirs))
      conflicts.push({ at, message: `You changed ${what} to ${of(mine)}, somebody else to ${of(theirs)}` })
    return mine
  },
  conflict(at, message) {
    conflicts.push({ at, message })
  },
})

export const pick = <From, Value>(
  { base, mine, theirs }: Sides<From>,
  of: (from: From) => Value,
): Sides<Value> => ({
  base: of(base),
  mine: of(mine),
  theirs: of(theirs),
})

/** What there is of something in each of the three: undefined where it is not. */
export type Presence<Value> = Sides<Value | undefined>

/**
 * Whether it is in the merged plan, of what each of the two has done to it. `isTouched`: whether somebody has changed what the other
 * one has removed.
 */
export function decidePresence<Value>(
  { base, mine, theirs }: Presence<Value>,
  isTouched: (base: Value, other: Value) => boolean,
): 'gone' | 'both' | 'mine' | 'theirs' | 'i-removed-what-they-changed' | 'they-removed-what-i-changed' {
  if (mine !== undefined && theirs !== undefined) return 'both'
  if (base === undefined) return mine !== undefined ? 'mine' : theirs !== undefined ? 'theirs' : 'gone'
  if (mine !== undefined && isTouched(base, mine)) return 'they-removed-what-i-changed'
  if (theirs !== undefined && isTouched(base, theirs)) return 'i-removed-what-they-changed'
  return 'gone'
}

export const removedWords = (verdict: `${string}-removed-what-${string}`, title: string): string =>
  verdict === 'i-removed-what-they-changed'
    ? `You removed ${title}, which somebody else has changed`
    : `Somebody else removed ${title}, which you have changed`

export const everyKey = <Key>({ base, mine, theirs }: Sides<readonly Key[]>): readonly Key[] => [
  ...new Set([...base, ...mine, ...theirs]),
]

/**
 * The members in the order of whoever has changed it, and beside the same neighbour as before what only the other one has.
 * `disputed`: both have changed it, not in the same way.
 */
export function mergeOrder<Key>(
  { base, mine, theirs }: Sides<readonly Key[]>,
  members: ReadonlySet<Key>,
): { readonly order: readonly Key[]; readonly disputed: boolean } {
  const inBoth = new Set(mine.filter((key) => theirs.includes(key) && members.has(key)))
  const known = pick({ base, mine, theirs }, (list) =>
    list.filter((key) => inBoth.has(key) && base.includes(key)),
  )
  const iMoved = !isSameValue(known.base, known.mine)
  const theyMoved = !isSameValue(known.base, known.theirs)
  const [leading, other] = theyMoved && !iMoved ? [theirs, mine] : [mine, theirs]
  const order = leading.filter((key) => members.has(key))
  other.forEach((key, index) => {
    if (!members.has(key) || order.includes(key)) return
    const neighbour = other.slice(0, index).findLast((each) => order.includes(each))
    order.splice(neighbour === undefined ? 0 : order.indexOf(neighbour) + 1, 0, key)
  })
  // Where nobody has moved what was there before, it may still be that both have put the same newcomer at two places.
  const [mineInBoth, theirsInBoth] = [mine, theirs].map((list) => list.filter((key) => inBoth.has(key)))
  return { order, disputed: iMoved === theyMoved && !isSameValue(mineInBoth, theirsInBoth) }
}
