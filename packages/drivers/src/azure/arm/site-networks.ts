// The networks of a site in Azure: every subnet of its region, and one that is made for a test and goes with it. Pure.
import type { NetworkSecurityGroup, Subnet, VirtualNetwork } from '@azure/arm-network'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Network } from '@understudy/domain/sites/site'
import { toRange, usableAddresses } from './ip-ranges.ts'
import { isIsolated, prefixesOf } from './isolation.ts'
import { sameId } from './resource-id.ts'
import { partName } from './run-names.ts'

/** No id of Azure's looks like this. */
export const OWN_NETWORK = 'own-network'
/** Private, and nobody's else: it is connected to nothing. */
const OWN_PREFIX = '10.255.0.0/24'

export type SiteSubnet = {
  /** The subnet's resource id, as Azure spells it. */
  readonly id: string
  readonly name: string
  readonly networkId: string
  readonly prefixes: readonly string[]
  readonly freeAddresses: number
  readonly isolated: boolean
}

export function toSubnets(
  networks: readonly VirtualNetwork[],
  groups: readonly NetworkSecurityGroup[],
  region: string,
): readonly SiteSubnet[] {
  const inRegion = networks.filter(({ location }) => location?.toLowerCase() === region.toLowerCase())
  return inRegion.flatMap((network) =>
    (network.subnets ?? []).flatMap((subnet) => {
      // Delegated subnets belong to a service of Azure's, which lets no machines in.
      if (subnet.id === undefined || network.id === undefined || (subnet.delegations ?? []).length > 0)
        return []
      const group = groups.find(({ id }) => sameId(id, subnet.networkSecurityGroup?.id)) ?? null
      return [
        {
          id: subnet.id,
          name: `${network.name}/${subnet.name}`,
          networkId: network.id,
          prefixes: prefixesOf(subnet),
          freeAddresses: freeAddresses(subnet),
          isolated: isIsolated(subnet, group),
        },
      ]
    }),
  )
}

function freeAddresses(subnet: Subnet): number {
  const usable = prefixesOf(subnet)
    .map(toRange)
    .filter((range) => range !== null)
    .reduce((sum, range) => sum + usableAddresses(range), 0)
  return usable - (subnet.ipConfigurations ?? []).length
}

export const toNetworks = (subnets: readonly SiteSubnet[]): readonly Network[] => [
  {
    id: OWN_NETWORK,
    name: 'Own network',
    isolated: true,
    description: 'Made for the machine alone and connected to nothing; it goes with the machine',
  },
  ...subnets.map(({ id, name, isolated, prefixes, freeAddresses: free }) => ({
    id,
    name,
    isolated,
    description: `${prefixes.join(', ')}, ${free} addresses free; ${isolated ? 'lets nothing out' : 'open'}`,
  })),
]

// --- the network of one machine

export const ownNetworkName = (runId: RunId): string => partName(runId, 'network')
export const ownGroupName = (runId: RunId): string => partName(runId, 'group')

export const ownNetwork = (
  location: string,
  tags: Record<string, string>,
  groupId: string,
): VirtualNetwork => ({
  location,
  tags,
  addressSpace: { addressPrefixes: [OWN_PREFIX] },
  subnets: [{ name: 'machine', addressPrefix: OWN_PREFIX, networkSecurityGroup: { id: groupId } }],
})

/** Nothing in, nothing out: Azure's own rules would let the guest reach the Internet. */
export const ownGroup = (location: string, tags: Record<string, string>): NetworkSecurityGroup => ({
  location,
  tags,
  securityRules: (['Inbound', 'Outbound'] as const).map((direction) => ({
    name: `nothing-${direction === 'Inbound' ? 'in' : 'out'}`,
    direction,
    access: 'Deny',
    priority: 100,
    protocol: '*',
    sourceAddressPrefix: '*',
    sourcePortRange: '*',
    destinationAddressPrefix: '*',
    destinationPortRange: '*',
  })),
})
