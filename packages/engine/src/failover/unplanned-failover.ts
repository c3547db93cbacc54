// Unplanned: the source site is taken for dead. Nothing is needed from it, every question to it is short, and what cannot
// be proven about it is asked of a person.
import { Refusal } from '@understudy/base/errors'
import type { ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { type Answered, type JobBody, JobFailure, type JobScope, type TaskScope } from '../jobs/job-scope.ts'
import { whereIs, withWriter } from '../recovery-points/with-replica.ts'
import type { UnplannedFailoverRequest } from '../requests.ts'
import { bootRun, openRun, planRun, type RunPlan, tellFailover } from './boot-run.ts'
import { settleFailedOver, waitForFailedOver } from './failed-over.ts'
import { type Fenced, refuseRunningSource, tryFence } from './fence.ts'
import { removeLeft } from './left-replicas.ts'
import { putBack, REPLACED } from './planned-failover.ts'
import { removeReplicas } from './remove-replica.ts'
import { claimedBy, claimForFailover } from './state-claim.ts'

const tasks = [
  'Check the target site',
  'Stop replication',
  'Hold the recovery point',
  'Fence the source machine',
  'Boot the replica',
  'Hand over to the replica',
  'Wait for the guest to answer',
]

const from: readonly ProtectionState[] = [
  'seeding',
  'awaitingSeed',
  'protected',
  'resyncing',
  'paused',
  'broken',
]
const QUESTION_LIMIT = 20

export const unplannedFailover = (context: EngineContext): JobBody<UnplannedFailoverRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { parts } = context
    const { protectionId } = request
    const stillOurs = claimedBy(context, protectionId, job.id)
    const plan = await job.task('Check the target site', async ({ signal }) =>
      planRun(context, job, await loadProtection(parts, protectionId), {
        kind: 'unplanned',
        allowOpenNetworks: false,
        signal,
      }),
    )
    const claim = await claimForFailover(context, job, 'Stop replication', {
      protectionId,
      from,
      note: 'An unplanned failover is under way',
    })
    try {
      await job.task('Hold the recovery point', async (task) => {
        await shutOutOldWriters(context, protectionId)
        await removeLeft(context, protectionId, stillOurs)
        await removeReplicas(context, protectionId, { failure: REPLACED, except: plan.runId, stillOurs })
        const run = await openRun(context, await loadProtection(parts, protectionId), plan, request.choice)
        task.note(new Date(run.pointInstant).toISOString())
      })
      const fenced = await fence(context, job, request, plan)
      await bootFenced(context, job, { protectionId, plan, fenced })
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await putBack(context, job, { protectionId, claim, because: error })
      throw error
    }
    await job.task('Hand over to the replica', async () => {
      await settleFailedOver(context, { protectionId, runId: plan.runId, stillOurs })
      // Its first copy was imported, or there would be no point: nobody waits for a disk any more.
      await parts.stores.seeds.remove(protectionId)
    })
    await waitForFailedOver(context, job, plan)
  },
})

/** A mover that was cut off may come back: from now on the store refuses what it brings. */
async function shutOutOldWriters(context: EngineContext, id: ProtectionId): Promise<void> {
  const protection = await loadProtection(context.parts, id)
  await withWriter(context.parts, { protectionId: id, ...whereIs(protection) }, async () => {})
}

/** True: the source is proven off. False: a person has taken the responsibility. */
async function fence(
  context: EngineContext,
  job: JobScope,
  request: UnplannedFailoverRequest,
  plan: RunPlan,
): Promise<boolean> {
  for (let round = 1; round <= QUESTION_LIMIT; round += 1) {
    const name = round === 1 ? 'Fence the source machine' : `Fence the source machine (${round})`
    const fenced = await job.task(name, (task) =>
      fenceOnce(context, job, request, { plan, signal: task.signal, task }),
    )
    if (fenced.proven) return true
    const verdict = request.acceptUnfenced
      ? { value: 'go-on', by: request.by }
      : await askOperator(job, fenced.why, round)
    if (verdict?.value === 'again') continue
    if (verdict?.value !== 'go-on') throw stopped(fenced.why)
    await job.task('Record the decision', (task) =>
      recordOverride(context, request, { job, task, why: fenced.why, by: verdict.by }),
    )
    return false
  }
  throw stopped('The source could not be switched off')
}

async function fenceOnce(
  context: EngineContext,
  job: JobScope,
  request: UnplannedFailoverRequest,
  what: { readonly plan: RunPlan; readonly signal: AbortSignal; readonly task: TaskScope },
): Promise<Fenced> {
  const { parts } = context
  const protection = await loadProtection(parts, request.protectionId)
  const { protections } = parts.stores
  const fenced = await tryFence(parts, protection, {
    signal: what.signal,
    async beforePowerOff() {
      await claimedBy(context, protection.id, job.id)()
      // Before the act: after a crash in between it is started again for nothing rather than left off.
      await protections.updateNotes(protection.id, { sourceStoppedByRun: what.plan.runId })
    },
  })
  // What was accepted for an earlier attempt does not outlive the proof.
  if (fenced.proven) await protections.updateNotes(protection.id, { unfencedAccepted: false })
  if (fenced.proven) what.task.note(fenced.evidence)
  else what.task.warn(`Not proven off: ${fenced.why}`)
  return fenced
}

const askOperator = (job: JobScope, why: string, round: number): Promise<Answered | null> =>
  job.ask({
    id: `fence-${round}`,
    text: `The source machine could not be proven off (${why}). If it still runs, booting its replica makes two of it. Go on?`,
    answers: [
      { value: 'again', label: 'Try to switch it off again', danger: false },
      { value: 'go-on', label: 'It is off or cut off: go on', danger: true },
      { value: 'stop', label: 'Stop the failover', danger: false },
    ],
  })

const stopped = (why: string): JobFailure =>
  new JobFailure({
    kind: 'refusal',
    code: 'failover/not-fenced',
    message: `The source machine could not be proven off, and nobody took the responsibility: ${why}`,
    remedy: 'Switch it off, then fail over again; or accept that it is not fenced.',
  })

async function recordOverride(
  context: EngineContext,
  request: UnplannedFailoverRequest,
  what: {
    readonly job: JobScope
    readonly task: TaskScope
    readonly why: string
    /** Who takes the responsibility. */
    readonly by: string
  },
): Promise<void> {
  const { job, task, why, by } = what
  const protection = await loadProtection(context.parts, request.protectionId)
  await context.parts.stores.protections.updateNotes(protection.id, { unfencedAccepted: true })
  await tellFailover(context, protection, {
    severity: 'critical',
    code: 'failover/unfenced-accepted',
    message: `${protection.name} is failed over although its source could not be proven off: ${why}; ${by} went on`,
    facts: {
      jobId: job.id,
      startedBy: request.by,
      acceptedBy: by,
      answeredBeforehand: request.acceptUnfenced,
    },
  })
  const now = new Date(context.parts.clock.now()).toISOString()
  task.warn(`The source is not proven off; ${by} went on at ${now}`)
}

async function bootFenced(
  context: EngineContext,
  job: JobScope,
  what: { readonly protectionId: ProtectionId; readonly plan: RunPlan; readonly fenced: boolean },
): Promise<void> {
  const { parts } = context
  job.passPointOfNoReturn()
  await job.task('Boot the replica', async (task) => {
    const protection = await loadProtection(parts, what.protectionId)
    if (what.fenced) await refuseRunningSource(parts, protection, task.signal)
    if ((await parts.stores.runs.find(what.plan.runId)) === null)
      throw new Refusal({
        code: 'failover/run-gone',
        message: 'The failover was cleaned up meanwhile',
        remedy: 'Start it anew.',
      })
    await claimedBy(context, what.protectionId, job.id)()
    await bootRun(context, protection, what.plan, task)
  })
}
