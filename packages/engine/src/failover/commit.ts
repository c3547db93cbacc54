// The replica stays: it becomes independent of its recovery point and belongs to its site.
import { Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import type { Protection } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { resolveAlert } from '../events/report.ts'
import type { JobBody } from '../jobs/job-scope.ts'
import type { ProtectionRequest } from '../requests.ts'
import { targetOf } from '../sites/platform-of.ts'
import { findFailover, isFailBack, tellFailover } from './boot-run.ts'
import { settleState } from './state-claim.ts'
import { UNCOMMITTED_ALERT } from './uncommitted.ts'

const tasks = ['Wait until the machine is independent', 'Hand it over to its site']

export const commit = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => tasks,
  async run(job, { protectionId }) {
    const { parts, keeper } = context
    const runId = await job.task('Wait until the machine is independent', async (task) => {
      const run = await loadRun(context, protectionId)
      await keeper.whenHydrated(run, task.progress, task.signal)
      return run.id
    })
    job.passPointOfNoReturn()
    await job.task('Hand it over to its site', async () => {
      const run = await parts.stores.runs.find(runId)
      const protection = await loadProtection(parts, protectionId)
      if (run && !isFailBack(run, protection)) await (await targetOf(parts, run.targetSiteId)).adopt(run.id)
      const note = 'Runs at the target site; reprotect it to replicate back'
      // Before the run is over: a roll back at this very moment must either find it, or find that it came too late.
      await settleState(context, { protectionId, from: 'failedOver', to: 'committed', note })
      // From here on nothing of ours starts the former source again.
      await parts.stores.protections.updateNotes(protectionId, { sourceStoppedByRun: null })
      if (run) await letGo(context, run)
      await resolveAlert(parts, UNCOMMITTED_ALERT, protection)
      await tellFailover(context, protection, {
        severity: 'info',
        code: 'failover/committed',
        message: `The failover of ${protection.name} is committed`,
      })
    })
  },
})

async function loadRun(context: EngineContext, id: Protection['id']): Promise<Run> {
  const run = await findFailover(context, id)
  if (run && run.machineRef !== null) return run
  throw new Refusal({
    code: 'failover/nothing-runs',
    message: 'No replica runs that could be committed',
    remedy: 'Choose another recovery point, or roll back.',
  })
}

/** The point stays held: it is the common point of a later reprotect. Repeatable. */
async function letGo({ parts, keeper }: EngineContext, run: Run): Promise<void> {
  await keeper.drop(run.id)
  await parts.stores.runs.update(run.id, {
    over: true,
    endedAt: run.endedAt ?? parts.clock.now(),
    commitDeadline: null,
  })
  parts.live.changed('runs', run.id)
}
