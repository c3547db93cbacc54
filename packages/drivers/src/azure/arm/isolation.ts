// Whether a machine in a subnet can reach anything outside of it. Judged strictly: what cannot be read as closed counts as open. Pure.
import type { NetworkSecurityGroup, SecurityRule, Subnet } from '@azure/arm-network'
import { contains, toRange } from './ip-ranges.ts'

/**
 * Closed: the rules that leave the subnet are looked at in their order, and the first that is about everything forbids it; what is
 * allowed before stays inside the subnet. Azure's own rules come last and let everything out, so a group without a rule of ours is open.
 */
export function isIsolated(subnet: Subnet, group: NetworkSecurityGroup | null): boolean {
  if (group === null) return false
  const outbound = (group.securityRules ?? [])
    .filter(({ direction }) => direction === 'Outbound')
    .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
  for (const rule of outbound) {
    if (rule.access === 'Deny' && isAboutEverything(rule)) return true
    if (rule.access === 'Allow' && !staysInside(rule, prefixesOf(subnet))) return false
  }
  return false
}

export const prefixesOf = ({ addressPrefix, addressPrefixes }: Subnet): readonly string[] =>
  addressPrefixes ?? (addressPrefix === undefined ? [] : [addressPrefix])

function isAboutEverything(rule: SecurityRule): boolean {
  const isAny = (one: string | undefined, many: readonly string[] | undefined): boolean =>
    one === '*' || many?.includes('*') === true
  return (
    rule.protocol === '*' &&
    isAny(rule.sourceAddressPrefix, rule.sourceAddressPrefixes) &&
    isAny(rule.destinationAddressPrefix, rule.destinationAddressPrefixes) &&
    isAny(rule.sourcePortRange, rule.sourcePortRanges) &&
    isAny(rule.destinationPortRange, rule.destinationPortRanges)
  )
}

/** Names such as VirtualNetwork stand for more than one sees: peered networks and the line to the office belong to it. */
function staysInside(rule: SecurityRule, prefixes: readonly string[]): boolean {
  const own = prefixes.map(toRange).filter((range) => range !== null)
  const { destinationAddressPrefix: one, destinationAddressPrefixes: many = [] } = rule
  const destinations = [...(one === undefined || one === '' ? [] : [one]), ...many]
  if ((rule.destinationApplicationSecurityGroups ?? []).length > 0 || destinations.length === 0) return false
  return destinations.every((destination) => {
    const range = toRange(destination)
    return range !== null && own.some((mine) => contains(mine, range))
  })
}
