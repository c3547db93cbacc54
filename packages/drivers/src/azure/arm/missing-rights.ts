// What the identity of a site may not do of what running replicas takes. Pure.
import type { MissingRight } from '@understudy/domain/sites/missing-right'

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

/** In the resource group, for steps of plans that run scripts in machines: without them everything else works. */
export const neededForScripts: readonly string[] = each(
  'Microsoft.Compute/virtualMachines/runCommands',
  ...LIFE,
)

/** In the subscription: what is on offer, and the networks wherever they lie. */
export const neededInSubscription: readonly string[] = [
  'Microsoft.Compute/skus/read',
  'Microsoft.Compute/locations/usages/read',
  'Microsoft.Network/virtualNetworks/read',
  'Microsoft.Network/networkSecurityGroups/read',
]

/** The first that fits counts: what a person makes of the name of an action. */
const purposes: readonly (readonly [RegExp, string])[] = [
  [/disks\//, 'to make disks of copies, and to remove them'],
  [/snapshots\//, 'to bring changes back from Azure'],
  [/retrieveBootDiagnosticsData/, 'to show the screen of a machine'],
  [/runCommands\//, 'to run scripts of plans in machines'],
  [/virtualMachines\//, 'to run machines'],
  [/networkInterfaces\//, 'to connect machines'],
  [/networkSecurityGroups\/read/, 'to know which networks are isolated'],
  [/networkSecurityGroups\//, 'to keep tests apart'],
  [/publicIPAddresses\//, 'to give public addresses'],
  [/subnets\/join/, 'to connect machines to a network'],
  [/virtualNetworks\/read/, 'to offer networks'],
  [/virtualNetworks\//, 'to make the own network of a test'],
  [/skus\//, 'to choose the size of a machine'],
  [/usages\//, 'to look at the quotas'],
]

export const asMissing = (actions: readonly string[], scope: string): readonly MissingRight[] =>
  actions.map((right) => ({
    right,
    scope,
    purpose: purposes.find(([pattern]) => pattern.test(right))?.[1] ?? 'to run replicas',
  }))

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
