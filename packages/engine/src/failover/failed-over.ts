// A replica has booted for good: the state says so, the timer runs, and once the guest answers the data streams in behind.
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { resolveAlert } from '../events/report.ts'
import type { JobScope } from '../jobs/job-scope.ts'
import { resolveTrouble } from '../replication/cycle-slot.ts'
import { describeRecovery, type RunPlan, tellFailover, waitForAnswer } from './boot-run.ts'
import { keepScreenshot } from './keep-screenshot.ts'
import { PUT_BACK_ALERT } from './put-back-alert.ts'
import { REPLICA_OFF_ALERT } from './start-replica.ts'
import { type StillOurs, settleState } from './state-claim.ts'

/** Repeatable. */
export async function settleFailedOver(
  context: EngineContext,
  what: { readonly protectionId: ProtectionId; readonly runId: RunId; readonly stillOurs: StillOurs },
): Promise<void> {
  const { parts } = context
  const run = present(await parts.stores.runs.find(what.runId), 'a run that has booted is written down')
  const protection = await loadProtection(parts, what.protectionId)
  const policy = await parts.stores.policies.find(protection.policyId)
  const timeoutSeconds = policy?.commitTimeoutSeconds ?? 0
  // Nobody can decide before the guest has answered, or was given up; then the time begins anew.
  const waitSeconds = parts.config.answerTimeoutSeconds
  const commitDeadline = timeoutSeconds > 0 ? parts.clock.now() + (waitSeconds + timeoutSeconds) * 1000 : null
  await parts.stores.runs.update(run.id, { commitDeadline })
  await settleState(context, {
    protectionId: what.protectionId,
    from: 'failingOver',
    to: 'failedOver',
    note: 'Runs at the target site; commit it or roll it back',
    stillOurs: what.stillOurs,
  })
  // What had stopped replication is past: the machine runs elsewhere now.
  await resolveTrouble(parts, protection)
  await resolveAlert(parts, REPLICA_OFF_ALERT, protection)
  await resolveAlert(parts, PUT_BACK_ALERT, protection)
  parts.live.changed('runs', run.id)
  await tellFailover(context, protection, {
    severity: 'warning',
    code: 'failover/failed-over',
    message: `${protection.name} runs at the target site from the point of ${new Date(run.pointInstant).toISOString()}`,
    facts: { runId: run.id, kind: run.kind, pointId: run.pointId },
  })
}

/** The failover is done whether or not the guest answers: the operator may still take it back. */
export async function waitForFailedOver(context: EngineContext, job: JobScope, plan: RunPlan): Promise<void> {
  const { parts } = context
  await job.task('Wait for the guest to answer', async (task) => {
    const timeoutSeconds = parts.config.answerTimeoutSeconds
    const { answered, note } = await waitForAnswer(context, plan, { timeoutSeconds, task, job })
    await keepScreenshot(context, plan.runId, task)
    const run = present(await parts.stores.runs.find(plan.runId), 'a run that has booted is written down')
    const protection = await loadProtection(parts, run.protectionId)
    if (!answered) await parts.stores.runs.update(run.id, { failure: note })
    const policy = await parts.stores.policies.find(protection.policyId)
    const decideSeconds = policy?.commitTimeoutSeconds ?? 0
    if (decideSeconds > 0)
      await parts.stores.runs.update(run.id, { commitDeadline: parts.clock.now() + decideSeconds * 1000 })
    // Not before: what is streamed is read beside what the guest waits for while it boots.
    context.keeper.hydrate(run)
    await tellFailover(context, protection, {
      severity: answered ? 'info' : 'warning',
      code: answered ? 'failover/answered' : 'failover/no-answer',
      message: answered
        ? `${protection.name} answered ${describeRecovery(run, 'it was asked for')}: ${note}`
        : `${protection.name} runs at the target site but did not answer in time: ${note}. Look at its screen; the failover can still be rolled back.`,
      facts: { runId: run.id },
    })
  })
}
