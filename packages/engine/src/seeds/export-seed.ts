// The first copy goes to a disk that is carried, instead of over the line.
import { formatBytes } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Protection, ProtectionState } from '@understudy/domain/protection/protection'
import type { Seed, SeedExport, SeedId } from '@understudy/domain/seeds/seed'
import { type EngineContext, loadProtection, stateChanged } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import { quiesceEverywhere } from '../failover/state-claim.ts'
import type { JobBody, TaskScope } from '../jobs/job-scope.ts'
import { withWriter } from '../recovery-points/with-replica.ts'
import type { ProtectionRequest, SeedRequest } from '../requests.ts'
import { copyToSeed } from './copy-to-seed.ts'
import { withPassphrase } from './forget-passphrase.ts'
import { leaveSeed } from './leave-seed.ts'

const from: readonly ProtectionState[] = ['seeding', 'paused', 'awaitingSeed']

/** What a job keeps: which seed it is about, and no passphrase. */
export type SeedJob = ProtectionRequest & { readonly seedId: SeedId }

/**
 * Once the job has won: what it works with, which is no part of what it keeps. An export that was begun goes on under its name; a new
 * one is named after its job, so a request that is repeated finds its own.
 */
export async function prepareExport(
  parts: EngineParts,
  request: SeedRequest,
  jobId: JobId,
): Promise<SeedJob> {
  const { protectionId, folder, passphrase, acceptServerDisk: acceptsServerDisk = false } = request
  const { state, replicaId } = await loadProtection(parts, protectionId)
  const known = state === 'awaitingSeed' ? await parts.stores.seeds.find(protectionId) : null
  // It was allowed when it was asked for; another job may have come to its end since.
  if (!from.includes(state) || known?.export) throw stateChanged()
  const seed: Seed =
    known?.replicaId === replicaId
      ? { ...known, folder, acceptsServerDisk }
      : {
          id: jobId as string as SeedId,
          protectionId,
          replicaId,
          folder,
          acceptsServerDisk,
          fingerprint: null,
          startedAt: parts.clock.now(),
          export: null,
        }
  await parts.stores.seeds.save(seed, passphrase)
  return toSeedJob(request, seed.id)
}

export const toSeedJob = ({ by, protectionId }: SeedRequest, seedId: SeedId): SeedJob => ({
  by,
  protectionId,
  seedId,
})

const tasks = ['Stop copying over the line', 'Export the first copy', 'Wait for the seed']

export const exportSeed = (context: EngineContext): JobBody<SeedJob> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { parts } = context
    await withPassphrase(parts, job, request.protectionId, async () => {
      await job.task('Stop copying over the line', () => holdBack(context, request))
      const exported = await job.task('Export the first copy', (task) => copyOut(parts, request, task))
      await job.task('Wait for the seed', () => waitForSeed(context, request, { exported, by: job.by }))
    })
  },
})

/** Repeatable. Afterwards no cycle of before can seal a point any more. */
async function holdBack(context: EngineContext, request: SeedJob): Promise<void> {
  const { parts, mover } = context
  const id = request.protectionId
  const protection = await loadProtection(parts, id)
  const { state } = protection
  if (!from.includes(state)) throw stateChanged()
  // Before anything moves: without its seed nothing would lead the protection out of where it is put.
  await loadSeed(parts, request)
  const note = 'Its first copy travels on a disk'
  // What somebody has paused does not begin to copy by itself, should the seed be given up.
  const resumeState = state === 'paused' ? 'paused' : null
  if (
    state !== 'awaitingSeed' &&
    !(await parts.stores.protections.moveState(id, state, 'awaitingSeed', note, resumeState))
  )
    throw stateChanged()
  parts.live.changed('protections', id)
  await quiesceEverywhere(context, id)
  const { replicaId, targetSiteId: siteId } = protection
  const where = { protectionId: id, siteId, replicaId }
  const isEmpty = await withWriter(parts, where, async (replica) => replica.points().length === 0)
  if (isEmpty) return
  await leaveSeed(parts, await loadProtection(parts, id))
  await parts.stores.seeds.remove(id)
  parts.live.changed('protections', id)
  mover.look()
  throw new Refusal({
    code: 'seed/not-needed',
    message: `The first copy of ${protection.name} was made over the line a moment ago`,
    remedy: 'Nothing needs to be done: it goes on with changes.',
  })
}

async function copyOut(parts: EngineParts, request: SeedJob, task: TaskScope): Promise<SeedExport> {
  const protection = await loadProtection(parts, request.protectionId)
  const { seed, passphrase } = await loadSeed(parts, request)
  const identity = { ...identityOf(seed), machineName: protection.name }
  const place = { folder: seed.folder, passphrase }
  const keep = async (fingerprint: string): Promise<void> => {
    if (!(await parts.stores.seeds.update({ ...seed, fingerprint }))) throw givenUp()
  }
  const work = { protection, identity, place, start: seed, keep }
  const { point, storedBytes } = await copyToSeed(parts, work, task)
  const tracked = point.checkpoint !== null
  if (!tracked)
    task.warn('Changes cannot be tracked now: the first cycle after the import compares everything')
  return { endedAt: parts.clock.now(), instant: point.instant, storedBytes, tracked }
}

async function waitForSeed(
  { parts }: EngineContext,
  { protectionId, seedId }: SeedJob,
  { exported, by }: { readonly exported: SeedExport; readonly by: string },
): Promise<void> {
  const protection = await loadProtection(parts, protectionId)
  const seed = await parts.stores.seeds.find(protectionId)
  if (seed?.id !== seedId || !(await parts.stores.seeds.update({ ...seed, export: exported }, null)))
    throw givenUp()
  await tellSeed(parts, protection, {
    code: 'seed/exported',
    message: `The first copy of ${protection.name} was exported to ${seed.folder} by ${by}: ${formatBytes(exported.storedBytes)}`,
  })
}

/** The job's own, with the passphrase of the request that began it. */
export async function loadSeed(
  parts: EngineParts,
  { protectionId, seedId }: SeedJob,
): Promise<{ readonly seed: Seed; readonly passphrase: string }> {
  const [seed, passphrase] = await Promise.all([
    parts.stores.seeds.find(protectionId),
    parts.stores.seeds.passphrase(protectionId),
  ])
  if (seed?.id === seedId && passphrase !== null) return { seed, passphrase }
  throw givenUp()
}

export const givenUp = (): Refusal =>
  new Refusal({
    code: 'seed/given-up',
    message:
      'The seed is not waited for any more: it was given up or imported, or another one took its place',
    remedy: 'Export the first copy anew, or copy it over the line.',
  })

export const identityOf = ({ id, protectionId, replicaId }: Seed) => ({ id, protectionId, replicaId })

export async function tellSeed(
  parts: EngineParts,
  { id, name }: Pick<Protection, 'id' | 'name'>,
  what: { readonly code: string; readonly message: string },
): Promise<void> {
  await recordEvent(parts, { severity: 'info', ...what, subject: { id, name } })
  parts.live.changed('protections', id)
}
