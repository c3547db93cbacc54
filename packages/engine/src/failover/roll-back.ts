// Before the commit: the failover is undone. The replica's machine goes with what it wrote, the source takes over again.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Protection } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type Report, raiseAlert, resolveAlert } from '../events/report.ts'
import { type JobBody, JobFailure, type TaskScope } from '../jobs/job-scope.ts'
import type { ProtectionRequest } from '../requests.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { tellFailover } from './boot-run.ts'
import { startSource } from './planned-failover.ts'
import { removeReplicas } from './remove-replica.ts'
import { REPLICA_OFF_ALERT } from './start-replica.ts'
import { claimedBy, claimInTask, type StillOurs, settleState } from './state-claim.ts'
import { UNCOMMITTED_ALERT } from './uncommitted.ts'

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
      await job.task('Remove the replica machine', async () => {
        await removeReplicas(context, protectionId, { failure: ROLLED_BACK, stillOurs })
      })
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      // The replica may still run: whatever it is, it stays the one that counts.
      await job.afterwards('Tell how things stand', () =>
        settleState(context, {
          protectionId,
          from: 'rollingBack',
          to: 'failedOver',
          note: 'The roll back did not remove the replica; try it again',
          stillOurs,
        }),
      )
      throw error
    }
    const started = await job.undo('Start the source machine again', () =>
      startSource(context, protectionId, stillOurs),
    )
    await job.task('Go back to replication', () => goOn(context, protectionId, { started, stillOurs }))
  },
})

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
  if (!started) await raiseAlert(context.parts, notStarted(protection))
  await tellFailover(context, protection, {
    severity: started ? 'info' : 'critical',
    code: started ? 'failover/rolled-back' : 'failover/source-not-started',
    message: started
      ? `The failover of ${protection.name} was rolled back`
      : `The failover of ${protection.name} was rolled back, but its source could not be started`,
  })
}

/** The machine runs nowhere. Resolved once it replicates again. */
const notStarted = ({ id, name }: Protection): Report & { readonly remedy: string } => ({
  severity: 'critical',
  code: 'protection/broken',
  message: `${name} was rolled back, but its source could not be started: it runs nowhere`,
  remedy: 'Start it at its site, then resynchronise.',
  subject: { id, name },
})
