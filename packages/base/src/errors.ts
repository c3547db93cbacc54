// The three kinds of failure. Who has to act decides the kind: the operator, time, or a developer.

export type ErrorFacts = Readonly<Record<string, unknown>>

export type FailureDescription = {
  /** `domain/kebab-case`, stable: scripts and the console branch on it. */
  readonly code: string
  /** What happened, one sentence, for a person. */
  readonly message: string
  /** What the operator can do about it, one sentence. */
  readonly remedy: string
  readonly facts?: ErrorFacts
  readonly cause?: unknown
}

abstract class Failure extends Error {
  readonly code: string
  readonly remedy: string
  readonly facts: ErrorFacts
  constructor(description: FailureDescription) {
    super(description.message, description.cause === undefined ? undefined : { cause: description.cause })
    this.code = description.code
    this.remedy = description.remedy
    this.facts = description.facts ?? {}
  }
}

/** Cannot be granted as things stand; the operator must change something. Never retried by itself. HTTP 409/422. */
export class Refusal extends Failure {
  override readonly name = 'Refusal'
}

/** The world misbehaved and may recover; the caller retries on its schedule, then alerts. HTTP 503. */
export class Outage extends Failure {
  override readonly name = 'Outage'
}

/** We were wrong. The job stops and a developer looks. HTTP 500. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')
}

export type FailureReport = {
  readonly kind: 'refusal' | 'outage' | 'invariant' | 'aborted'
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** What of an error is shown to people and kept in jobs and events. Anything unknown is our fault. */
export function toFailureReport(error: unknown): FailureReport {
  if (error instanceof Refusal)
    return { kind: 'refusal', code: error.code, message: error.message, remedy: error.remedy }
  if (error instanceof Outage)
    return { kind: 'outage', code: error.code, message: error.message, remedy: error.remedy }
  const message = error instanceof Error ? error.message : String(error)
  if (isAbort(error))
    return { kind: 'aborted', code: 'job/aborted', message, remedy: 'Start it again when you are ready.' }
  return {
    kind: 'invariant',
    code: 'internal/invariant',
    message,
    remedy: 'This is a fault in Understudy. Keep the server log and report it.',
  }
}
