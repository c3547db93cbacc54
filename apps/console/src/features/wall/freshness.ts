// Whether what the wall shows can still be believed. Pure.
import { formatDuration } from '../../lib/format.ts'

/** `delayed`: still asked for now and then, but not told at once. `stale`: nobody should decide by it. */
export type Freshness =
  | { readonly kind: 'live' }
  | { readonly kind: 'loading' }
  | { readonly kind: 'delayed' | 'stale'; readonly ageSeconds: number; readonly words: string }

/** Everything is asked for again every 10 s: three answers in a row are missing. */
export const staleAfterSeconds = 30

export type FreshnessFacts = {
  readonly connection: 'connecting' | 'live' | 'lost'
  /** When each part of the picture was answered last, milliseconds since 1970; 0: never. */
  readonly answeredAt: readonly number[]
  readonly now: number
}

/** The picture is as old as its oldest part. */
export function freshnessOf({ connection, answeredAt, now }: FreshnessFacts): Freshness {
  if (answeredAt.some((at) => at === 0))
    return connection === 'lost'
      ? { kind: 'stale', ageSeconds: Number.POSITIVE_INFINITY, words: 'The server does not answer' }
      : { kind: 'loading' }
  const ageSeconds = Math.max(0, (now - Math.min(...answeredAt)) / 1000)
  const age = formatDuration(Math.round(ageSeconds))
  if (ageSeconds > staleAfterSeconds)
    return { kind: 'stale', ageSeconds, words: `Old data: this is how it was ${age} ago` }
  if (connection === 'lost')
    return { kind: 'delayed', ageSeconds, words: `The live line is lost: as of ${age} ago` }
  return { kind: 'live' }
}
