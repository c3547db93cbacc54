/** A moment: milliseconds since 1970-01-01T00:00:00Z. ISO 8601 only at the API and in manifests. */
export type Instant = number

export const toIso = (instant: Instant): string => new Date(instant).toISOString()

export const toIsoOrNull = (instant: Instant | null): string | null =>
  instant === null ? null : toIso(instant)

export function fromIso(text: string): Instant {
  const instant = Date.parse(text)
  if (Number.isNaN(instant)) throw new RangeError(`"${text}" is not an ISO 8601 instant`)
  return instant
}

export const secondsBetween = (earlier: Instant, later: Instant): number => (later - earlier) / 1000

export type Clock = { now(): Instant }
