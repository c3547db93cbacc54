// Reads what the points show and compares it with its sums: the oldest snapshot of a disk wholly, every later one where it differs.
import { roundUp } from '@understudy/base/bytes'
import { isAbort, Refusal } from '@understudy/base/errors'
import type { Extent } from '@understudy/block/device'
import { align, intersect, sorted, split, union } from '@understudy/block/extents'
import { rateLimit } from '@understudy/block/with-rate-limit'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { DamagedRange, ScrubReport } from '@understudy/engine/ports/replica-store'
import { contentSnapshot, sumsSnapshot } from './blob-names.ts'
import { bySums, type DifferenceDeps } from './difference.ts'
import { findWrongGrain, SUM_BYTES, sumsBytes } from './grain-sums.ts'
import { REQUEST_BYTES } from './limits.ts'
import { pointIdOf, type StoredDisk, type StoredPoint } from './manifests.ts'
import { openDisk, type SummedReader, sumAt } from './point-reader.ts'

/** One snapshot of a disk and the points that show it. */
type Version = { readonly disk: StoredDisk; readonly points: PointId[]; readonly reader: SummedReader }

type ScrubOptions = { readonly bytesPerSecond: number; readonly signal?: AbortSignal }

export async function scrub(
  deps: DifferenceDeps,
  points: readonly StoredPoint[],
  { bytesPerSecond, signal }: ScrubOptions,
): Promise<ScrubReport> {
  const limit = rateLimit(bytesPerSecond > 0 ? bytesPerSecond : null)
  const damage: DamagedRange[] = []
  let checkedBytes = 0
  for (const versions of versionsOf(deps, points))
    for (const [index, version] of versions.entries()) {
      const later = versions.slice(index)
      for (const piece of split(await toCheck(deps, version, versions[index - 1], signal), REQUEST_BYTES)) {
        await limit.take(piece.bytes, signal)
        checkedBytes += piece.bytes
        damage.push(...(await checkPiece(piece, later, signal)))
      }
    }
  return { checkedBytes, damage: joined(damage) }
}

function versionsOf(deps: DifferenceDeps, points: readonly StoredPoint[]): Version[][] {
  const blobs = new Map<string, Version[]>()
  for (const { manifest } of points)
    for (const disk of manifest.disks) {
      const versions = blobs.get(disk.blob) ?? []
      blobs.set(disk.blob, versions)
      const last = versions.at(-1)
      const id = pointIdOf(manifest.sequence)
      if (last?.disk.content.snapshot === disk.content.snapshot) last.points.push(id)
      else versions.push({ disk, points: [id], reader: openDisk({ ...deps, disk }) })
    }
  return [...blobs.values()]
}

/** Whole grains. */
async function toCheck(
  deps: DifferenceDeps,
  { disk }: Version,
  before: Version | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly Extent[]> {
  const { calls, folder } = deps
  const whole = { offset: 0, bytes: roundUp(disk.bytes, GRAIN_BYTES) }
  const content = contentSnapshot(folder, disk)
  const found: Extent[] = []
  if (before !== undefined && before.disk.bytes === disk.bytes && (await deps.pageDiff())) {
    for await (const extent of calls.changedPages(content, before.disk.content.snapshot, whole, signal))
      found.push(extent)
    const bySum = await bySums(deps, { from: before.disk, to: disk }, whole, signal)
    return intersect(align(union(sorted(found), bySum), GRAIN_BYTES), [whole])
  }
  for await (const extent of calls.pageRanges(content, whole, signal)) found.push(extent)
  // A page that was lost is in no list, but its sum is there.
  const sums = { offset: 0, bytes: sumsBytes(disk.bytes) }
  for await (const { offset, bytes } of calls.pageRanges(sumsSnapshot(folder, disk), sums, signal))
    found.push({ offset: (offset / SUM_BYTES) * GRAIN_BYTES, bytes: (bytes / SUM_BYTES) * GRAIN_BYTES })
  return intersect(align(sorted(found), GRAIN_BYTES), [whole])
}

async function checkPiece(
  piece: Extent,
  [version, ...later]: readonly Version[],
  signal: AbortSignal | undefined,
): Promise<DamagedRange[]> {
  if (version === undefined) return []
  const { disk, points, reader } = version
  try {
    const [data, sums] = await Promise.all([reader.readRaw(piece, signal), reader.readSums(piece, signal)])
    const damage: DamagedRange[] = []
    for (let at = 0; at < piece.bytes; at += GRAIN_BYTES) {
      const offset = piece.offset + at
      const sum = sumAt(sums, at / GRAIN_BYTES)
      const content = data.subarray(at, at + GRAIN_BYTES)
      if (findWrongGrain(reader.summing, { offset, data: content, sums: sum }) === null) continue
      const spoiled = [...points, ...(await alsoSpoiled(offset, sum, later, signal))]
      damage.push({ disk: disk.key, offset, bytes: GRAIN_BYTES, points: spoiled })
    }
    return damage
  } catch (error) {
    if (isAbort(error) || !(error instanceof Refusal) || error.code !== 'replica/damaged') throw error
    return [{ disk: disk.key, ...piece, points }]
  }
}

/** The later points that still show what was written there then. */
async function alsoSpoiled(
  offset: number,
  sum: Buffer,
  later: readonly Version[],
  signal: AbortSignal | undefined,
): Promise<PointId[]> {
  const spoiled: PointId[] = []
  for (const { disk, points, reader } of later) {
    if (offset >= disk.bytes) break
    if (!sum.equals(await reader.readSums({ offset, bytes: GRAIN_BYTES }, signal))) break
    spoiled.push(...points)
  }
  return spoiled
}

/** Neighbours with the same points, as one. */
function joined(damage: readonly DamagedRange[]): DamagedRange[] {
  const ranges: DamagedRange[] = []
  for (const next of damage) {
    const last = ranges.at(-1)
    const continues =
      last !== undefined &&
      last.disk === next.disk &&
      last.offset + last.bytes === next.offset &&
      last.points.join() === next.points.join()
    if (continues) ranges[ranges.length - 1] = { ...last, bytes: last.bytes + next.bytes }
    else ranges.push(next)
  }
  return ranges
}
