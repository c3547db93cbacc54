// Azure makes a disk of a copy only where the copy lies: the account of the copies and the machines have to be in one region.
import { blocker } from '@understudy/domain/machines/finding'
import type { Finding } from '@understudy/domain/machines/machine'
import type { ArmSettings } from './settings.ts'

/** `storageRegion` null: it could not be looked at, and nothing is claimed. Pure. */
export function storageRegionFindings(
  { region, storageAccountId }: Pick<ArmSettings, 'region' | 'storageAccountId'>,
  storageRegion: string | null,
): readonly Finding[] {
  if (storageRegion === null || plain(storageRegion) === plain(region)) return []
  const account = storageAccountId.split('/').at(-1)
  return [
    blocker(
      'azure/storage-elsewhere',
      `The storage account ${account} is in ${storageRegion}, and machines shall run in ${region}: Azure makes disks only of copies that lie in their own region`,
      `Run machines in ${storageRegion}, or use a storage account in ${region}.`,
    ),
  ]
}

/** "West Europe" and "westeurope" are one place. */
const plain = (region: string): string => region.replaceAll(' ', '').toLowerCase()
