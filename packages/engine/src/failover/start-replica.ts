// Before the commit: a replica that went off is started again where it is, with everything that it has written. Not a boot: one
// that cannot be found is not made anew from its point, which would throw that away.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { resolveAlert } from '../events/report.ts'
import type { JobBody, TaskScope } from '../jobs/job-scope.ts'
import type { ProtectionRequest } from '../requests.ts'
import { sourceOf, targetOf } from '../sites/platform-of.ts'
import { findFailover, tellFailover } from './boot-run.ts'
import { refuseRunningSource } from './fence.ts'

/** Resolved when the replica is seen on, or its failover has ended. */
export const REPLICA_OFF_ALERT = 'failover/replica-off'

export const startReplica = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => ['Start the replica again'],
  async run(job, { protectionId }) {
    await job.task('Start the replica again', (task) => startOff(context, protectionId, task), { retries: 5 })
  },
})

/** Repeatable: one that runs is left as it is. */
async function startOff(context: EngineContext, id: ProtectionId, task: TaskScope): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, id)
  const { run, ref } = await loadReplica(context, protection)
  const source = await sourceOf(parts, run.targetSiteId)
  const power = await source.powerState(ref, task.signal)
  if (power === 'unknown') throw notProvenOff(protection)
  if (power !== 'off') return task.note(`It is ${power} already`)
  // Hours may have passed; whoever started the source since has made it the one that counts.
  await refuseRunningSource(parts, protection, task.signal)
  await offerPoint(context, protection, run, task.signal)
  // Again, and last: a process that stood still must not start what was rolled back or failed back from meanwhile.
  const now = await loadReplica(context, await loadProtection(parts, id))
  if (now.run.id !== run.id) throw nothingToStart(protection)
  await source.start(ref, task.signal)
  context.lookAtSite(run.targetSiteId)
  task.note('It goes on with what it had written')
  await resolveAlert(parts, REPLICA_OFF_ALERT, protection)
  await tellFailover(context, protection, {
    severity: 'warning',
    code: 'failover/replica-started',
    message: `The replica of ${protection.name} was off and was started again`,
    facts: { runId: run.id },
  })
}

async function loadReplica(
  context: EngineContext,
  { id, name, state }: Protection,
): Promise<{ readonly run: Run; readonly ref: MachineRef }> {
  const run = await findFailover(context, id)
  if (state === 'failedOver' && run !== null && run.machineRef !== null) return { run, ref: run.machineRef }
  throw nothingToStart({ name })
}

const nothingToStart = ({ name }: Pick<Protection, 'name'>): Refusal =>
  new Refusal({
    code: 'failover/nothing-to-start',
    message: `${name} has no failover that waits for its commit`,
    remedy: 'Look at the protection and decide again.',
  })

/**
 * It reads from its point until it is hydrated, and its host may have forgotten where from. Where another process of ours offers
 * the point already, ours cannot be offered as well; whether anybody does, the start itself finds out.
 */
async function offerPoint(
  { parts, keeper }: EngineContext,
  protection: Protection,
  run: Run,
  signal: AbortSignal,
): Promise<void> {
  if (run.hydrated >= 1) return
  const target = await targetOf(parts, run.targetSiteId)
  const disks = await keeper.open(run, protection.hardware)
  try {
    await target.reattach({ runId: run.id, disks }, signal)
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    parts.log('info', 'the point of a replica could not be offered here', { run: run.id, error })
  }
}

const notProvenOff = ({ name }: Protection): Outage =>
  new Outage({
    code: 'failover/replica-power-unknown',
    message: `Whether the replica of ${name} is off cannot be said: a host of its site does not answer`,
    remedy: 'Bring that host back, or look at it there.',
  })
