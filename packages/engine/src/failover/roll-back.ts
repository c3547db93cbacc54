// Before the commit: the failover is undone. The replica's machine goes with what it wrote, the source takes over again.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type Report, raiseAlert, resolveAlert } from '../events/report.ts'
import { type Answered, type JobBody, JobFailure, type JobScope, type TaskScope } from '../jobs/job-scope.ts'
import type { ProtectionRequest } from '../requests.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { tellFailover } from './boot-run.ts'
import { endLeft, forgetLeft, leftOf, noteLeft } from './left-replicas.ts'
import { startSource } from './planned-failover.ts'
import { removeReplicas } from './remove-replica.ts'
import { REPLICA_OFF_ALERT } from './start-replica.ts'
import { claimedBy, claimInTask, claimLost, type StillOurs, settleState } from './state-claim.ts'
import { UNCOMMITTED_ALERT } from './uncommitted.ts'

const NOT_REMOVED = 'The roll back did not remove the replica, which may still run; try it again'
const QUESTION_LIMIT = 20

/** What a boot that was rolled back says of itself: how it ended. */
export const ROLLED_BACK = 'Rolled back'

const tasks = [
  'Look at the source machine',
  'Take over the protection',
  'Remove the replica machine',
  'Start the source machine again',
  'Go back to replication',
]

export const rollBack = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => tasks,
  async run(job, { protectionId }) {
    const stillOurs = claimedBy(context, protectionId, job.id)
    // Before anything is touched: else the only machine that runs would go, with what it has written, and nothing take its place.
    await job.task('Look at the source machine', (task) => refuseWithoutSource(context, protectionId, task))
    job.passPointOfNoReturn()
    // Apart from what follows: who was not quick enough must not undo what belongs to the other.
    await claimInTask(context, job, 'Take over the protection', {
      protectionId,
      from: ['failedOver'],
      to: 'rollingBack',
      note: 'The failover is being rolled back',
    })
    try {
      await removeOrLeave(context, job, { protectionId, stillOurs })
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      // The replica may still run: whatever it is, it stays the one that counts.
      await job.afterwards('Tell how things stand', async () => {
        await forgetLeft(context.parts, protectionId)
        await settleState(context, {
          protectionId,
          from: 'rollingBack',
          to: 'failedOver',
          note: NOT_REMOVED,
          stillOurs,
        })
      })
      throw error
    }
    const started = await job.undo('Start the source machine again', () =>
      startSource(context, protectionId, stillOurs),
    )
    await job.task('Go back to replication', () => goOn(context, protectionId, { started, stillOurs }))
  },
})

type Ours = { readonly protectionId: ProtectionId; readonly stillOurs: StillOurs }

/** A target that is away must not keep the original off for ever; but two machines at once are a person's decision. */
async function removeOrLeave(context: EngineContext, job: JobScope, ours: Ours): Promise<void> {
  const { protectionId, stillOurs } = ours
  for (let round = 1; ; round += 1) {
    const name = round === 1 ? 'Remove the replica machine' : `Remove the replica machine (${round})`
    try {
      return await job.task(name, () =>
        removeReplicas(context, protectionId, { failure: ROLLED_BACK, stillOurs }),
      )
    } catch (error) {
      if (!isAskedAbout(error) || round === QUESTION_LIMIT) throw error
      const verdict = await askAboutCopy(context, job, { protectionId, why: error.message, round })
      if (verdict?.value === 'again') continue
      if (verdict?.value !== 'go-on') throw error
      await job.task('Record the decision', async (task) => {
        const { by } = verdict
        const what = { by, why: error.message, startedBy: job.by, jobId: job.id, stillOurs }
        await noteLeft(context, protectionId, what)
        task.warn(`The replica was not removed; ${by} went on. It is removed once its site answers.`)
      })
      return await job.task('Leave the replica behind', () =>
        endLeft(context, protectionId, { failure: ROLLED_BACK, stillOurs }),
      )
    }
  }
}

/** Whoever has lost the protection to another job has nothing to decide about it any more. */
const isAskedAbout = (error: unknown): error is JobFailure =>
  error instanceof JobFailure && error.report.kind !== 'aborted' && error.report.code !== claimLost().code

async function askAboutCopy(
  { parts }: EngineContext,
  job: JobScope,
  {
    protectionId,
    why,
    round,
  }: { readonly protectionId: ProtectionId; readonly why: string; readonly round: number },
): Promise<Answered | null> {
  const { name, targetSiteId } = await loadProtection(parts, protectionId)
  const where = (await parts.stores.sites.find(targetSiteId))?.name ?? 'the target site'
  return await job.ask({
    id: `replica-${round}`,
    text: `The copy of ${name} at ${where} could not be removed (${why}), so it may still run there. The original is off. Go on without removing it?`,
    answers: [
      { value: 'again', label: 'Try to remove it again', danger: false },
      {
        value: 'go-on',
        label: 'Start the original all the same: two may run until the copy is removed',
        danger: true,
      },
      { value: 'stop', label: 'Stop the roll back', danger: false },
    ],
  })
}

async function refuseWithoutSource(
  { parts }: EngineContext,
  id: Protection['id'],
  task: TaskScope,
): Promise<void> {
  const { sourceSiteId, sourceRef } = await loadProtection(parts, id)
  const bound = { seconds: parts.config.deadSiteSeconds, signal: task.signal }
  try {
    const power = await withinSeconds(parts, bound, async (signal) =>
      (await sourceOf(parts, sourceSiteId)).powerState(sourceRef, signal),
    )
    task.note(`It is there, and ${power}`)
  } catch (error) {
    if (!(error instanceof Outage) && !(error instanceof Refusal)) throw error
    throw new Refusal({
      code: 'failover/nothing-to-go-back-to',
      message: `There is no source machine to go back to now: ${error.message}`,
      remedy:
        'Nothing was touched. Bring its site and the machine back, then roll back; or commit the failover, to stay.',
      cause: error,
    })
  }
}

/** Repeatable. */
export async function goOn(
  context: EngineContext,
  id: Protection['id'],
  { started, stillOurs }: { readonly started: boolean; readonly stillOurs: StillOurs },
): Promise<void> {
  const protection = await loadProtection(context.parts, id)
  await settleState(context, {
    protectionId: id,
    from: 'rollingBack',
    to: started ? 'protected' : 'broken',
    note: started ? null : 'The source machine could not be started; start it by hand, then resynchronise',
    stillOurs,
  })
  await resolveAlert(context.parts, UNCOMMITTED_ALERT, protection)
  await resolveAlert(context.parts, REPLICA_OFF_ALERT, protection)
  const left = await leftOf(context.parts, id)
  if (!started) await raiseAlert(context.parts, notStarted(protection, left.length > 0))
  await tellFailover(context, protection, {
    severity: started ? 'info' : 'critical',
    code: started ? 'failover/rolled-back' : 'failover/source-not-started',
    message: started
      ? `The failover of ${protection.name} was rolled back`
      : `The failover of ${protection.name} was rolled back, but its source could not be started`,
  })
}

/** Resolved once it replicates again. */
const notStarted = ({ id, name }: Protection, isLeft: boolean): Report & { readonly remedy: string } => ({
  severity: 'critical',
  code: 'protection/broken',
  message: `${name} was rolled back, but its source could not be started: ${isLeft ? 'only the copy that was left behind may run' : 'it runs nowhere'}`,
  remedy: 'Start it at its site, then resynchronise.',
  subject: { id, name },
})
