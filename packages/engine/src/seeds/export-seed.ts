// The first copy goes to a disk that is carried, instead of over the line.
import { formatBytes } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { Protection, ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import type { Seed, SeedExport, SeedId } from '@understudy/domain/seeds/seed'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { JobBody, TaskScope } from '../jobs/job-scope.ts'
import { withWriter } from '../recovery-points/with-replica.ts'
import type { ProtectionRequest, SeedRequest } from '../requests.ts'
import { copyToSeed } from './copy-to-seed.ts'

const from: readonly ProtectionState[] = ['seeding', 'paused', 'awaitingSeed']

/** Before the job: what it works with, which is no part of what a job keeps. An export that was begun goes on under its name. */
export async function prepareExport(parts: EngineParts, request: SeedRequest): Promise<void> {
  const { protectionId, folder, passphrase } = request
  const protection = await loadProtection(parts, protectionId)
  const begun = protection.state === 'awaitingSeed' ? await parts.stores.seeds.find(protectionId) : null
  const seed: Seed =
    begun?.replicaId === protection.replicaId
      ? { ...begun, folder }
      : {
          id: parts.newId() as SeedId,
          protectionId,
          replicaId: protection.replicaId,
          folder,
          startedAt: parts.clock.now(),
          export: null,
        }
  await parts.stores.seeds.save(seed, passphrase)
}

const tasks = ['Stop copying over the line', 'Export the first copy', 'Wait for the seed']

export const exportSeed = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => tasks,
  async run(job, { protectionId }) {
    await job.task('Stop copying over the line', () => holdBack(context, protectionId))
    const exported = await job.task('Export the first copy', (task) =>
      copyOut(context.parts, protectionId, task),
    )
    await job.task('Wait for the seed', () => waitForSeed(context, protectionId, { exported, by: job.by }))
  },
})

/** Repeatable. Afterwards no cycle of before can seal a point any more. */
async function holdBack({ parts, mover }: EngineContext, id: ProtectionId): Promise<void> {
  const protection = await loadProtection(parts, id)
  const { state } = protection
  if (!from.includes(state)) throw stateChanged()
  const note = 'Its first copy travels on a disk'
  if (
    state !== 'awaitingSeed' &&
    !(await parts.stores.protections.moveState(id, state, 'awaitingSeed', note, null))
  )
    throw stateChanged()
  parts.live.changed('protections', id)
  await mover.quiesce(id)
  const { replicaId, targetSiteId: siteId } = protection
  const where = { protectionId: id, siteId, replicaId }
  const isEmpty = await withWriter(parts, where, async (replica) => replica.points().length === 0)
  if (isEmpty) return
  await parts.stores.protections.moveState(id, 'awaitingSeed', 'seeding', null)
  await parts.stores.seeds.remove(id)
  parts.live.changed('protections', id)
  mover.look()
  throw new Refusal({
    code: 'seed/not-needed',
    message: `The first copy of ${protection.name} was made over the line a moment ago`,
    remedy: 'Nothing needs to be done: it goes on with changes.',
  })
}

async function copyOut(parts: EngineParts, id: ProtectionId, task: TaskScope): Promise<SeedExport> {
  const protection = await loadProtection(parts, id)
  const { seed, passphrase } = await loadSeed(parts, id)
  const identity = { ...identityOf(seed), machineName: protection.name }
  const place = { folder: seed.folder, passphrase }
  const { point, storedBytes } = await copyToSeed(parts, { protection, identity, place }, task)
  const tracked = point.checkpoint !== null
  if (!tracked)
    task.warn('Changes cannot be tracked now: the first cycle after the import compares everything')
  return { endedAt: parts.clock.now(), instant: point.instant, storedBytes, tracked }
}

async function waitForSeed(
  { parts }: EngineContext,
  id: ProtectionId,
  { exported, by }: { readonly exported: SeedExport; readonly by: string },
): Promise<void> {
  const protection = await loadProtection(parts, id)
  const seed = present(await parts.stores.seeds.find(id), 'an export has its seed')
  await parts.stores.seeds.save({ ...seed, export: exported }, null)
  await tellSeed(parts, protection, {
    code: 'seed/exported',
    message: `The first copy of ${protection.name} was exported to ${seed.folder} by ${by}: ${formatBytes(exported.storedBytes)}`,
  })
}

/** With the passphrase of the request that began the job. */
export async function loadSeed(
  parts: EngineParts,
  id: ProtectionId,
): Promise<{ readonly seed: Seed; readonly passphrase: string }> {
  const [seed, passphrase] = await Promise.all([
    parts.stores.seeds.find(id),
    parts.stores.seeds.passphrase(id),
  ])
  if (seed && passphrase !== null) return { seed, passphrase }
  throw new Refusal({
    code: 'seed/given-up',
    message: 'The seed was given up',
    remedy: 'Export the first copy anew, or copy it over the line.',
  })
}

export const identityOf = ({ id, protectionId, replicaId }: Seed) => ({ id, protectionId, replicaId })

export async function tellSeed(
  parts: EngineParts,
  { id, name }: Pick<Protection, 'id' | 'name'>,
  what: { readonly code: string; readonly message: string },
): Promise<void> {
  await recordEvent(parts, { severity: 'info', ...what, subject: { id, name } })
  parts.live.changed('protections', id)
}

export const stateChanged = (): Refusal =>
  new Refusal({
    code: 'protection/state-changed',
    message: 'The protection changed its state meanwhile',
    remedy: 'Look at it and decide again.',
  })
