// The end of a protection: nothing of ours stays on the source, and the replica goes or stays as asked.
import { Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { recordEvent } from '../events/report.ts'
import { destroyRun, isFailBack } from '../failover/boot-run.ts'
import { withinSeconds } from '../failover/bounded-call.ts'
import type { JobBody, TaskScope } from '../jobs/job-scope.ts'
import { activeJobsOf, cancelJob } from '../jobs/start-job.ts'
import type { EndProtectionRequest } from '../requests.ts'
import { platformOf, sourceOf, targetOf } from '../sites/platform-of.ts'

const tasks = [
  'Stop replication',
  'Let go of running replicas',
  'Tidy up the source',
  'Remove the replica',
  'Forget it',
]

const OTHER_JOBS_SECONDS = 120
const MOVE_ATTEMPTS = 10

export const endProtection = (context: EngineContext): JobBody<EndProtectionRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { parts } = context
    const { protectionId } = request
    job.passPointOfNoReturn()
    await job.task('Stop replication', () => stopReplication(context, protectionId, job.id))
    await job.task('Let go of running replicas', async (task) => {
      const protection = await loadProtection(parts, protectionId)
      for (const run of await parts.stores.runs.active(protectionId))
        await letGo(context, protection, { run, task })
    })
    // The source may be dead, which is often why a protection is ended.
    await job.undo('Tidy up the source', () => tidyUpSource(context, protectionId))
    if (request.deleteReplica)
      await job.task('Remove the replica', async () => {
        const protection = await loadProtection(parts, protectionId)
        const { replicas } = await platformOf(parts, protection.targetSiteId)
        await replicas.deleteReplica(protection.replicaId)
      })
    else await job.skip('Remove the replica', 'It stays where it is')
    await job.task('Forget it', () => forget(context, request))
  },
})

async function stopReplication(context: EngineContext, id: ProtectionId, jobId: string): Promise<void> {
  const { parts, mover, cancels } = context
  const deadline = parts.clock.now() + OTHER_JOBS_SECONDS * 1000
  for (
    let others = await othersOf(context, id, jobId);
    others.length > 0;
    others = await othersOf(context, id, jobId)
  ) {
    for (const job of others) await cancelJob(parts, cancels, job.id).catch(() => {})
    if (parts.clock.now() >= deadline) break
    await parts.sleep(1000)
  }
  await moveToEnding(context, id)
  parts.live.changed('protections', id)
  await mover.quiesce(id)
}

/** A job that gives its state back at this moment must not leave a protection replicating while it is taken apart. */
async function moveToEnding({ parts }: EngineContext, id: ProtectionId): Promise<void> {
  for (let attempt = 0; attempt < MOVE_ATTEMPTS; attempt += 1) {
    const { state } = await loadProtection(parts, id)
    if (state === 'ending' || (await parts.stores.protections.moveState(id, state, 'ending', null, null)))
      return
  }
  throw new Refusal({
    code: 'protection/state-changed',
    message: 'The protection changed its state again and again',
    remedy: 'Wait until its other jobs are done, then end it.',
  })
}

const othersOf = async ({ parts }: EngineContext, id: ProtectionId, jobId: string) =>
  (await activeJobsOf(parts, id)).filter((job) => job.id !== jobId)

/** A test goes; a failover stays and becomes independent first: somebody may be working on it. Repeatable. */
async function letGo(
  context: EngineContext,
  protection: Protection,
  { run, task }: { readonly run: Run; readonly task: TaskScope },
): Promise<void> {
  const { parts, keeper } = context
  if (run.kind === 'test' || run.machineRef === null)
    return await destroyRun(context, run.id, run.kind === 'test' ? { testState: 'gone' } : {})
  await keeper.whenHydrated(run, task.progress, task.signal)
  if (!isFailBack(run, protection)) await (await targetOf(parts, run.targetSiteId)).adopt(run.id)
  await keeper.drop(run.id)
  await parts.stores.runs.update(run.id, { over: true, endedAt: parts.clock.now() })
}

async function tidyUpSource({ parts }: EngineContext, id: ProtectionId): Promise<void> {
  const protection = await loadProtection(parts, id)
  const bound = { seconds: parts.config.deadSiteSeconds, signal: new AbortController().signal }
  await withinSeconds(parts, bound, async () => {
    const source = await sourceOf(parts, protection.sourceSiteId)
    await source.stopTracking(protection.sourceRef, trackingIdOf(id))
  })
}

async function forget(context: EngineContext, request: EndProtectionRequest): Promise<void> {
  const { parts, mover } = context
  const id = request.protectionId
  const protection = await parts.stores.protections.find(id)
  if (!protection) return
  for (const code of ['protection/lag', 'protection/outage', 'protection/broken', 'protection/retention'])
    await parts.stores.alerts.resolve(code, id, parts.clock.now())
  await recordEvent(parts, {
    severity: 'info',
    code: 'protection/ended',
    message: `The protection of ${protection.name} was ended by ${request.by}`,
    subject: { id, name: protection.name },
    facts: { replicaId: protection.replicaId, deleteReplica: request.deleteReplica },
  })
  await parts.stores.protections.moveState(id, 'ending', 'gone', null)
  await parts.stores.protections.remove(id)
  parts.live.changed('protections', id)
  mover.look()
}
