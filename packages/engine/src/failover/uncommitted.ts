// The timer of failovers that nobody has committed: it warns, then does what the policy says.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { checkCommitTimer } from '@understudy/domain/failover/commit-timer'
import type { Run } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, type Subject } from '../events/report.ts'
import { activeJobsOf, startJob } from '../jobs/start-job.ts'
import { plansOfBoots } from '../recovery-plans/boots-of-run.ts'

/** Resolved by whatever ends the uncommitted state. */
export const UNCOMMITTED_ALERT = 'failover/uncommitted'

/** What did not succeed is tried again after this long. */
export const AGAIN_AFTER_MILLISECONDS = 10 * 60_000

/**
 * Called at every look of a mover with what it holds. Repeatable: the alert exists once, and a job once in ten minutes. The look carries
 * the lease of all that it holds, so what is due is asked about in one go.
 */
export async function watchUncommitted(
  parts: EngineParts,
  held: ReadonlyMap<ProtectionId, Protection>,
  runs: readonly Run[],
): Promise<void> {
  const due = runs.flatMap((run) => dueOf(parts, held.get(run.protectionId), run))
  if (due.length === 0) return
  // Machines that a plan has failed over are decided about together: its timer warns and acts.
  const planOf = await plansOfBoots(
    parts,
    due.map(({ run }) => run),
  )
  for (const { protection, run, verdict } of due) {
    if (planOf.has(run.id)) continue
    if (verdict === 'warn') await warn(parts, protection, run)
    if (verdict === 'act' && run.commitDeadline !== null)
      await act(parts, protection, { run, deadline: run.commitDeadline })
  }
}

function dueOf(parts: EngineParts, protection: Protection | undefined, run: Run) {
  if (protection?.state !== 'failedOver' || run.kind === 'test') return []
  const verdict = checkCommitTimer({
    deadline: run.commitDeadline,
    warnSeconds: parts.config.commitWarningSeconds,
    warned: false,
    now: parts.clock.now(),
  })
  return verdict === 'wait' ? [] : [{ protection, run, verdict }]
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

async function act(
  parts: EngineParts,
  protection: Protection,
  { run, deadline }: { readonly run: Run; readonly deadline: Instant },
): Promise<void> {
  const attempt = Math.floor((parts.clock.now() - deadline) / AGAIN_AFTER_MILLISECONDS)
  // One for this run and attempt, whoever looks and however often.
  const jobId = `timer-${run.id}-${attempt}` as JobId
  if ((await parts.stores.jobs.find(jobId)) !== null) return
  // The operator was quicker.
  if ((await activeJobsOf(parts, protection.id)).length > 0) return
  const kind = await actionOf(parts, protection)
  const subject = { id: protection.id, name: protection.name }
  if (attempt > 0) await tellOverdue(parts, subject, deadline)
  const by = `policy (${Math.round((parts.clock.now() - run.startedAt) / 1000)} s after the failover)`
  try {
    // The alert stays open until the failover is settled: a job that has begun has not succeeded yet.
    await startJob(parts, kind, subject, { by, jobId, protectionId: protection.id })
  } catch (error) {
    // The operator was quicker, at this very moment.
    if (error instanceof Refusal) return
    throw error
  }
}

async function tellOverdue(parts: EngineParts, subject: Subject, deadline: Instant): Promise<void> {
  await raiseAlert(parts, {
    severity: 'critical',
    code: UNCOMMITTED_ALERT,
    message: `${subject.name} is failed over, and what the policy says was to be done at ${new Date(deadline).toISOString()} did not succeed`,
    remedy:
      'See its jobs, then commit it or roll it back yourself. The policy tries again every ten minutes.',
    subject,
  })
}

async function actionOf(parts: EngineParts, protection: Protection): Promise<'commit' | 'roll-back'> {
  return (await parts.stores.policies.find(protection.policyId))?.uncommittedAction ?? 'commit'
}
