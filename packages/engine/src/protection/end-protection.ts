// The end of a protection: nothing of ours stays on the source, and the replica goes or stays as asked.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { SiteId } from '@understudy/domain/sites/site'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import { destroyRun, isFailBack } from '../failover/boot-run.ts'
import { withinSeconds } from '../failover/bounded-call.ts'
import { type JobBody, JobFailure, type JobScope, type TaskScope } from '../jobs/job-scope.ts'
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
/** How often a wait for hydration asks whether the site is still there, and how long it may be away. */
const LOOK_MILLISECONDS = 5000
const AWAY_SECONDS = 120

export const endProtection = (context: EngineContext): JobBody<EndProtectionRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { protectionId } = request
    job.passPointOfNoReturn()
    await job.task('Stop replication', () => stopReplication(context, protectionId, job.id))
    await letGoOfRuns(context, job, protectionId)
    // The source may be dead, which is often why a protection is ended.
    await job.undo('Tidy up the source', () => tidyUpSource(context, protectionId))
    await removeReplica(context, job, request)
    await job.task('Forget it', () => forget(context, request))
  },
})

async function letGoOfRuns(context: EngineContext, job: JobScope, protectionId: ProtectionId): Promise<void> {
  await orLeaveBehind(job, {
    name: 'Let go of running replicas',
    what: 'A replica that still runs, or needs its recovery point,',
    work: async (task) => {
      const protection = await loadProtection(context.parts, protectionId)
      for (const run of await context.parts.stores.runs.active(protectionId))
        await letGo(context, protection, { run, task })
    },
    leave: () => leaveRuns(context, protectionId),
  })
}

async function removeReplica(
  context: EngineContext,
  job: JobScope,
  { protectionId, deleteReplica }: EndProtectionRequest,
): Promise<void> {
  if (!deleteReplica) return await job.skip('Remove the replica', 'It stays where it is')
  await orLeaveBehind(job, {
    name: 'Remove the replica',
    what: 'The replica with its recovery points',
    work: async () => {
      const protection = await loadProtection(context.parts, protectionId)
      const { replicas } = await platformOf(context.parts, protection.targetSiteId)
      await replicas.deleteReplica(protection.replicaId)
    },
    leave: async () => {
      const protection = await loadProtection(context.parts, protectionId)
      await tellLeft(context, protection, `The replica ${protection.replicaId}`)
    },
  })
}

type Removal = {
  readonly name: string
  /** The subject of a sentence: what cannot be removed. */
  readonly what: string
  readonly work: (task: TaskScope) => Promise<void>
  /** Forgets what `work` cannot reach, and tells where it stays. Needs nothing from the site. */
  readonly leave: () => Promise<void>
}

const ROUNDS = 20

/** A site that is dead for good must not keep its protection for ever; but what stays behind there is a person's decision. */
async function orLeaveBehind(job: JobScope, { name, what, work, leave }: Removal): Promise<void> {
  for (let round = 1; ; round += 1) {
    const suffix = round === 1 ? '' : ` (${round})`
    try {
      return await job.task(`${name}${suffix}`, work)
    } catch (error) {
      if (!(error instanceof JobFailure) || error.report.kind === 'aborted' || round === ROUNDS) throw error
      const verdict = await job.ask({
        id: `${name.toLowerCase().replaceAll(' ', '-')}-${round}`,
        text: `${what} cannot be removed: ${error.message}. End the protection all the same?`,
        answers: [
          { value: 'again', label: 'Try again', danger: false },
          { value: 'leave', label: 'Leave it behind', danger: true },
          { value: 'stop', label: 'Stop here', danger: false },
        ],
      })
      if (verdict === 'again') continue
      if (verdict !== 'leave') throw error
      return await job.task(`${name}: leave it behind`, leave)
    }
  }
}

async function leaveRuns(context: EngineContext, id: ProtectionId): Promise<void> {
  const { parts, keeper } = context
  const protection = await loadProtection(parts, id)
  for (const run of await parts.stores.runs.active(id)) {
    await tellLeft(context, protection, `The machine ${run.machineRef ?? `of run ${run.id}`}`)
    await keeper.drop(run.id)
    const end = { over: true, endedAt: parts.clock.now(), failure: 'Left behind when the protection ended' }
    await parts.stores.runs.update(run.id, end)
  }
}

async function tellLeft({ parts }: EngineContext, protection: Protection, what: string): Promise<void> {
  const site = await parts.stores.sites.find(protection.targetSiteId)
  await recordEvent(parts, {
    severity: 'warning',
    code: 'protection/left-behind',
    message: `${what} stays at ${site?.name ?? 'its site'}: it could not be reached when ${protection.name} was ended. Remove it there by hand.`,
    subject: { id: protection.id, name: protection.name },
    facts: { siteId: protection.targetSiteId, replicaId: protection.replicaId },
  })
}

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
  await whenHydratedOrAway(context, run, task)
  if (!isFailBack(run, protection)) await (await targetOf(parts, run.targetSiteId)).adopt(run.id)
  await keeper.drop(run.id)
  await parts.stores.runs.update(run.id, { over: true, endedAt: parts.clock.now() })
}

/** Hydration waits for its site as long as it takes. Here somebody wants an answer: an Outage when the site stays away. */
async function whenHydratedOrAway(context: EngineContext, run: Run, task: TaskScope): Promise<void> {
  const { parts, keeper } = context
  const over = new AbortController()
  const signal = AbortSignal.any([task.signal, over.signal])
  try {
    await Promise.race([
      keeper.whenHydrated(run, task.progress, signal),
      refuseAway(parts, run.targetSiteId, signal),
    ])
  } finally {
    over.abort(new DOMException('The wait is over', 'AbortError'))
  }
}

/** Never resolves: rejects when the site has not been reachable for a while, or with the signal. */
async function refuseAway(parts: EngineParts, siteId: SiteId, signal: AbortSignal): Promise<never> {
  let seenAt = parts.clock.now()
  for (;;) {
    const site = await parts.stores.sites.find(siteId)
    const now = parts.clock.now()
    if (site?.health !== 'unreachable') seenAt = now
    if (now - seenAt >= AWAY_SECONDS * 1000)
      throw new Outage({
        code: 'site/unreachable',
        message: `${site?.name ?? 'The site'} does not answer, and its replica still needs its recovery point`,
        remedy: 'Bring the site back, or leave the replica behind.',
      })
    await parts.sleep(LOOK_MILLISECONDS, signal)
  }
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
  await parts.stores.alerts.resolveAll(id, parts.clock.now())
  parts.live.changed('alerts', null)
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
