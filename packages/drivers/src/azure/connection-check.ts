// The test of a connection that has several parts: all of them are asked, and what is wrong is said of all at once.
import { Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import { type MissingRight, missingRightsIn } from '@understudy/domain/sites/missing-right'

export type ConnectionCheck = {
  /** Uses every right that is needed. Throws Refusal or Outage; returns what was found. */
  whole(signal?: AbortSignal): Promise<string>
  /** Enough in between; null: nothing is asked then. */
  brief(): Promise<string | null>
}

export type Look = (signal?: AbortSignal) => Promise<string | null>

const WHOLE_EVERY_MS = 3_600_000

/** Wholly the first time, once an hour, after a failure, and always for whoever tries a site. */
export function lookAt(
  check: ConnectionCheck,
  { clock, isTrial }: { readonly clock: Clock; readonly isTrial: boolean },
): Look {
  let checkedAt: Instant | null = null
  return async (signal) => {
    if (!isTrial && checkedAt !== null && clock.now() - checkedAt < WHOLE_EVERY_MS) return await check.brief()
    checkedAt = null
    const found = await check.whole(signal)
    checkedAt = clock.now()
    return found
  }
}

/** What all of them found. Throws what is wrong: of several as one failure, of the kind of the first. */
export async function lookAtAll(
  looks: readonly Look[],
  signal?: AbortSignal,
): Promise<{ readonly summary: string }> {
  const answers = await Promise.allSettled(looks.map((look) => look(signal)))
  const failures = answers.flatMap((answer) =>
    answer.status === 'rejected' ? [answer.reason as unknown] : [],
  )
  if (failures.length > 0) throw asOne(failures)
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  return { summary: found.filter((text) => text !== null).join('; ') }
}

const rightsOf = (failure: unknown): readonly MissingRight[] =>
  failure instanceof Refusal || failure instanceof Outage ? missingRightsIn(failure.facts) : []

function asOne(failures: readonly unknown[]): unknown {
  const [first] = failures
  if (failures.length === 1 || !failures.every((one) => one instanceof Refusal || one instanceof Outage))
    return first
  const reports = failures.map(toFailureReport)
  const Kind = first instanceof Outage ? Outage : Refusal
  return new Kind({
    code: reports[0]?.code ?? '',
    message: reports.map(({ message }) => message).join('. And: '),
    remedy: reports.map(({ remedy }) => remedy).join(' '),
    cause: new AggregateError(failures),
    facts: { missingRights: failures.flatMap(rightsOf) },
  })
}
