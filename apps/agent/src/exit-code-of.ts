// What the end of the program says to whoever has started it.
import { Refusal } from '@understudy/base/errors'

/** EX_CONFIG of sysexits.h: to start it again changes nothing until a person has done something. */
export const MUST_BE_MENDED = 78

/** EX_TEMPFAIL of sysexits.h: another program lies in its place, and is to be started. */
export const START_AGAIN = 75

const mended: ReadonlySet<string> = new Set([
  'agent/revoked',
  'agent/not-recognised',
  'agent/not-enrolled',
  'agent/no-identity',
  'agent/bad-state',
  'agent/open-folder',
])

/** Of a program that ends with this error. */
export const exitCodeOf = (error: unknown): number =>
  error instanceof Refusal && mended.has(error.code) ? MUST_BE_MENDED : 1
