import { Refusal } from '@understudy/base/errors'
import type { AdapterAddress, AdapterMapping } from '../protection/protection.ts'
import type { Network } from '../sites/site.ts'

export type BootNetworksRequest = {
  readonly mode: 'test' | 'failover'
  readonly adapters: readonly AdapterMapping[]
  readonly networks: readonly Network[]
  /** The operator insists: a test may use a network that is not isolated. */
  readonly allowOpenNetworks: boolean
}

/**
 * Adapter key to network id for a boot; an adapter that is missing stays unplugged. Refuses to plug a test into a network
 * that is not isolated: the copy would answer in place of the machine that is still running. Pure.
 */
export function chooseBootNetworks(request: BootNetworksRequest): ReadonlyMap<string, string> {
  const chosen = new Map<string, string>()
  for (const mapping of request.adapters) {
    const id = request.mode === 'test' ? mapping.testNetworkId : mapping.failoverNetworkId
    if (id === null) continue
    const network = request.networks.find((candidate) => candidate.id === id)
    if (!network) throw networkGone(id)
    if (request.mode === 'test' && !network.isolated && !request.allowOpenNetworks) throw notIsolated(network)
    chosen.set(mapping.adapterKey, id)
  }
  return chosen
}

/** Adapter key to what it is to have there; who is missing asks for its address. Pure. */
export const chooseBootAddresses = ({
  mode,
  adapters,
}: Pick<BootNetworksRequest, 'mode' | 'adapters'>): ReadonlyMap<string, AdapterAddress> =>
  new Map(
    adapters.flatMap(({ adapterKey, failoverAddress, testAddress }) => {
      const address = mode === 'test' ? testAddress : failoverAddress
      return address === undefined ? [] : [[adapterKey, address] as const]
    }),
  )

const networkGone = (id: string): Refusal =>
  new Refusal({
    code: 'failover/network-gone',
    message: `The network "${id}" does not exist at the target site any more`,
    remedy: 'Edit the protection and choose another network for its adapters.',
  })

const notIsolated = (network: Network): Refusal =>
  new Refusal({
    code: 'failover/network-not-isolated',
    message: `The test network "${network.name}" is not isolated`,
    remedy: 'Choose an isolated network for tests, or allow open networks for this test.',
  })
