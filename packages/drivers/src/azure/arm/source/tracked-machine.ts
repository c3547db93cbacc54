// A machine that is replicated from, with the disks that can be, and the snapshots that are kept of them.
import type { Disk, Snapshot } from '@azure/arm-compute'
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import { getMachine, type RunMachine } from '../run-machine.ts'
import { type AttachedDisk, attachedDisks } from './attached-disks.ts'
import { type Checkpoint, isOf, parseCheckpoint, readMark, type Subject, subjectOf } from './marks.ts'
import type { SourceParts } from './source-parts.ts'
import type { DiskToMark } from './take-marks.ts'

export type TrackedDisk = AttachedDisk & DiskToMark & { readonly disk: Disk }

export type TrackedMachine = RunMachine & {
  readonly subject: Subject
  readonly disks: readonly TrackedDisk[]
}

/** Refuses a disk that is not left out and cannot be read. */
export async function loadTracked(
  parts: Pick<SourceParts, 'arm' | 'settings'>,
  ref: MachineRef,
  excluded: readonly DiskKey[],
  signal: AbortSignal | undefined,
): Promise<TrackedMachine> {
  const found = await getMachine(parts, ref, signal)
  const attached = attachedDisks(found.machine, await parts.arm.disks.list(signal))
  const disks = attached.filter(({ key }) => !excluded.includes(key)).map(toTracked)
  return { ...found, subject: subjectOf(found), disks }
}

function toTracked(attached: AttachedDisk): TrackedDisk {
  const { disk, obstacle } = attached
  if (obstacle !== null) throw new Refusal(obstacle)
  const whole = present(disk, 'a disk without an obstacle is there')
  return { ...attached, disk: whole, diskId: present(whole.id, 'a disk has an id') }
}

/** The snapshots of a checkpoint by disk, or why they are of no use. */
export type Since =
  | { readonly kind: 'known'; readonly mark: string; readonly snapshots: ReadonlyMap<DiskKey, Snapshot> }
  | { readonly kind: 'lost'; readonly reason: CycleReason }

export function findSince(
  { name, subject }: Pick<TrackedMachine, 'name' | 'subject'>,
  wanted: { readonly since: string; readonly trackingId: string },
  marks: readonly Snapshot[],
): Since {
  const checkpoint: Checkpoint | null = parseCheckpoint(wanted.since)
  if (checkpoint === null) return lost(`The mark to compare ${name} with is none of Azure's`)
  const own = marks.filter((snapshot) => isOf(snapshot, subject, wanted.trackingId))
  const snapshots = new Map<DiskKey, Snapshot>()
  for (const [key, uniqueId] of Object.entries(checkpoint.snapshots)) {
    const found = own.find((snapshot) => {
      const { mark, disk } = readMark(snapshot) ?? {}
      return mark === checkpoint.mark && disk === key && snapshot.uniqueId === uniqueId
    })
    if (found?.provisioningState !== 'Succeeded')
      return lost(`The snapshot that disk ${key} of ${name} is compared with is not there any more`)
    snapshots.set(key as DiskKey, found)
  }
  return { kind: 'known', mark: checkpoint.mark, snapshots }
}

export const lost = (message: string): Extract<Since, { kind: 'lost' }> => ({
  kind: 'lost',
  reason: { code: 'tracking/lost', message },
})
