// What the identity of a site may not do of what running replicas takes. Pure.

/** As Azure tells them: what is allowed, with stars, less what is taken out again. Several are added up. */
export type Permission = {
  readonly actions?: readonly string[]
  readonly notActions?: readonly string[]
}

const each = (kind: string, ...ends: readonly string[]): readonly string[] =>
  ends.map((end) => `${kind}/${end}`)
const LIFE = ['read', 'write', 'delete'] as const

/** In the resource group of the site. */
export const neededInGroup: readonly string[] = [
  ...each('Microsoft.Compute/disks', ...LIFE),
  ...each('Microsoft.Compute/snapshots', ...LIFE, 'beginGetAccess/action', 'endGetAccess/action'),
  ...each('Microsoft.Compute/virtualMachines', ...LIFE, 'instanceView/read'),
  ...each(
    'Microsoft.Compute/virtualMachines',
    'start/action',
    'deallocate/action',
    'powerOff/action',
    'retrieveBootDiagnosticsData/action',
  ),
  ...each('Microsoft.Network/networkInterfaces', ...LIFE, 'join/action'),
  ...each('Microsoft.Network/networkSecurityGroups', ...LIFE, 'join/action'),
  ...each('Microsoft.Network/publicIPAddresses', ...LIFE, 'join/action'),
  ...each('Microsoft.Network/virtualNetworks', ...LIFE, 'subnets/join/action'),
]

/** In the subscription: what is on offer, and the networks wherever they lie. */
export const neededInSubscription: readonly string[] = [
  'Microsoft.Compute/skus/read',
  'Microsoft.Compute/locations/usages/read',
  'Microsoft.Network/virtualNetworks/read',
  'Microsoft.Network/networkSecurityGroups/read',
]

export const missingRights = (
  needed: readonly string[],
  permissions: readonly Permission[],
): readonly string[] => needed.filter((action) => !permissions.some((one) => allows(one, action)))

const allows = ({ actions = [], notActions = [] }: Permission, action: string): boolean =>
  actions.some((pattern) => matches(pattern, action)) &&
  !notActions.some((pattern) => matches(pattern, action))

/** A star stands for anything, also for slashes; letters are alike. */
function matches(pattern: string, action: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'i').test(action)
}
