// The mark from before the first start of a run's machine: its disks are the point then, so that the way back carries only what the guest
// has written since.
import type { Disk, Snapshot } from '@azure/arm-compute'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { ensureResource, settled } from '../ensure-resource.ts'
import { BASE_MARK, formatCheckpoint, type MarkName, snapshotName } from './marks.ts'
import { type MarkParts, snapshotBody } from './take-marks.ts'

const nameOf = ({ runId }: Pick<BootSpec, 'runId'>, trackingId: string, disk: DiskKey): MarkName => ({
  subject: { kind: 'run', runId },
  trackingId,
  mark: BASE_MARK,
  disk,
})

/** Before there is a machine. A disk that a machine has had may differ from the point: it gets no base any more. Repeatable. */
export async function ensureBase(
  parts: MarkParts,
  spec: Pick<BootSpec, 'runId' | 'disks' | 'trackingId'>,
  made: readonly Disk[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { runId, trackingId } = spec
  if (trackingId === null) return
  for (const [index, { key }] of spec.disks.entries()) {
    const disk = present(made[index], 'every disk was made')
    if (disk.lastOwnershipUpdateTime !== undefined) continue
    const name = nameOf(spec, trackingId, key)
    const make = async () => snapshotBody(parts, name, present(disk.id, 'a disk has an id'))
    const checked = { runId, name: snapshotName(name), make }
    await ensureResource(parts.arm.snapshots, checked, parts.waits, signal)
  }
}

/** `since` for the first way back. Null: not wanted, or one of the snapshots is not there. */
export async function findBase(
  parts: MarkParts,
  spec: Pick<BootSpec, 'runId' | 'disks' | 'trackingId'>,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const { trackingId } = spec
  if (trackingId === null) return null
  const snapshots: Record<string, string> = {}
  for (const { key } of spec.disks) {
    const name = snapshotName(nameOf(spec, trackingId, key))
    const found: Snapshot | null = await settled(parts.arm.snapshots, name, parts.waits, signal)
    if (found?.provisioningState !== 'Succeeded') return null
    snapshots[key] = present(found.uniqueId, 'a snapshot has an id of its own')
  }
  return formatCheckpoint({ mark: BASE_MARK, snapshots })
}
