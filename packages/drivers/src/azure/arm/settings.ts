// What a site must say so that replicas can run in its subscription.
import { Refusal } from '@understudy/base/errors'

/** What an adapter gets in Azure. Found by the adapter's hardware address, as a reservation of a DHCP server is. */
export type AdapterRule = {
  readonly macAddress: string
  readonly mode: 'test' | 'failover'
  /** A fixed private address; without it Azure gives one. */
  readonly address?: string
  /** Resource ids. */
  readonly securityGroupId?: string
  readonly backendPoolIds?: readonly string[]
  /** Makes a public address for it, which goes with the run. */
  readonly publicAddress?: boolean
}

export type ArmSettings = {
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly region: string
  /** Resource id of the account in which copies lie until Azure has made disks of them: in the same region. */
  readonly storageAccountId: string
  readonly diskType: 'Standard_LRS' | 'StandardSSD_LRS' | 'Premium_LRS'
  /** Sizes to take where they fit, in this order; else the smallest that fits. */
  readonly preferredSizes: readonly string[]
  /** A zone or an availability set, not both. */
  readonly zone?: string
  readonly availabilitySetId?: string
  /** `Windows_Server` or `RHEL_BYOS`, ...: licences that are brought along. */
  readonly licenseType?: string
  readonly adapters: readonly AdapterRule[]
  /** Put on everything that is made, beside our own. */
  readonly tags: Readonly<Record<string, string>>
}

const STORAGE_ACCOUNT =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Storage\/storageAccounts\/[a-z0-9]{3,24}$/i

/** What Azure would refuse only on the day of the failover. Pure. */
export function checkArmSettings(settings: ArmSettings): ArmSettings {
  if (settings.zone !== undefined && settings.availabilitySetId !== undefined)
    throw wrong('Machines cannot be in a zone and in an availability set', 'Leave one of the two out.')
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(settings.subscriptionId))
    throw wrong(
      `"${settings.subscriptionId}" is not the id of a subscription`,
      'Copy it from the overview of the subscription in the portal.',
    )
  if (!/^[\w().-]{0,89}[\w()-]$/.test(settings.resourceGroup))
    throw wrong(
      `"${settings.resourceGroup}" cannot be the name of a resource group`,
      'Copy it from the portal.',
    )
  if (!STORAGE_ACCOUNT.test(settings.storageAccountId))
    throw wrong(
      `"${settings.storageAccountId}" is not the resource id of a storage account`,
      'Copy it from "Endpoints" of the storage account: /subscriptions/…/storageAccounts/….',
    )
  return settings
}

const wrong = (message: string, remedy: string): Refusal =>
  new Refusal({ code: 'azure/bad-settings', message, remedy })

/** What a run's place is called for ever. Azure does not tell upper from lower case here. */
export const placeOf = ({ subscriptionId, resourceGroup }: ArmSettings): string =>
  `azure:/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`.toLowerCase()
