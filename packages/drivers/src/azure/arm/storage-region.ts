// Azure makes a disk of a copy only where the copy lies: the account of the copies and the machines have to be in one region.
import { blocker } from '@understudy/domain/machines/finding'
import type { Finding } from '@understudy/domain/machines/machine'
import { readResourceId } from './resource-id.ts'
import type { ArmSettings } from './settings.ts'

export type StoragePlace =
  | { readonly kind: 'region'; readonly region: string }
  /** There is none of this id. */
  | { readonly kind: 'missing' }
  /** It may not be looked at. */
  | { readonly kind: 'unclear' }

/** Where it could not be looked at, nothing is claimed. Pure. */
export function storageRegionFindings(
  { region, storageAccountId }: Pick<ArmSettings, 'region' | 'storageAccountId'>,
  place: StoragePlace,
): readonly Finding[] {
  const account = storageAccountId.split('/').at(-1)
  if (place.kind === 'missing')
    return [
      blocker(
        'azure/storage-account-missing',
        `There is no storage account ${account} in the resource group ${readResourceId(storageAccountId)?.resourceGroup}: Azure makes disks only of copies in an account that it finds`,
        'Check the name of the storage account. If it lies in another resource group, give its resource id in the settings of the site (under "Endpoints" of the account in the portal).',
      ),
    ]
  if (place.kind === 'unclear' || plain(place.region) === plain(region)) return []
  const storageRegion = place.region
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
