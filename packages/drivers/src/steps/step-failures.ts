// How the failures of steps are made and worded.
import { StepFailure } from '@understudy/engine/ports/step-runner'

export const stepFailed = (
  code: string,
  message: string,
  remedy: string,
  more: { readonly output?: string | null; readonly cause?: unknown } = {},
): StepFailure => new StepFailure({ code: `step/${code}`, message, remedy, ...more })

/** Cancelled, and what it had begun could not be ended: the only failure that is told although people had stopped the step. */
export const MAY_RUN_ON = 'step/may-run-on'

/** `not-allowed` of `guest-program/not-allowed`: whose failure becomes a step's. */
export const lastPart = (code: string): string => code.slice(code.indexOf('/') + 1)

/** The deadline has passed. `last`: what it was waiting for, as people say it. */
export const notInTime = (limitSeconds: number, last: string, output: string | null = null): StepFailure =>
  stepFailed(
    'timeout',
    `Not within ${limitSeconds} s: ${last}`,
    'Mend what it waits for, or give the step more time; then try it again.',
    { output },
  )

const wordsOfCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed by the other side',
  EPIPE: 'connection closed by the other side',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'host unreachable',
  EHOSTDOWN: 'host unreachable',
  ENETUNREACH: 'no route to its network',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up just now',
  ENOENT: 'there is no such socket',
  EACCES: 'we may not open it',
}

/** Of an error of a connection, for people. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (code.startsWith('HPE_')) return `what it answers is not HTTP (${code})`
  const words = wordsOfCode[code]
  if (words !== undefined) return words
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}

/** Of several addresses tried one after the other, the first one's. */
export function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
