// The replica stays: it becomes independent of its recovery point and belongs to its site.
import { Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { resolveAlert } from '../events/report.ts'
import { type JobBody, JobFailure, type TaskScope } from '../jobs/job-scope.ts'
import type { ProtectionRequest } from '../requests.ts'
import { targetOf } from '../sites/platform-of.ts'
import { findFailover, isFailBack, tellFailover } from './boot-run.ts'
import { whenOff } from './see-power.ts'
import { REPLICA_OFF_ALERT } from './start-replica.ts'
import { claimedBy, claimInTask, claimLost, type StillOurs, settleState } from './state-claim.ts'
import { UNCOMMITTED_ALERT } from './uncommitted.ts'

const tasks = [
  'Wait until the machine is independent',
  'Take over the protection',
  'Hand it over to its site',
]

export const commit = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => tasks,
  async run(job, { protectionId }) {
    const { parts } = context
    const stillOurs = claimedBy(context, protectionId, job.id)
    const runId = await job.task('Wait until the machine is independent', async (task) => {
      const run = await loadRun(context, protectionId)
      await namingMachine(context, run, () => waitWhileItRuns(context, run, task))
      return run.id
    })
    job.passPointOfNoReturn()
    // Whoever wants to change the point or roll back has lost from here on.
    await claimInTask(context, job, 'Take over the protection', {
      protectionId,
      from: ['failedOver'],
      to: 'committing',
      note: 'The failover is being committed',
    })
    try {
      await job.task('Hand it over to its site', async () => {
        const run = await findFailover(context, protectionId)
        if (run?.id === runId)
          await handOver(context, await loadProtection(parts, protectionId), { run, jobId: job.id })
        await settleCommit(context, protectionId, stillOurs)
      })
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await job.afterwards('Tell how things stand', () => settleCommit(context, protectionId, stillOurs))
      throw error
    }
  },
})

/** The run says how far a commit got: one that is not over has not been handed over. Repeatable. */
export async function settleCommit(
  context: EngineContext,
  protectionId: ProtectionId,
  stillOurs: StillOurs,
): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, protectionId)
  if (protection.state !== 'committing') return
  // What is read of the run from here on stays so, also when somebody who stood still in the hand-over wakes up now.
  if (stillOurs.owner !== null) await parts.stores.protections.giveUpClaim(protectionId, stillOurs.owner)
  if ((await findFailover(context, protectionId)) !== null) {
    // Why it did not may be that nothing runs there.
    const note =
      'The commit did not succeed: see whether it runs at the target site, then commit it again or roll it back'
    return await settleState(context, { protectionId, from: 'committing', to: 'failedOver', note, stillOurs })
  }
  await stillOurs()
  // From here on nothing of ours starts the former source again.
  await parts.stores.protections.updateNotes(protectionId, { sourceStoppedByRun: null })
  await resolveAlert(parts, UNCOMMITTED_ALERT, protection)
  await resolveAlert(parts, REPLICA_OFF_ALERT, protection)
  await tellFailover(context, protection, {
    severity: 'info',
    code: 'failover/committed',
    message: `The failover of ${protection.name} is committed`,
  })
  // Last: whoever repeats this finds by the state whether all of it is done.
  const note = 'Runs at the target site; reprotect it to replicate back'
  await settleState(context, { protectionId, from: 'committing', to: 'committed', note, stillOurs })
}

async function loadRun(context: EngineContext, id: Protection['id']): Promise<Run> {
  const run = await findFailover(context, id)
  if (run && run.machineRef !== null) return run
  throw new Refusal({
    code: 'failover/nothing-runs',
    message: 'No replica runs that could be committed',
    remedy: 'Choose another recovery point, or roll back.',
  })
}

/** A target knows runs: what it says of one that is not there is said of the machine. */
async function namingMachine(
  { parts }: EngineContext,
  { protectionId, targetSiteId }: Run,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'run/not-found') throw error
    const { name } = await loadProtection(parts, protectionId)
    const site = await parts.stores.sites.find(targetSiteId)
    throw new Refusal({
      code: 'failover/nothing-runs',
      message: `${name} does not run at ${site?.name ?? 'its target site'}: the machine of the failover is not there`,
      remedy: 'Choose another recovery point, or roll back.',
      cause: error,
    })
  }
}

/** One that is off never becomes independent, and while a commit waits for it nobody else could start it again. */
async function waitWhileItRuns(context: EngineContext, run: Run, task: TaskScope): Promise<void> {
  const over = new AbortController()
  const signal = AbortSignal.any([task.signal, over.signal])
  context.keeper.hydrate(run)
  const hydrated = context.keeper.whenHydrated(run, task.progress, signal)
  const off = refuseWhenOff(context, run, signal)
  // The one that is not waited for ends with the signal.
  for (const either of [hydrated, off]) either.catch(() => {})
  try {
    await Promise.race([hydrated, off])
  } finally {
    over.abort(new DOMException('It is known how it stands', 'AbortError'))
  }
}

async function refuseWhenOff({ parts }: EngineContext, run: Run, signal: AbortSignal): Promise<never> {
  await whenOff(parts, run, signal)
  throw new Refusal({
    code: 'failover/replica-off',
    message: 'The replica is off, so it cannot become independent of its recovery point',
    remedy: 'Start the replica, then commit again.',
  })
}

/** The point stays held: it is the common point of a later reprotect. Repeatable. */
async function handOver(
  context: EngineContext,
  protection: Protection,
  { run, jobId }: { readonly run: Run; readonly jobId: JobId },
): Promise<void> {
  const { parts, keeper } = context
  if (!isFailBack(run, protection)) {
    const target = await targetOf(parts, run.targetSiteId)
    await claimedBy(context, protection.id, jobId)()
    await namingMachine(context, run, () => target.adopt(run.id))
  }
  // A run that counts as over is found by no roll back, which would then start the source beside its machine: in one act with the look.
  if (!(await parts.stores.runs.endClaimed(run.id, jobId, parts.clock.now()))) throw claimLost()
  // Last, because it may take long: written after it, a process that stood still in it would end a run that was settled otherwise
  // meanwhile. What a crash leaves of it is let go by whoever keeps a run that is over.
  await keeper.drop(run.id)
  parts.live.changed('runs', run.id)
}
