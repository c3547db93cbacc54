// Makes a report of every run that is over. What is missing is found in the stores, so nothing is lost with a process that dies.

import { createHash } from 'node:crypto'
import { toIso } from '@understudy/base/instant'
import type { EventId } from '@understudy/domain/events/event'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { DueEvidence, Evidence } from '../ports/test-stores.ts'
import { wordsOfRun } from '../recovery-plans/conduct-run.ts'
import { createRecurring, type Recurring } from '../recurring.ts'
import { gatherEvidence } from './gather-evidence.ts'

const EVERY_MILLISECONDS = 5000
/** Pictures of many machines take room: one report after the other, and after so many a look at what else there is. */
const AT_ONCE = 5

export function createEvidenceKeeper(parts: EngineParts): Recurring {
  const what = { name: 'the reports of runs', everyMilliseconds: EVERY_MILLISECONDS }
  return createRecurring(parts, what, async (signal) => {
    for (const due of await parts.stores.evidence.due(AT_ONCE)) {
      if (signal.aborted) return
      await makeEvidence(parts, due).catch((error: unknown) =>
        parts.log('warn', 'a report of a run could not be made', { run: due.planRunId, error }),
      )
    }
  })
}

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
