// A seed becomes the first recovery point of its replica, and changes since then go over the line.
import { formatBytes } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { checkSeed } from '@understudy/domain/seeds/check-seed'
import type { SeedId } from '@understudy/domain/seeds/seed'
import { type EngineContext, loadProtection, stateChanged } from '../engine-context.ts'
import type { EngineConfig, EngineParts } from '../engine-parts.ts'
import type { JobBody, TaskScope } from '../jobs/job-scope.ts'
import type { PointWriter, Replica } from '../ports/replica-store.ts'
import type { SeedContent, SeedReader } from '../ports/seed-folders.ts'
import { withWriter } from '../recovery-points/with-replica.ts'
import { keepSummary } from '../replication/cycle-in-job.ts'
import { abortQuietly, sumBytes } from '../replication/run-cycle.ts'
import type { SeedRequest } from '../requests.ts'
import { givenUp, loadSeed, type SeedJob, tellSeed, toSeedJob } from './export-seed.ts'
import { withPassphrase } from './forget-passphrase.ts'

/** Once the job has won: what it works with, which is no part of what it keeps. */
export async function prepareImport(parts: EngineParts, request: SeedRequest): Promise<SeedJob> {
  const { protectionId, folder, passphrase } = request
  const seed = await parts.stores.seeds.find(protectionId)
  if (!seed?.export || !(await parts.stores.seeds.update({ ...seed, folder }, passphrase))) throw givenUp()
  return toSeedJob(request, seed.id)
}

const tasks = ['Import the first copy', 'Go on with changes']

export const importSeed = (context: EngineContext): JobBody<SeedJob> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { parts } = context
    await withPassphrase(parts, job, request.protectionId, async () => {
      await job.task('Import the first copy', (task) => copyIn(parts, request, task))
      await job.task('Go on with changes', () => goOn(context, request.protectionId, job.by))
    })
  },
})

/** Repeatable: goes on behind what of it is durable until the point is sealed, for nothing is visible before; then it finds it there. */
async function copyIn(parts: EngineParts, request: SeedJob, task: TaskScope): Promise<void> {
  const id = request.protectionId
  const protection = await loadProtection(parts, id)
  if (protection.state !== 'awaitingSeed') throw stateChanged()
  const { seed, passphrase } = await loadSeed(parts, request)
  const reader = await parts.seeds.openReader({ folder: seed.folder, passphrase }, seed.id)
  const where = { protectionId: id, siteId: protection.targetSiteId, replicaId: protection.replicaId }
  try {
    await withWriter(parts, where, async (replica) => {
      const startedAt = parts.clock.now()
      const found = reader.manifest
      const newest = replica.points().at(-1) ?? null
      const verdict = checkSeed({ found, expected: seed, protection, newest })
      if (verdict.kind === 'refuse') throw new Refusal(verdict.why)
      const known = verdict.kind === 'imported' ? newest : null
      const point = known ?? (await sealSeed(parts, { seedId: seed.id, replica, reader, task }))
      const summary = summaryOf(point, { startedAt, endedAt: parts.clock.now() })
      await keepSummary(parts, id, { replica, point, summary })
      task.note(`${formatBytes(point.changedBytes)} imported`)
    })
  } finally {
    await reader.close()
  }
}

const summaryOf = (
  { changedBytes, storedBytes }: RecoveryPoint,
  times: { readonly startedAt: number; readonly endedAt: number },
) => ({
  kind: 'seed' as const,
  ...times,
  readBytes: 0,
  changedBytes,
  storedBytes,
  pauseMilliseconds: 0,
  reason: 'First copy, imported from a disk',
})

type Sealing = {
  readonly seedId: SeedId
  readonly replica: Replica
  readonly reader: SeedReader
  readonly task: TaskScope
}

/**
 * Every so often what is there becomes durable, as an unfinished copy that says how far it goes: whoever comes after a crash reads the seed
 * again, for all of it must prove itself, and writes what is behind that.
 */
async function sealSeed(parts: EngineParts, sealing: Sealing): Promise<RecoveryPoint> {
  const { seedId, replica, reader, task } = sealing
  const { disks, point } = reader.manifest
  const found = replica.unfinished()
  const before = importedBefore(found, seedId)
  let writer = await replica.beginPoint(found?.id ?? null, disks)
  const writing = {
    ...sealing,
    config: parts.config,
    writer: () => writer,
    keep: async (mark: ImportMark) => {
      const part = await writer.seal({ ...point, unfinished: JSON.stringify(mark) })
      writer = await replica.beginPoint(part.id, disks)
    },
  }
  try {
    if (before !== null) task.note(`Goes on behind the ${before.pieces} pieces that were imported before`)
    if (before === null || !(await writeBehind(writing, before))) await writeBehind(writing, nothing(seedId))
    task.signal.throwIfAborted()
    return await writer.seal(point)
  } catch (error) {
    await abortQuietly(writer)
    throw error
  }
}

/** The first so many pieces of a seed. `proof`: as the reader has it behind them. */
type ImportMark = { readonly seed: SeedId; readonly pieces: number; readonly proof: string }

const nothing = (seed: SeedId): ImportMark => ({ seed, pieces: 0, proof: '' })

/** How much of this seed lies in an unfinished copy. Null: nothing that could be used. */
function importedBefore(found: RecoveryPoint | null, seedId: SeedId): ImportMark | null {
  const mark = JSON.parse(found?.unfinished ?? 'null') as Partial<ImportMark> | null
  const { seed, pieces, proof } = mark ?? {}
  return seed === seedId && pieces !== undefined && proof !== undefined ? { seed, pieces, proof } : null
}

type Writing = Sealing & {
  readonly config: Pick<EngineConfig, 'requestsInFlight' | 'firstCopyKeepBytes'>
  writer(): PointWriter
  /** Makes what the mark says durable. Nothing is under way. */
  keep(mark: ImportMark): Promise<void>
}

/**
 * Writes what is behind those pieces. False, and nothing is written: on this disk they are others (a state of an interrupted export, put back
 * later), so that what was imported of them is not to be gone on with.
 */
async function writeBehind(writing: Writing, before: ImportMark): Promise<boolean> {
  const { seedId, reader, task, config, writer, keep } = writing
  const totalBytes = sumBytes(reader.manifest.disks)
  const underWay: Promise<void>[] = []
  let [pieces, doneBytes, unkeptBytes] = [0, 0, 0]
  const settle = async (): Promise<void> => {
    await Promise.all(underWay)
    underWay.length = 0
  }
  try {
    for await (const content of reader.contents(task.signal)) {
      // What follows may overwrite what is still under way.
      if (content === 'mark') {
        await settle()
        continue
      }
      pieces += 1
      doneBytes = Math.min(totalBytes, doneBytes + content.bytes)
      task.progress({ doneBytes, totalBytes })
      if (pieces === before.pieces && reader.proof() !== before.proof) return false
      if (pieces <= before.pieces) continue
      const written = write(writer(), content, task.signal)
      // It is awaited in its turn; until then a failure must not count as unhandled.
      written.catch(() => {})
      underWay.push(written)
      if (underWay.length >= config.requestsInFlight) await underWay.shift()
      unkeptBytes += content.data?.length ?? 0
      if (unkeptBytes < config.firstCopyKeepBytes) continue
      await settle()
      await keep({ seed: seedId, pieces, proof: reader.proof() })
      unkeptBytes = 0
    }
    await Promise.all(underWay)
  } finally {
    await Promise.allSettled(underWay)
  }
  // Fewer pieces than were imported: these are others as well.
  return pieces >= before.pieces
}

const write = (
  writer: PointWriter,
  { disk, offset, bytes, data }: SeedContent,
  signal: AbortSignal,
): Promise<void> =>
  data === null ? writer.zero(disk, offset, bytes, signal) : writer.write(disk, offset, data, signal)

/** Repeatable. */
async function goOn({ parts, mover }: EngineContext, id: ProtectionId, by: string): Promise<void> {
  const protection: Protection = await loadProtection(parts, id)
  await parts.stores.protections.moveState(id, 'awaitingSeed', 'protected', null, null)
  await parts.stores.seeds.remove(id)
  await tellSeed(parts, protection, {
    code: 'seed/imported',
    message: `The first copy of ${protection.name} was imported by ${by}: from here on changes go over the line`,
  })
  mover.look()
}
