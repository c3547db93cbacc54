// The end of a protection: nothing of ours stays on the source, and the replica goes or stays as asked.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import { harmlessKinds, type Job } from '@understudy/domain/jobs/job'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { SiteId } from '@understudy/domain/sites/site'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import { destroyRun, isFailBack } from '../failover/boot-run.ts'
import { settleCommit } from '../failover/commit.ts'
import { leftOf, removeLeftBesideSource } from '../failover/left-replicas.ts'
import { tellLeftOver } from '../failover/needless-replicas.ts'
import { restartSource } from '../failover/planned-failover.ts'
import { claimedBy } from '../failover/state-claim.ts'
import { type JobBody, JobFailure, type JobScope, type TaskScope } from '../jobs/job-scope.ts'
import { describeKind } from '../jobs/run-job.ts'
import { activeJobsOf, cancelJob } from '../jobs/start-job.ts'
import type { EndProtectionRequest } from '../requests.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { platformOf, replicasOf, targetOf } from '../sites/platform-of.ts'

const tasks = [
  'Stop replication',
  'Let go of running replicas',
  'Leave the source running',
  'Tidy up the source',
  'Remove the replica',
  'Forget it',
]

const OTHER_JOBS_SECONDS = 120
/** Beside what a source site has for its answers: a guest that still shuts down is waited for before it is started. */
const START_SECONDS = 60
const MOVE_ATTEMPTS = 10
/** Tests among them. */
const RUNS_LOOKED_AT = 100
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
    await startSource(context, job, protectionId)
    // The source may be dead, which is often why a protection is ended.
    await job.undo('Tidy up the source', () => tidyUpSource(context, protectionId))
    await removeReplica(context, job, request)
    await job.task('Forget it', () => forget(context, request))
  },
})

async function letGoOfRuns(context: EngineContext, job: JobScope, protectionId: ProtectionId): Promise<void> {
  await orAsk(job, {
    name: 'Let go of running replicas',
    problem: 'A replica that still runs, or needs its recovery point, cannot be removed',
    work: async (task) => {
      const protection = await loadProtection(context.parts, protectionId)
      for (const run of await context.parts.stores.runs.active(protectionId))
        await letGo(context, protection, { run, task })
      const stillEnding = () => refuseNotEnding(context, protectionId)
      await removeLeftBesideSource(context, protectionId, Object.assign(stillEnding, { owner: null }))
    },
    leave: () => leaveRuns(context, protectionId),
  })
}

/** What a failover of ours has stopped, and no replica replaces: soon nobody knows any more that it was us. */
async function startSource(context: EngineContext, job: JobScope, protectionId: ProtectionId): Promise<void> {
  const { parts } = context
  await orAsk(job, {
    name: 'Leave the source running',
    problem: 'The source machine was shut down for a failover that did not come about, and cannot be started',
    async work(task) {
      const { sourceStoppedByRun = null } = await parts.stores.protections.notes(protectionId)
      if (sourceStoppedByRun === null) return task.note('No failover of ours has left it off')
      const bound = { seconds: parts.config.deadSiteSeconds + START_SECONDS, signal: task.signal }
      await withinSeconds(parts, bound, () =>
        restartSource(context, protectionId, () => refuseNotEnding(context, protectionId)),
      )
      task.note('It was shut down for a failover that did not come about, and runs again')
    },
    leave: () => tellSourceOff(context, protectionId),
  })
}

/** Nobody else takes a protection out of this state. */
async function refuseNotEnding({ parts }: EngineContext, id: ProtectionId): Promise<void> {
  if ((await loadProtection(parts, id)).state !== 'ending') throw changedAgain()
}

async function tellSourceOff({ parts }: EngineContext, id: ProtectionId): Promise<void> {
  const protection = await loadProtection(parts, id)
  await recordEvent(parts, {
    severity: 'critical',
    code: 'protection/source-left-off',
    message: `${protection.name} was shut down for a failover and could not be started when its protection was ended. Start it by hand.`,
    subject: { id, name: protection.name },
    facts: { siteId: protection.sourceSiteId, ref: protection.sourceRef },
  })
  await parts.stores.protections.updateNotes(id, { sourceStoppedByRun: null })
}

async function removeReplica(
  context: EngineContext,
  job: JobScope,
  { protectionId, deleteReplica }: EndProtectionRequest,
): Promise<void> {
  if (!deleteReplica) return await job.skip('Remove the replica', 'It stays where it is')
  await orAsk(job, {
    name: 'Remove the replica',
    problem: 'The replica with its recovery points cannot be removed',
    work: async () => {
      const protection = await loadProtection(context.parts, protectionId)
      const replicas = await replicasOf(context.parts, protection.targetSiteId)
      await replicas.deleteReplica(protection.replicaId)
    },
    leave: async () => {
      const protection = await loadProtection(context.parts, protectionId)
      await tellLeft(context, protection, `The replica ${protection.replicaId}`)
    },
  })
}

type Act = {
  readonly name: string
  /** What a person is told when it fails. */
  readonly problem: string
  readonly work: (task: TaskScope) => Promise<void>
  /** Forgets what `work` cannot reach, and tells where it stays. Needs nothing from the site. */
  readonly leave: () => Promise<void>
}

const ROUNDS = 20

/** A site that is dead for good must not keep its protection for ever; but what stays behind there is a person's decision. */
async function orAsk(job: JobScope, { name, problem, work, leave }: Act): Promise<void> {
  for (let round = 1; ; round += 1) {
    const suffix = round === 1 ? '' : ` (${round})`
    try {
      return await job.task(`${name}${suffix}`, work)
    } catch (error) {
      if (!(error instanceof JobFailure) || error.report.kind === 'aborted' || round === ROUNDS) throw error
      const verdict = await job.ask({
        id: `${name.toLowerCase().replaceAll(' ', '-')}-${round}`,
        text: `${problem}: ${error.message}. End the protection all the same?`,
        answers: [
          { value: 'again', label: 'Try again', danger: false },
          { value: 'leave', label: 'Leave it behind', danger: true },
          { value: 'stop', label: 'Stop here', danger: false },
        ],
      })
      if (verdict?.value === 'again') continue
      if (verdict?.value !== 'leave') throw error
      return await job.task(`${name}: leave it behind`, leave)
    }
  }
}

async function leaveRuns(context: EngineContext, id: ProtectionId): Promise<void> {
  const { parts, keeper } = context
  const protection = await loadProtection(parts, id)
  for (const run of await leftOf(parts, id))
    await tellLeft(context, protection, `The machine ${run.machineRef ?? `of run ${run.id}`}`)
  await parts.stores.protections.updateNotes(id, { leftReplicas: [] })
  for (const run of await parts.stores.runs.active(id)) {
    await tellLeft(context, protection, `The machine ${run.machineRef ?? `of run ${run.id}`}`)
    await keeper.drop(run.id)
    const end = { over: true, endedAt: parts.clock.now(), failure: 'Left behind when the protection ended' }
    await parts.stores.runs.update(run.id, end)
    // It may run: nothing of ours may start the source beside it.
    await parts.stores.protections.updateNotes(id, { sourceStoppedByRun: null })
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
  const { parts, mover } = context
  await stopOthers(context, id, jobId)
  // A commit that stopped half-way may have given the replica away: then nothing starts the source any more.
  const { claim = null } = await parts.stores.protections.notes(id)
  await settleCommit(context, id, claimedBy(context, id, claim?.jobId ?? null))
  await moveToEnding(context, id)
  parts.live.changed('protections', id)
  await mover.quiesce(id)
}

/** What they have begun they put back themselves, which takes the protection: nothing is taken apart under a job at work. */
async function stopOthers(context: EngineContext, id: ProtectionId, jobId: string): Promise<void> {
  const { parts, cancels } = context
  const deadline = parts.clock.now() + OTHER_JOBS_SECONDS * 1000
  for (;;) {
    const others = await othersOf(context, id, jobId)
    if (others.length === 0) return
    for (const job of others) await cancelJob(parts, cancels, job.id).catch(() => {})
    if (parts.clock.now() >= deadline) return refuseAtWork(others)
    await parts.sleep(1000)
  }
}

/** Those that only watch the mover see the end by themselves. */
function refuseAtWork(others: readonly Job[]): void {
  const atWork = others.filter(({ kind }) => !harmlessKinds.includes(kind))
  if (atWork.length === 0) return
  const names = atWork.map(({ kind }) => describeKind(kind)).join(', ')
  throw new Refusal({
    code: 'protection/still-at-work',
    message: `"${names}" was asked to stop and is still at work`,
    remedy: 'Wait until it is over, then end the protection again.',
  })
}

/** A job that gives its state back at this moment must not leave a protection replicating while it is taken apart. */
async function moveToEnding({ parts }: EngineContext, id: ProtectionId): Promise<void> {
  for (let attempt = 0; attempt < MOVE_ATTEMPTS; attempt += 1) {
    const { state } = await loadProtection(parts, id)
    if (state === 'ending' || (await parts.stores.protections.moveState(id, state, 'ending', null, null)))
      return
  }
  throw changedAgain()
}

const changedAgain = (): Refusal =>
  new Refusal({
    code: 'protection/state-changed',
    message: 'The protection changed its state again and again',
    remedy: 'Wait until its other jobs are done, then end it.',
  })

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
  // Before the run is over: whoever repeats this must not find a source to start beside the machine that stays.
  await parts.stores.protections.updateNotes(protection.id, { sourceStoppedByRun: null })
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
  const places = [
    { siteId: protection.sourceSiteId, ref: protection.sourceRef },
    ...(await runsFrom(parts, protection)),
  ]
  await withinSeconds(parts, bound, async () => {
    const stops = places.map(async ({ siteId, ref }) => {
      const { source } = await platformOf(parts, siteId)
      await source?.stopTracking(ref, trackingIdOf(id))
    })
    await Promise.all(stops)
  })
}

/** The machine of a failover that was not reprotected: it was tracked from its first start, so that the way back would be short. */
async function runsFrom(
  { stores }: Pick<EngineParts, 'stores'>,
  { id, targetSiteId }: Protection,
): Promise<readonly { readonly siteId: SiteId; readonly ref: MachineRef }[]> {
  const runs = await stores.runs.history(id, RUNS_LOOKED_AT)
  const newest = runs.find(({ kind }) => kind !== 'test')
  if (newest === undefined || newest.machineRef === null || newest.targetSiteId !== targetSiteId) return []
  return [{ siteId: targetSiteId, ref: newest.machineRef }]
}

async function forget(context: EngineContext, request: EndProtectionRequest): Promise<void> {
  const { parts, mover } = context
  const id = request.protectionId
  const protection = await parts.stores.protections.find(id)
  if (!protection) return
  await tellLeftOver(parts, id)
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
  if (protection.groupId !== null) parts.live.changed('groups', protection.groupId)
  mover.look()
}
