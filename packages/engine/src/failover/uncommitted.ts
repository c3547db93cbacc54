// The timer of failovers that nobody has committed: it warns, then does what the policy says.
import { Refusal } from '@understudy/base/errors'
import { checkCommitTimer } from '@understudy/domain/failover/commit-timer'
import type { Run } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { activeJobsOf, startJob } from '../jobs/start-job.ts'

/** Resolved by whatever ends the uncommitted state. */
export const UNCOMMITTED_ALERT = 'failover/uncommitted'

/** Called at every look of a mover with what it holds. Repeatable: alert and job exist once. */
export async function watchUncommitted(
  parts: EngineParts,
  held: ReadonlyMap<ProtectionId, Protection>,
  runs: readonly Run[],
): Promise<void> {
  for (const run of runs) {
    const protection = held.get(run.protectionId)
    if (protection?.state !== 'failedOver' || run.kind === 'test') continue
    const verdict = checkCommitTimer({
      deadline: run.commitDeadline,
      warnSeconds: parts.config.commitWarningSeconds,
      warned: false,
      now: parts.clock.now(),
    })
    if (verdict === 'warn') await warn(parts, protection, run)
    if (verdict === 'act') await act(parts, protection, run)
  }
}

async function warn(parts: EngineParts, protection: Protection, run: Run): Promise<void> {
  const action = await actionOf(parts, protection)
  await raiseAlert(parts, {
    severity: 'warning',
    code: UNCOMMITTED_ALERT,
    message: `${protection.name} is failed over and not committed; the policy will ${action === 'commit' ? 'commit it' : 'roll it back'} at ${new Date(run.commitDeadline ?? 0).toISOString()}`,
    remedy: 'Commit it or roll it back yourself before then.',
    subject: { id: protection.id, name: protection.name },
  })
}

async function act(parts: EngineParts, protection: Protection, run: Run): Promise<void> {
  // One for this run, whoever looks and however often.
  const jobId = `timer-${run.id}` as JobId
  if ((await parts.stores.jobs.find(jobId)) !== null) return
  // The operator was quicker.
  if ((await activeJobsOf(parts, protection.id)).length > 0) return
  const kind = await actionOf(parts, protection)
  const subject = { id: protection.id, name: protection.name }
  const by = `policy (${Math.round((parts.clock.now() - run.startedAt) / 1000)} s after the failover)`
  try {
    await startJob(parts, kind, subject, { by, jobId, protectionId: protection.id })
  } catch (error) {
    // The operator was quicker, at this very moment.
    if (error instanceof Refusal) return
    throw error
  }
  await resolveAlert(parts, UNCOMMITTED_ALERT, subject)
}

async function actionOf(parts: EngineParts, protection: Protection): Promise<'commit' | 'roll-back'> {
  return (await parts.stores.policies.find(protection.policyId))?.uncommittedAction ?? 'commit'
}
