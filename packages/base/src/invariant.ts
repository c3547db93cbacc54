import { InvariantError } from './errors.ts'

/** Stops the work when our own reasoning turned out wrong. Never for bad input: that is a Refusal. */
export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new InvariantError(why)
}

/** The value, which our own reasoning says is there. */
export function present<T>(value: T | null | undefined, why: string): T {
  invariant(value !== null && value !== undefined, why)
  return value
}
