// The site's networks, as a replica may be connected to them.
import type { Network } from '@understudy/domain/sites/site'
import type { KvmNetwork } from './settings.ts'

/** Pure. Order as in the settings. */
export const toNetworks = (networks: readonly KvmNetwork[]): readonly Network[] =>
  networks.map((network) => ({
    id: network.id,
    name: network.name,
    isolated: network.isolated,
    description: describe(network),
  }))

function describe(network: KvmNetwork): string {
  const kind =
    network.kind === 'bridge'
      ? `Bridge ${network.bridge ?? ''} of the host`
      : 'Each machine alone behind forwarded ports of the host'
  return network.isolated ? `${kind}; nothing gets out` : kind
}
