// Machines that are read by a program inside them: they are shut down at their last point. Sealed while they are held still, and switched
// off without being let go, so that nothing is lost.
import { toFailureReport } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type Answered, JobFailure, type JobScope, type TaskScope } from '../jobs/job-scope.ts'
import { lastCycleInJob } from '../replication/cycle-in-job.ts'
import { isLetGo } from '../replication/run-cycle.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { tellFailover } from './boot-run.ts'
import type { FinalPoint } from './last-delta.ts'
import { claimedBy } from './state-claim.ts'

const TASK = 'Shut down the source machine'
const QUESTION_LIMIT = 20

/** Small JSON. `why` null: it is off. */
type Shut = { readonly final: FinalPoint; readonly why: string | null }

/** Returns when it is off at that point, by proof or by the word of a person. */
export async function shutDownAtLastPoint(
  context: EngineContext,
  job: JobScope,
  protectionId: ProtectionId,
  runId: RunId,
): Promise<FinalPoint> {
  for (let round = 1; round <= QUESTION_LIMIT; round += 1) {
    const name = round === 1 ? TASK : `${TASK} (${round})`
    const { final, why } = await job.task(name, (task) =>
      shutDown(context, job, { protectionId, runId, task }),
    )
    if (why === null) return await done(job, final)
    const verdict = await askOperator(job, why, round)
    if (verdict?.value === 'again') continue
    if (verdict?.value !== 'off') throw stopped(why)
    await job.task('Record the decision', (task) =>
      recordDecision(context, protectionId, { job, task, why, by: verdict.by }),
    )
    return await done(job, final)
  }
  throw stopped('it was asked for too often')
}

async function done(job: JobScope, final: FinalPoint): Promise<FinalPoint> {
  await job.skip('Copy the last changes', 'They are in the point that the machine was shut down at')
  return final
}

type ShutDown = { readonly protectionId: ProtectionId; readonly runId: RunId; readonly task: TaskScope }

/** Repeatable: what an earlier life of it has come to stands in the notes. */
async function shutDown(
  context: EngineContext,
  job: JobScope,
  { protectionId, runId, task }: ShutDown,
): Promise<Shut> {
  const { parts } = context
  const { protections } = parts.stores
  const stillOurs = claimedBy(context, protectionId, job.id)
  const protection = await loadProtection(parts, protectionId)
  const { lastPoint = null } = await protections.notes(protectionId)
  if (lastPoint?.runId === runId) {
    const final = finalOf(lastPoint)
    if (lastPoint.evidence !== null) return { final, why: null }
    const source = await sourceOf(parts, protection.sourceSiteId)
    if ((await source.powerState(protection.sourceRef, task.signal)) !== 'running')
      return {
        final,
        why: 'it does not answer any more, and whether it heard the word to switch off was not noted',
      }
    // It was let go, and has written since.
  }
  const { point, end } = await lastCycleInJob(parts, protection, task, async ({ id, instant }) => {
    await stillOurs()
    // Before the act: whoever comes after a crash must know that it may be off.
    await protections.updateNotes(protectionId, {
      sourceStoppedByRun: runId,
      lastPoint: { runId, pointId: id, instant, evidence: null },
    })
  })
  invariant(end !== null, 'a last cycle ends its machine')
  const final = finalOf({ pointId: point.id, instant: point.instant })
  if ('proof' in end) {
    const { evidence } = end.proof
    await protections.updateNotes(protectionId, {
      lastPoint: { runId, pointId: point.id, instant: point.instant, evidence },
    })
    task.note([evidence, point.consistencyNote].filter((text) => text !== null).join('. '))
    return { final, why: null }
  }
  if (!isLetGo(end.failure)) return { final, why: toFailureReport(end.failure).message }
  await protections.updateNotes(protectionId, { sourceStoppedByRun: null, lastPoint: null })
  throw end.failure
}

/** Of machines that nobody reads when they are off there are no fingerprints. */
const finalOf = ({
  pointId,
  instant,
}: {
  readonly pointId: string
  readonly instant: number
}): FinalPoint => ({
  pointId: pointId as PointId,
  instant,
  fingerprints: [],
})

const askOperator = (job: JobScope, why: string, round: number): Promise<Answered | null> =>
  job.ask({
    id: `last-point-${round}`,
    text: `The source machine was told to switch itself off at its last point, and it is not known whether it has (${why}). Look at it. If it is off, nothing is lost. If it still runs, booting its replica makes two of it.`,
    answers: [
      { value: 'again', label: 'It runs: shut it down again', danger: false },
      { value: 'off', label: 'It is off: go on', danger: true },
      { value: 'stop', label: 'Stop the failover', danger: false },
    ],
  })

const stopped = (why: string): JobFailure =>
  new JobFailure({
    kind: 'refusal',
    code: 'failover/not-shut-down',
    message: `It is not known whether the source machine has switched itself off, and nobody said that it is off: ${why}`,
    remedy: 'Look at it. If it is off, start it by hand, or use an unplanned failover to its newest point.',
  })

async function recordDecision(
  context: EngineContext,
  id: Protection['id'],
  {
    job,
    task,
    why,
    by,
  }: { readonly job: JobScope; readonly task: TaskScope; readonly why: string; readonly by: string },
): Promise<void> {
  const protection = await loadProtection(context.parts, id)
  await context.parts.stores.protections.updateNotes(id, { unfencedAccepted: true })
  await tellFailover(context, protection, {
    severity: 'critical',
    code: 'failover/unfenced-accepted',
    message: `${protection.name} is failed over although it was not proven off at its last point: ${why}; ${by} says that it is off`,
    facts: { jobId: job.id, acceptedBy: by },
  })
  task.warn(`${by} said that it is off`)
}
