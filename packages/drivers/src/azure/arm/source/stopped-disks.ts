// The disks of a machine that is off, for the last changes: a mark for as long as they are read.
import { Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { DiskFingerprint, SourcePlatform, StoppedDisks } from '@understudy/engine/ports/source-platform'
import { openMarked, whyNotCompared } from './marked-disks.ts'
import { isOf, newMark, READING_MARK, readMark } from './marks.ts'
import { asRead } from './open-point.ts'
import { isOff } from './power.ts'
import type { SourceParts } from './source-parts.ts'
import { listMarks, removeMarks, sweepMarks, takeMark } from './take-marks.ts'
import { findSince, loadTracked, type TrackedDisk } from './tracked-machine.ts'

type Options = Parameters<SourcePlatform['openStoppedDisks']>[1]

/** See SourcePlatform.openStoppedDisks. Refusal `source/not-off` while the machine runs. */
export async function openStoppedDisks(
  parts: SourceParts,
  ref: MachineRef,
  { excludedDisks, trackingId, since }: Options,
  signal: AbortSignal | undefined,
): Promise<StoppedDisks> {
  const machine = await loadTracked(parts, ref, excludedDisks, signal)
  if (!isOff((await parts.arm.stateOf(machine.name, signal))?.power)) throw notOff(machine.name)
  const marks = (await listMarks(parts, signal)).filter((one) => isOf(one, machine.subject, trackingId))
  // The mark that replication goes on from stays: nobody has sealed anything yet.
  const isReading = (mark: string | undefined): boolean => mark?.startsWith(READING_MARK) === true
  await sweepMarks(
    parts,
    marks.filter((one) => isReading(readMark(one)?.mark)),
    signal,
  )
  const found = since === null ? null : findSince(machine, { since, trackingId }, marks)
  const before = found?.kind === 'known' ? found.snapshots : null
  const mark = { subject: machine.subject, trackingId, mark: `${READING_MARK}${newMark()}` }
  const snapshots = await takeMark(parts, mark, machine.disks, signal)
  const read = { disks: machine.disks, snapshots }
  try {
    const opened = await openMarked(parts, read, before, signal).catch((error: unknown) => {
      if (before === null || whyNotCompared(error) === null) throw error
      return null
    })
    const marked = opened ?? (await openMarked(parts, read, null, signal))
    return {
      sinceKnown: before !== null && opened !== null,
      disks: marked.disks,
      fingerprints: machine.disks.map(toFingerprint),
      async close() {
        await marked.end()
        await removeMarks(parts, snapshots)
      },
    }
  } catch (error) {
    await sweepMarks(parts, asRead(snapshots))
    throw error
  }
}

/** Azure notes when a disk was last attached or detached, or its machine started or deallocated: nobody writes without one of these. */
function toFingerprint({ key, disk }: TrackedDisk): DiskFingerprint {
  const at = disk.lastOwnershipUpdateTime?.toISOString() ?? 'never'
  return { key, value: `${disk.uniqueId}/${disk.diskSizeBytes}/${at}` }
}

const notOff = (name: string): Refusal =>
  new Refusal({
    code: 'source/not-off',
    message: `${name} is not off, so its disks still change`,
    remedy: 'Shut it down first.',
  })
