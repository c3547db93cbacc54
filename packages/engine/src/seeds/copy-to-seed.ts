// The first copy of a machine into a seed. What was copied before an interruption stays, as long as the source knows what changed since.
import { formatBytes, KiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { invariant, present } from '@understudy/base/invariant'
import { copyExtents } from '@understudy/block/copy-extents'
import type { Extent } from '@understudy/block/device'
import { coalesce, subtract, totalBytes } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { SeedIdentity } from '@understudy/domain/seeds/seed'
import type { EngineParts } from '../engine-parts.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import type { SeedManifest, SeedMark, SeedPlace, SeedStart, SeedWriter } from '../ports/seed-folders.ts'
import type {
  OpenPointResult,
  SourceMachinePoint,
  SourcePlatform,
  SourcePoint,
} from '../ports/source-platform.ts'
import { mappedExtents } from '../replication/first-copy.ts'
import { sumBytes } from '../replication/run-cycle.ts'
import { sourceOf } from '../sites/platform-of.ts'

/** Of all disks, for one mark: more are joined with what lies between them, which is then read again. */
const STALE_EXTENTS = 20_000
const FIRST_GAP_BYTES = 64 * KiB

export type SeedWork = {
  readonly protection: Protection
  readonly identity: SeedIdentity
  readonly place: SeedPlace
  readonly start: SeedStart
  /** Notes by what the seed is known again, before the source forgets anything for it. Throws when it is not waited for any more. */
  keep(fingerprint: string): Promise<void>
}

/** Repeatable: goes on where it stopped, at a later instant. Throws what the ports throw. */
export async function copyToSeed(
  parts: EngineParts,
  { protection, identity, place, start, keep }: SeedWork,
  task: TaskScope,
): Promise<SeedManifest> {
  const source = await sourceOf(parts, protection.sourceSiteId)
  const writer = await parts.seeds.openWriter(place, identity, start)
  try {
    await keep(writer.fingerprint)
    if (writer.cutBytes > 0) task.note(`${formatBytes(writer.cutBytes)} that were cut off are written again`)
    const opening = { source, protection, task }
    if (writer.finished) {
      await closeLeftOver(opening, writer.finished)
      return writer.finished
    }
    const { point, machine, isKnown } = await openAtMark(opening, writer.mark)
    if (machine.settle) {
      await machine.release(false)
      throw cannotSettle(protection)
    }
    // Once the seed has the new mark, it is the one that must stay: an interruption finds it there.
    let moved = false
    let manifest: SeedManifest
    try {
      const { checkpoint, disks } = machine
      const mark = { checkpoint, disks: disks.map(({ key, bytes }) => ({ key, bytes })) }
      await writer.moveTo(mark, isKnown ? await changesOf(machine, task.signal) : 'all')
      moved = true
      await copyRest(parts, { machine, writer, task })
      const { instant, consistency, consistencyNote } = point
      manifest = await writer.finish({ instant, consistency, consistencyNote, checkpoint, cycle: 'seed' })
    } catch (error) {
      await machine.release(moved).catch((trouble: unknown) =>
        parts.log('warn', 'the source could not be tidied up after an export', {
          protection: protection.id,
          error: trouble,
        }),
      )
      throw error
    }
    // A point that stays open takes room at the source as long as the disk travels: that is no end yet.
    await machine.release(true)
    return manifest
  } finally {
    await writer.close()
  }
}

/** A seed is brought from instant to instant; this machine has none before everything is copied. */
const cannotSettle = ({ name }: Protection): Refusal =>
  new Refusal({
    code: 'seed/copied-while-running',
    message: `${name} is copied while it writes, so its first copy cannot be carried on a disk`,
    remedy: 'Take the first copy over the network.',
  })

type Opening = {
  readonly source: SourcePlatform
  readonly protection: Protection
  readonly task: TaskScope
}

/** An export that was cut short after its last write has left its point open: another one takes its place, and goes. Repeatable. */
async function closeLeftOver(opening: Opening, { point }: SeedManifest): Promise<void> {
  const found = await open(opening, point.checkpoint)
  if (found.kind === 'opened') await found.point.release(false)
}

/** `isKnown`: what changed since the seed's mark is known. */
async function openAtMark(opening: Opening, mark: SeedMark | null) {
  const since = mark?.checkpoint ?? null
  const first = await open(opening, since)
  if (first.kind === 'opened') return { ...toOnly(first.point), isKnown: since !== null }
  opening.task.note(`Begun anew: ${first.reason.message}`)
  const second = await open(opening, null)
  invariant(second.kind === 'opened', 'without a mark no tracking can be lost')
  return { ...toOnly(second.point), isKnown: false }
}

const open = ({ source, protection, task }: Opening, since: string | null): Promise<OpenPointResult> =>
  source.openPoint(
    {
      machines: [
        {
          ref: protection.sourceRef,
          trackingId: trackingIdOf(protection.id),
          since,
          excludedDisks: protection.excludedDisks,
          readWhole: true,
        },
      ],
      consistency: 'crash',
    },
    task.signal,
  )

const toOnly = (
  point: SourcePoint,
): { readonly point: SourcePoint; readonly machine: SourceMachinePoint } => ({
  point,
  machine: present(point.machines[0], 'a source point holds the machine that was asked for'),
})

async function changesOf(
  machine: SourceMachinePoint,
  signal: AbortSignal,
): Promise<ReadonlyMap<DiskKey, readonly Extent[]>> {
  const stale = new Map<DiskKey, readonly Extent[]>()
  // A mark is one frame, however many disks it speaks of.
  const limit = Math.max(1, Math.floor(STALE_EXTENTS / Math.max(1, machine.disks.length)))
  for (const disk of machine.disks) stale.set(disk.key, await gather(disk.changed(signal), limit))
  return stale
}

/** At most `limit`, sorted: where there are more, near ones are joined over ever wider gaps. */
export async function gather(extents: AsyncIterable<Extent>, limit: number): Promise<readonly Extent[]> {
  let found: Extent[] = []
  let gapBytes = 0
  for await (const { offset, bytes } of extents) {
    found.push({ offset, bytes })
    while (found.length > limit) {
      gapBytes = Math.max(FIRST_GAP_BYTES, 2 * gapBytes)
      found = coalesce(found, gapBytes)
    }
  }
  return coalesce(found, gapBytes)
}

type CopyRest = {
  readonly machine: SourceMachinePoint
  readonly writer: SeedWriter
  readonly task: TaskScope
}

async function copyRest(parts: EngineParts, { machine, writer, task }: CopyRest): Promise<void> {
  const totalDiskBytes = sumBytes(machine.disks)
  let before = machine.disks.reduce((sum, { key }) => sum + totalBytes(writer.safe(key)), 0)
  for (const { key, reader, bytes } of machine.disks) {
    const rest = subtract([{ offset: 0, bytes }], [...writer.safe(key)])
    const done = await copyExtents({
      from: reader,
      to: {
        write: (offset, data) => writer.write(key, offset, data),
        zero: (offset, length) => writer.zero(key, offset, length),
      },
      extents: mappedExtents(reader, rest, task.signal),
      requestBytes: parts.config.requestBytes,
      inFlight: parts.config.requestsInFlight,
      reuseBuffers: true,
      signal: task.signal,
      onProgress: ({ dataBytes, zeroBytes }) =>
        task.progress({ doneBytes: before + dataBytes + zeroBytes, totalBytes: totalDiskBytes }),
    })
    before += done.dataBytes + done.zeroBytes
  }
  task.signal.throwIfAborted()
}
