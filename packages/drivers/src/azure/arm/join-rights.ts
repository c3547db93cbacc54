// A network that lies in another resource group lets a machine in only if the identity may join it there. Where nobody says what the
// identity may do, nothing is claimed.
import { blocker } from '@understudy/domain/machines/finding'
import type { Finding } from '@understudy/domain/machines/machine'
import type { MissingRight } from '@understudy/domain/sites/missing-right'
import type { ArmCalls } from './arm-calls.ts'
import { missingRights } from './missing-rights.ts'
import { readResourceId, sameId } from './resource-id.ts'
import type { ArmSettings } from './settings.ts'
import type { SiteSubnet } from './site-networks.ts'

const JOIN = 'Microsoft.Network/virtualNetworks/subnets/join/action'
/** A test of the connection asks about no more networks than this. */
export const MOST_ASKED = 20

/** Networks of these subnets that lie elsewhere, each once. What is in the resource group itself is checked with that. */
export function networksElsewhere(
  subnets: readonly SiteSubnet[],
  { resourceGroup }: Pick<ArmSettings, 'resourceGroup'>,
): readonly string[] {
  const ids = new Map(subnets.map(({ networkId }) => [networkId.toLowerCase(), networkId]))
  return [...ids.values()].filter(
    (id) => readResourceId(id)?.resourceGroup.toLowerCase() !== resourceGroup.toLowerCase(),
  )
}

/** Null: it may be joined, as far as is known. */
export async function missingJoin(
  arm: Pick<ArmCalls, 'permissionsOn'>,
  networkId: string,
  signal?: AbortSignal,
): Promise<MissingRight | null> {
  const permissions = await arm.permissionsOn(networkId, signal)
  if (permissions === null || missingRights([JOIN], permissions).length === 0) return null
  const id = readResourceId(networkId)
  const scope = `network ${id?.names[0]} of resource group ${id?.resourceGroup}`
  return { right: JOIN, scope, purpose: 'to connect machines to this network' }
}

/** Of the networks that a machine shall be connected to. */
export async function joinFindings(
  networkIds: readonly string[],
  subnets: readonly SiteSubnet[],
  settings: Pick<ArmSettings, 'resourceGroup'>,
  ask: (networkId: string) => Promise<MissingRight | null>,
): Promise<readonly Finding[]> {
  const chosen = subnets.filter(({ id }) => networkIds.some((networkId) => sameId(id, networkId)))
  const missing = await Promise.all(networksElsewhere(chosen, settings).map(ask))
  return missing
    .filter((one) => one !== null)
    .map(({ right, scope }) =>
      blocker(
        'network/not-joinable',
        `The identity of the site may not connect machines to ${scope}: ${right} is missing there`,
        'Give the identity "Network Contributor" of this network, or a role with this action; or choose a network of the resource group of the site.',
      ),
    )
}
