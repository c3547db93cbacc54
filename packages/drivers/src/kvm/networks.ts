// The site's networks, as a replica may be connected to them.
import type { Network } from '@understudy/domain/sites/site'
import type { KvmNetwork } from './settings.ts'

/** As in the settings, or found on the hosts. */
export type SiteNetwork = KvmNetwork & {
  /** `bridge` is the name of a network of libvirt. */
  readonly managedByLibvirt?: true
  /** For the operator, where a user network is another thing than on plain KVM. */
  readonly description?: string
}

/** Pure. Order as given. */
export const toNetworks = (networks: readonly SiteNetwork[]): readonly Network[] =>
  networks.map((network) => ({
    id: network.id,
    name: network.name,
    isolated: network.isolated,
    description: network.description ?? describe(network),
  }))

function describe(network: SiteNetwork): string {
  const kind = network.managedByLibvirt
    ? `Network ${network.bridge ?? ''} of libvirt`
    : describePlain(network)
  return network.isolated ? `${kind}; nothing gets out` : kind
}

const describePlain = (network: KvmNetwork): string =>
  network.kind === 'bridge'
    ? `Bridge ${network.bridge ?? ''} of the host`
    : 'Each machine alone behind forwarded ports of the host'
