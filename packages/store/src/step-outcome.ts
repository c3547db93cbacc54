// What a durable step leaves behind, as text: its result, or the failure that its replay must throw again as the same kind.
import { InvariantError, Outage, Refusal } from '@understudy/base/errors'

type KeptFailure = {
  readonly name: string
  readonly message: string
  readonly code: string
  readonly remedy: string
  readonly facts: Readonly<Record<string, unknown>>
}

type StepOutcome = { readonly result?: unknown } | { readonly failure: KeptFailure }

export const writeResult = (result: unknown): string => JSON.stringify({ result })

export function writeFailure(error: unknown): string {
  const described = error instanceof Refusal || error instanceof Outage ? error : null
  const failure: KeptFailure = {
    name: error instanceof Error ? error.name : 'Error',
    message: error instanceof Error ? error.message : String(error),
    code: described?.code ?? '',
    remedy: described?.remedy ?? '',
    facts: described?.facts ?? {},
  }
  return JSON.stringify({ failure })
}

/** The result, or throws the failure. The first run goes through here like every replay, so that both see the same. */
export function readOutcome(text: string): unknown {
  const outcome: StepOutcome = JSON.parse(text)
  if (!('failure' in outcome)) return outcome.result
  throw toError(outcome.failure)
}

function toError({ name, ...description }: KeptFailure): Error {
  switch (name) {
    case 'Refusal':
      return new Refusal(description)
    case 'Outage':
      return new Outage(description)
    case 'InvariantError':
      return new InvariantError(description.message)
    default:
      return Object.assign(new Error(description.message), { name })
  }
}
