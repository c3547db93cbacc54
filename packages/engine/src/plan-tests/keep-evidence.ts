// Makes a report of every run that is over. What is missing is found in the stores, so nothing is lost with a process that dies.

import { createHash } from 'node:crypto'
import { toFailureReport } from '@understudy/base/errors'
import { type Instant, toIso } from '@understudy/base/instant'
import type { EventId } from '@understudy/domain/events/event'
import type { PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, recordEvent, resolveAlert } from '../events/report.ts'
import type { DueEvidence, Evidence } from '../ports/test-stores.ts'
import { wordsOfRun } from '../recovery-plans/conduct-run.ts'
import { createRecurring, type Recurring } from '../recurring.ts'
import { gatherEvidence } from './gather-evidence.ts'

const EVERY_MILLISECONDS = 5000
/** Pictures of many machines take room: one report after the other, and after so many a look at what else there is. */
const AT_ONCE = 5

/** What cannot be made is not tried for ever: twice as long after each failure, and after so many somebody is told and it rests. */
const TRIES = 8
const FIRST_WAIT_MILLISECONDS = 10_000
/** Of so many it is remembered that they failed; the oldest are forgotten, and tried anew. */
const MOST_FAILING = 1000

export const EVIDENCE_FAILED = 'plan-run/evidence-failed'

export type EvidenceTrouble = {
  readonly message: string
  readonly tries: number
  /** Null: it is not tried again by itself. */
  readonly nextTryAt: Instant | null
}

export type EvidenceKeeper = Recurring & {
  /** Why the report of a run could not be made by this process; null: nothing is known. */
  troubleOf(id: PlanRunId): EvidenceTrouble | null
  /** Whoever has mended what kept it from being made: it is tried at once, and as often as before. */
  again(id: PlanRunId): void
}

/**
 * What has failed is remembered by the process alone: one that starts anew tries anew, which is what one does after mending something. What has
 * become of a run since makes another edition, which begins from the first try.
 */
export function createEvidenceKeeper(parts: EngineParts): EvidenceKeeper {
  const troubles = new Map<string, EvidenceTrouble & { readonly planRunId: PlanRunId }>()
  const keyOf = ({ planRunId, basis }: DueEvidence): string => `${planRunId} ${basis}`
  const isFree = (due: DueEvidence): boolean => {
    const trouble = troubles.get(keyOf(due))
    return !trouble || (trouble.nextTryAt !== null && trouble.nextTryAt <= parts.clock.now())
  }
  const fail = async (due: DueEvidence, error: unknown): Promise<void> => {
    const { message } = toFailureReport(error)
    const tries = (troubles.get(keyOf(due))?.tries ?? 0) + 1
    const wait = FIRST_WAIT_MILLISECONDS * 2 ** (tries - 1)
    const nextTryAt = tries < TRIES ? parts.clock.now() + wait : null
    parts.log('warn', 'a report of a run could not be made', { run: due.planRunId, tries, error })
    // Before it rests: when nobody could be told, it is tried once more and told then.
    if (nextTryAt === null) await tellFailed(parts, due, message)
    troubles.set(keyOf(due), { planRunId: due.planRunId, message, tries, nextTryAt })
    const [oldest] = troubles.keys()
    if (troubles.size > MOST_FAILING && oldest !== undefined) troubles.delete(oldest)
  }
  const what = { name: 'the reports of runs', everyMilliseconds: EVERY_MILLISECONDS }
  const recurring = createRecurring(parts, what, async (signal) => {
    // What waits to be tried again, or is not tried any more, keeps nothing else from its turn.
    const due = await parts.stores.evidence.due(AT_ONCE + troubles.size)
    for (const each of due.filter(isFree).slice(0, AT_ONCE)) {
      if (signal.aborted) return
      try {
        await makeEvidence(parts, each)
        troubles.delete(keyOf(each))
      } catch (error) {
        await fail(each, error)
      }
    }
  })
  return {
    ...recurring,
    troubleOf: (id) => [...troubles.values()].findLast(({ planRunId }) => planRunId === id) ?? null,
    again(id) {
      for (const [key, { planRunId }] of troubles) if (planRunId === id) troubles.delete(key)
      recurring.wake()
    },
  }
}

async function tellFailed(parts: EngineParts, { planRunId }: DueEvidence, why: string): Promise<void> {
  const run = await parts.stores.planRuns.find(planRunId)
  if (run === null) return
  await raiseAlert(parts, {
    severity: 'warning',
    code: EVIDENCE_FAILED,
    message: `The evidence report of ${subjectOf(run).name} could not be made, after ${TRIES} tries: ${why}`,
    remedy:
      'Everything that it would say is kept. Mend what is named, then open the run and have its report tried again.',
    subject: subjectOf(run),
    facts: { planRunId },
  })
}

/** One alert for each run: that the report of one is made says nothing of another's. */
const subjectOf = (run: PlanRun): { readonly id: string; readonly name: string } => ({
  id: run.id,
  name: `${wordsOfRun(run)} of ${toIso(run.startedAt)}`,
})

/** Of two processes that make it at once, the report of the first one stays. Its event has an id of its own: whoever repeats it tells it once. */
async function makeEvidence(parts: EngineParts, due: DueEvidence): Promise<void> {
  const gathered = await gatherEvidence(parts, due)
  if (gathered === null) return
  const { run, report, pictures } = gathered
  const { bundle, files } = await parts.printer.print(report, pictures)
  const evidence: Evidence = {
    ...due,
    madeAt: parts.clock.now(),
    sha256: createHash('sha256').update(bundle).digest('hex'),
    bytes: bundle.length,
    files,
  }
  if (!(await parts.stores.evidence.save(evidence, bundle))) return
  await resolveAlert(parts, EVIDENCE_FAILED, subjectOf(run))
  parts.live.changed('plan-runs', run.id)
  await recordEvent(
    parts,
    {
      severity: 'info',
      code: 'plan-run/evidence',
      message: `The evidence report of ${wordsOfRun(run)} of ${toIso(run.startedAt)} is there; SHA-256 ${evidence.sha256}`,
      subject: { id: run.planId, name: run.planName },
      facts: { planRunId: run.id, edition: due.edition, sha256: evidence.sha256, bytes: evidence.bytes },
    },
    `${run.id}-evidence-${due.edition}` as EventId,
  )
}
