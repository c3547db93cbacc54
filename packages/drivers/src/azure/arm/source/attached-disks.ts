// The disks of a machine in Azure, and what they are called here. Pure.
import type { Disk, VirtualMachine } from '@azure/arm-compute'
import { GiB } from '@understudy/base/bytes'
import type { DiskKey, Finding } from '@understudy/domain/machines/machine'
import { virtualBytes } from '../../vhd-footer.ts'
import { sameId } from '../resource-id.ts'
import { BYTES_TAG, DISK_TAG } from '../run-names.ts'

export type AttachedDisk = {
  readonly key: DiskKey
  readonly label: string
  readonly bytes: number
  readonly boot: boolean
  /** Null: it cannot be reached, and why not stands in `obstacle`. */
  readonly disk: Disk | null
  readonly obstacle: Finding | null
}

/** Kinds whose snapshots Azure does not compare. */
const UNCOMPARED = new Set(['UltraSSD_LRS', 'PremiumV2_LRS'])

/** The one to boot from first, then in the order of their numbers. `disks`: those of the resource group. */
export function attachedDisks(machine: VirtualMachine, disks: readonly Disk[]): readonly AttachedDisk[] {
  const { osDisk, dataDisks = [] } = machine.storageProfile ?? {}
  const places = [
    ...(osDisk === undefined
      ? []
      : [{ ...osDisk, place: 'os', isEphemeral: osDisk.diffDiskSettings !== undefined }]),
    ...dataDisks
      .toSorted((a, b) => a.lun - b.lun)
      .map((disk) => ({ ...disk, place: `lun${disk.lun}`, isEphemeral: false })),
  ]
  const found = places.map((place) => ({
    ...place,
    disk: disks.find(({ id }) => sameId(id, place.managedDisk?.id)) ?? null,
  }))
  const tagged = found.map(({ disk }) => disk?.tags?.[DISK_TAG])
  return found.map(({ place, name, diskSizeGB, isEphemeral, disk }, index) => {
    const tag = tagged[index]
    // A disk that was copied carries the tag of the first one.
    const isOwn = tag !== undefined && tagged.filter((one) => one === tag).length === 1
    const key = (isOwn ? tag : place) as DiskKey
    const label = name ?? disk?.name ?? place
    return {
      key,
      label,
      bytes: disk === null ? (diskSizeGB ?? 0) * GiB : bytesOf(disk),
      boot: place === 'os',
      disk,
      obstacle: obstacleOf({ key, label, disk, isEphemeral }),
    }
  })
}

/** Azure's disks are whole MiB: one that was made for a smaller disk keeps that one's size while nobody makes it larger. */
export function bytesOf({ diskSizeBytes = 0, tags = {} }: Pick<Disk, 'diskSizeBytes' | 'tags'>): number {
  const first = Number(tags[BYTES_TAG] ?? Number.NaN)
  return Number.isInteger(first) && first > 0 && virtualBytes(first) === diskSizeBytes ? first : diskSizeBytes
}

function obstacleOf({
  key,
  label,
  disk,
  isEphemeral,
}: Pick<AttachedDisk, 'key' | 'label' | 'disk'> & { readonly isEphemeral: boolean }): Finding | null {
  const blocker = (code: string, message: string, remedy: string): Finding => ({
    level: 'blocker',
    code,
    message,
    remedy,
    disk: key,
  })
  if (isEphemeral)
    return blocker(
      'azure/disk-ephemeral',
      `Disk ${label} is ephemeral: Azure takes no snapshots of it`,
      'Give the machine a managed disk to boot from.',
    )
  if (disk === null)
    return blocker(
      'azure/disk-elsewhere',
      `Disk ${label} is not among the managed disks of the resource group of the site`,
      'Move it into that resource group, or leave it out.',
    )
  if (UNCOMPARED.has(disk.sku?.name ?? ''))
    return blocker(
      'azure/disk-kind',
      `Disk ${label} is of the kind ${disk.sku?.name}, whose snapshots Azure does not compare`,
      'Change it to a Premium SSD or Standard SSD, or leave it out.',
    )
  return null
}
