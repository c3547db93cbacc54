// Networks as Azure keeps them: subnets give addresses, what is in use cannot be removed.
import { randomUUID } from 'node:crypto'
import { firstFree, isUsable, toAddress, toNumber, toRange } from '../ip-ranges.ts'
import { sameId } from '../resource-id.ts'
import { ArmError, type DoubleSite, type Json, type KindRules, key, type Resource } from './double-parts.ts'
import { findPool } from './service-rules.ts'

export const NIC = 'Microsoft.Network/networkInterfaces'

const adapters = (site: DoubleSite): readonly Resource[] =>
  [...site.resources.values()].filter(({ type }) => type === NIC)

const ipConfigurations = (adapter: Resource): readonly Json[] => adapter.properties.ipConfigurations ?? []

/** The subnet of this id, wherever its network keeps it. */
export function findSubnet(site: DoubleSite, id: string | undefined): Json | undefined {
  const network = site.find(id?.split('/').slice(0, -2).join('/'))
  return (network?.properties.subnets as Json[] | undefined)?.find((subnet) => sameId(subnet.id, id))
}

function addressesTaken(site: DoubleSite, subnetId: string, except: string): Set<number> {
  const others = adapters(site).filter(({ id }) => !sameId(id, except))
  const inSubnet = others
    .flatMap(ipConfigurations)
    .filter(({ properties }) => sameId(properties.subnet?.id, subnetId))
  return new Set(inSubnet.map(({ properties }) => toNumber(properties.privateIPAddress) ?? -1))
}

/** With what is in it, as Azure shows a network. */
export function withUse(site: DoubleSite, network: Resource): Resource {
  const subnets = (network.properties.subnets ?? []).map((subnet: Json) => {
    const used = adapters(site)
      .flatMap(ipConfigurations)
      .filter(({ properties }) => sameId(properties.subnet?.id, subnet.id))
      .map(({ id }) => ({ id }))
    return used.length === 0
      ? subnet
      : { ...subnet, properties: { ...subnet.properties, ipConfigurations: used } }
  })
  return { ...network, properties: { ...network.properties, subnets } }
}

export function isAddressFree(site: DoubleSite, network: Resource, address: string): boolean {
  const number = toNumber(address)
  return (network.properties.subnets ?? []).some((subnet: Json) => {
    const range = toRange(subnet.properties.addressPrefix)
    return (
      number !== null &&
      range !== null &&
      isUsable(range, number) &&
      !addressesTaken(site, subnet.id, '').has(number)
    )
  })
}

const done = async (): Promise<void> => {}

const needed = (site: DoubleSite, id: string, by: string): Resource => {
  const found = site.find(id)
  if (found !== undefined) return found
  throw missing(id, by)
}

const missing = (id: string, by: string): ArmError =>
  new ArmError(
    400,
    'InvalidResourceReference',
    `Resource ${id} referenced by resource ${by} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
  )

const networks: KindRules = {
  type: 'Microsoft.Network/virtualNetworks',
  put(site, resource) {
    const { properties } = resource
    properties.subnets = (properties.subnets ?? []).map((subnet: Json) => {
      const group = subnet.properties.networkSecurityGroup
      if (group !== undefined) needed(site, group.id, resource.id)
      return {
        ...subnet,
        id: `${resource.id}/subnets/${subnet.name}`,
        properties: { ...subnet.properties, provisioningState: 'Succeeded' },
      }
    })
    return done
  },
  checkRemoval(site, resource) {
    const used = adapters(site)
      .flatMap(ipConfigurations)
      .find(({ properties }) => key(properties.subnet?.id ?? '').startsWith(`${key(resource.id)}/`))
    if (used === undefined) return
    throw new ArmError(
      400,
      'InUseSubnetCannotBeDeleted',
      `Subnet is in use by ${used.id} and cannot be deleted.`,
    )
  },
}

const groups: KindRules = {
  type: 'Microsoft.Network/networkSecurityGroups',
  put(_site, resource) {
    for (const rule of resource.properties.securityRules ?? [])
      rule.id = `${resource.id}/securityRules/${rule.name}`
    return done
  },
  checkRemoval(site, resource) {
    const users = [...site.resources.values()].filter(
      ({ properties }) =>
        sameId(properties.networkSecurityGroup?.id, resource.id) ||
        (properties.subnets ?? []).some((subnet: Json) =>
          sameId(subnet.properties.networkSecurityGroup?.id, resource.id),
        ),
    )
    const [first] = users
    if (first === undefined) return
    throw new ArmError(
      400,
      'InUseNetworkSecurityGroupCannotBeDeleted',
      `Network security group ${resource.id} cannot be deleted because it is in use by the following resources: ${first.id}.`,
    )
  },
}

const addresses: KindRules = {
  type: 'Microsoft.Network/publicIPAddresses',
  put(site, resource, before) {
    const mine = 10 + site.resources.size
    resource.properties.ipAddress = before?.properties.ipAddress ?? `203.0.113.${mine % 250}`
    return done
  },
  checkRemoval(site, resource) {
    const user = adapters(site)
      .flatMap(ipConfigurations)
      .find(({ properties }) => sameId(properties.publicIPAddress?.id, resource.id))
    if (user === undefined) return
    throw new ArmError(
      400,
      'PublicIPAddressCannotBeDeleted',
      `Public IP address ${resource.id} can not be deleted since it is still allocated to resource ${user.id}.`,
    )
  },
}

const nics: KindRules = {
  type: NIC,
  put(site, resource, before) {
    const { properties } = resource
    for (const reference of [properties.networkSecurityGroup])
      if (reference !== undefined) needed(site, reference.id, resource.id)
    for (const configuration of properties.ipConfigurations ?? []) {
      configuration.id = `${resource.id}/ipConfigurations/${configuration.name}`
      for (const { id } of configuration.properties.loadBalancerBackendAddressPools ?? [])
        if (findPool(site, id) === undefined) throw missing(id, resource.id)
      if (configuration.properties.publicIPAddress !== undefined)
        needed(site, configuration.properties.publicIPAddress.id, resource.id)
      giveAddress(site, resource, configuration.properties)
      configuration.properties.provisioningState = 'Succeeded'
    }
    properties.macAddress = before?.properties.macAddress ?? macAddress()
    if (before?.properties.virtualMachine !== undefined)
      properties.virtualMachine = before.properties.virtualMachine
    return done
  },
  checkRemoval(_site, { id, properties }) {
    if (properties.virtualMachine === undefined) return
    throw new ArmError(
      400,
      'NicInUse',
      `Network Interface ${id} is used by existing resource ${properties.virtualMachine.id}. In order to delete the network interface, it must be dissociated from the resource.`,
    )
  },
}

const macAddress = (): string =>
  `00-0D-3A-${randomUUID()
    .slice(0, 6)
    .toUpperCase()
    .replace(/(..)(..)(..)/, '$1-$2-$3')}`

function giveAddress(site: DoubleSite, adapter: Resource, wanted: Json): void {
  const subnet = findSubnet(site, wanted.subnet?.id)
  if (subnet === undefined) throw missing(wanted.subnet?.id, adapter.id)
  const prefix: string = subnet.properties.addressPrefix
  const range = toRange(prefix)
  if (range === null) throw new ArmError(400, 'InvalidAddressPrefixFormat', prefix)
  const taken = addressesTaken(site, subnet.id, adapter.id)
  if (wanted.privateIPAllocationMethod !== 'Static') {
    const free = firstFree(range, taken)
    if (free === null)
      throw new ArmError(
        400,
        'SubnetIsFull',
        `Subnet ${subnet.name} with address prefix ${prefix} does not have enough capacity for 1 IP addresses.`,
      )
    wanted.privateIPAddress ??= toAddress(free)
    wanted.privateIPAllocationMethod = 'Dynamic'
    return
  }
  const number = toNumber(wanted.privateIPAddress) ?? -1
  const complain = (code: string, message: string): never => {
    throw new ArmError(400, code, message)
  }
  if (number < range.first || number > range.last)
    complain(
      'PrivateIPAddressNotInSubnet',
      `Private static IP address ${wanted.privateIPAddress} does not belong to the range of subnet prefix ${prefix}.`,
    )
  if (!isUsable(range, number))
    complain(
      'PrivateIPAddressInReservedRange',
      `Private static IP address ${wanted.privateIPAddress} falls within reserved IP range of subnet prefix ${prefix}.`,
    )
  if (taken.has(number))
    complain(
      'PrivateIPAddressIsAllocated',
      `IP configuration of ${adapter.id} is using the private IP address ${wanted.privateIPAddress} which is already allocated to another resource.`,
    )
}

export const networkRules: readonly KindRules[] = [networks, groups, addresses, nics]
