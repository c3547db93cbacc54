// The network adapters of a run's machine, and what they need: a public address, and a network of their own.
import type { NetworkInterface } from '@azure/arm-network'
import { present } from '@understudy/base/invariant'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { ensureResource } from './ensure-resource.ts'
import { pluggedAdapters, ruleFor } from './preflight.ts'
import { sameId } from './resource-id.ts'
import { partName } from './run-names.ts'
import type { AdapterRule } from './settings.ts'
import {
  OWN_NETWORK,
  ownGroup,
  ownGroupName,
  ownNetwork,
  ownNetworkName,
  type SiteSubnet,
} from './site-networks.ts'
import type { TargetParts } from './target-parts.ts'

type Made = { readonly tags: Record<string, string>; readonly subnets: readonly SiteSubnet[] }

/** The ids of the adapters, the first one for the machine's own address. Azure has no machines without one. */
export async function ensureAdapters(
  parts: TargetParts,
  spec: BootSpec,
  made: Made,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const plugged = pluggedAdapters(spec).map(({ adapter, networkId }) => ({
    networkId,
    rule: ruleFor(parts.settings, adapter, spec.mode),
  }))
  const wanted = plugged.length > 0 ? plugged : [{ networkId: OWN_NETWORK, rule: undefined }]
  const own = wanted.some(({ networkId }) => networkId === OWN_NETWORK)
    ? await ensureOwnSubnet(parts, spec, made, signal)
    : null
  const ids: string[] = []
  for (const [index, { networkId, rule }] of wanted.entries()) {
    const subnet = networkId === OWN_NETWORK ? own : made.subnets.find(({ id }) => sameId(id, networkId))?.id
    const subnetId = present(subnet, 'the preflight has seen every network')
    ids.push(await ensureAdapter(parts, spec, { index, subnetId, rule, tags: made.tags }, signal))
  }
  return ids
}

async function ensureAdapter(
  { arm, settings, waits }: TargetParts,
  { runId }: BootSpec,
  wanted: {
    readonly index: number
    readonly subnetId: string
    readonly rule: AdapterRule | undefined
    readonly tags: Record<string, string>
  },
  signal: AbortSignal | undefined,
): Promise<string> {
  const { index, subnetId, rule, tags } = wanted
  const make = async (): Promise<NetworkInterface> => {
    let publicId: string | undefined
    if (rule?.publicAddress === true) {
      const name = partName(runId, `address${index}`)
      const address = await ensureResource(
        arm.addresses,
        {
          runId,
          name,
          make: async () => ({
            location: settings.region,
            tags,
            sku: { name: 'Standard' },
            publicIPAllocationMethod: 'Static',
            ...(settings.zone === undefined ? {} : { zones: [settings.zone] }),
          }),
        },
        waits,
        signal,
      )
      publicId = present(address.id, 'an address has an id')
    }
    return {
      location: settings.region,
      tags,
      ipConfigurations: [
        {
          name: 'first',
          primary: true,
          subnet: { id: subnetId },
          ...(rule?.address === undefined
            ? { privateIPAllocationMethod: 'Dynamic' }
            : { privateIPAllocationMethod: 'Static', privateIPAddress: rule.address }),
          ...(publicId === undefined ? {} : { publicIPAddress: { id: publicId } }),
          ...(rule?.backendPoolIds === undefined
            ? {}
            : { loadBalancerBackendAddressPools: rule.backendPoolIds.map((id) => ({ id })) }),
        },
      ],
      ...(rule?.securityGroupId === undefined ? {} : { networkSecurityGroup: { id: rule.securityGroupId } }),
    }
  }
  const name = partName(runId, `adapter${index}`)
  const found = await ensureResource(arm.adapters, { runId, name, make }, waits, signal)
  return present(found.id, 'an adapter has an id')
}

/** The group before the network: a network that is there is closed. */
async function ensureOwnSubnet(
  { arm, settings, waits }: TargetParts,
  { runId }: BootSpec,
  { tags }: Made,
  signal: AbortSignal | undefined,
): Promise<string> {
  const group = await ensureResource(
    arm.groups,
    { runId, name: ownGroupName(runId), make: async () => ownGroup(settings.region, tags) },
    waits,
    signal,
  )
  const groupId = present(group.id, 'a group has an id')
  const network = await ensureResource(
    arm.networks,
    { runId, name: ownNetworkName(runId), make: async () => ownNetwork(settings.region, tags, groupId) },
    waits,
    signal,
  )
  return present(network.subnets?.[0]?.id, 'the network was made with a subnet')
}
