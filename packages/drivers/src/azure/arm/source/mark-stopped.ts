import { present } from '@understudy/base/invariant'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { TrackingId } from '@understudy/engine/ports/source-platform'
import { formatCheckpoint, isOf, newMark } from './marks.ts'
import { listMarks, type MarkParts, sweepMarks, takeMark } from './take-marks.ts'
import { loadTracked } from './tracked-machine.ts'

/** Marks a machine that is off and is started next. In the place of whatever this owner tracked before. */
export async function markStopped(
  parts: MarkParts,
  ref: MachineRef,
  trackingId: TrackingId,
  signal: AbortSignal | undefined,
): Promise<string> {
  const machine = await loadTracked(parts, ref, [], signal)
  const marks = await listMarks(parts, signal)
  await sweepMarks(
    parts,
    marks.filter((mark) => isOf(mark, machine.subject, trackingId)),
    signal,
  )
  const mark = { subject: machine.subject, trackingId, mark: newMark() }
  const snapshots = await takeMark(parts, mark, machine.disks, signal)
  const ids = snapshots.map(({ uniqueId }, index) => [
    present(machine.disks[index], 'one for each disk').key,
    present(uniqueId, 'a snapshot has an id of its own'),
  ])
  return formatCheckpoint({ mark: mark.mark, snapshots: Object.fromEntries(ids) })
}
