// Makes and removes the snapshots of marks.
import type { Snapshot } from '@azure/arm-compute'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { eachOrNone } from '../each-or-none.ts'
import { settled } from '../ensure-resource.ts'
import { type MarkName, markTags, readMark, snapshotName } from './marks.ts'
import type { SourceParts } from './source-parts.ts'

export type MarkParts = Pick<SourceParts, 'arm' | 'settings' | 'waits'>

/** Requests to Resource Manager under way at a time, of one machine. */
const AT_ONCE = 8

export type DiskToMark = { readonly key: DiskKey; readonly diskId: string }

export const snapshotBody = (
  { settings }: Pick<SourceParts, 'settings'>,
  name: MarkName,
  diskId: string,
): Snapshot => ({
  location: settings.region,
  tags: { ...settings.tags, ...markTags(name) },
  // The cheapest kind: only its changes are kept and charged for, whatever the kind of the disk.
  sku: { name: 'Standard_LRS' },
  incremental: true,
  creationData: { createOption: 'Copy', sourceResourceId: diskId },
  // Read from where this server is, and only with a signature that is taken back.
  networkAccessPolicy: 'AllowAll',
  publicNetworkAccess: 'Enabled',
})

/** In the order of the disks. When one fails the others are removed again, as far as that goes. */
export async function takeMark(
  parts: MarkParts,
  mark: Omit<MarkName, 'disk'>,
  disks: readonly DiskToMark[],
  signal: AbortSignal | undefined,
): Promise<readonly Snapshot[]> {
  try {
    return await eachOrNone(disks, AT_ONCE, signal, async ({ key, diskId }, _, stop) => {
      const name = { ...mark, disk: key }
      await parts.arm.snapshots.create(snapshotName(name), snapshotBody(parts, name, diskId), stop)
      return checkMade(await settled(parts.arm.snapshots, snapshotName(name), parts.waits, stop), key)
    })
  } catch (error) {
    const made = disks.map(({ key }) => ({
      name: snapshotName({ ...mark, disk: key }),
      diskState: 'ActiveSAS',
    }))
    await sweepMarks(parts, made)
    throw error
  }
}

export function checkMade(snapshot: Snapshot | null, disk: string): Snapshot {
  if (snapshot?.provisioningState === 'Succeeded' && (snapshot.completionPercent ?? 100) >= 100)
    return snapshot
  throw new Outage({
    code: 'azure/snapshot-not-made',
    message: `Azure did not make the snapshot of disk ${disk}`,
    remedy: 'It is tried again. If it stays, look at the activity log of the resource group.',
  })
}

type Removable = Pick<Snapshot, 'name' | 'diskState'>

/** Azure keeps a snapshot while somebody may read it. */
export async function removeMarks(
  { arm }: Pick<SourceParts, 'arm'>,
  snapshots: readonly Removable[],
  signal?: AbortSignal,
): Promise<void> {
  await eachOrNone(snapshots, AT_ONCE, signal, async ({ name, diskState }, _, stop) => {
    const known = present(name, 'a snapshot has a name')
    if (diskState === 'ActiveSAS') await arm.revokeReading(known, stop)
    await arm.snapshots.remove(known, stop)
  })
}

/** What cannot be removed now is found by its tags, and removed, when the next point is opened. */
export async function sweepMarks(
  parts: Pick<SourceParts, 'arm'>,
  snapshots: readonly Removable[],
  signal?: AbortSignal,
): Promise<void> {
  for (const snapshot of snapshots)
    await removeMarks(parts, [snapshot], signal).catch((error: unknown) => {
      if (!(error instanceof Outage)) throw error
    })
}

/** All of ours, whoever's. */
export async function listMarks(
  { arm }: Pick<SourceParts, 'arm'>,
  signal?: AbortSignal,
): Promise<readonly Snapshot[]> {
  return (await arm.snapshots.list(signal)).filter((snapshot) => readMark(snapshot) !== null)
}
