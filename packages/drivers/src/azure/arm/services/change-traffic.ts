// One setting of an endpoint of Traffic Manager. Everything else of the endpoint and of its profile stays as it is.
import net from 'node:net'
import { present } from '@understudy/base/invariant'
import type { TrafficChange } from '@understudy/engine/ports/cloud-services'
import { isPublicAddress } from '../ip-ranges.ts'
import type { ServiceCalls, TrafficEndpoint, TrafficProfile, Within } from './service-calls.ts'
import {
  endpointAmbiguous,
  noEndpoint,
  noTarget,
  notAsAsked,
  notPublic,
  notThere,
} from './service-failures.ts'

type Settings = NonNullable<TrafficEndpoint['properties']>

/** May be repeated: what is so already is written once more, which changes nothing. */
export async function changeTraffic(
  calls: ServiceCalls,
  within: Within,
  { profile: name, endpoint: endpointName, change }: Omit<TrafficChange, 'resourceGroup'>,
  signal: AbortSignal,
): Promise<string> {
  const profile = await calls.profile(within, name, signal)
  if (profile === null) throw notThere('no-profile', `Traffic Manager profile ${name}`, within.resourceGroup)
  const endpoint = findEndpoint(profile, name, endpointName)
  const type = present(endpoint.type?.split('/').at(-1), 'an endpoint has a type')
  if (change.kind === 'target' && type.toLowerCase() !== 'externalendpoints') throw noTarget(endpointName)
  const wanted = toSettings(change)
  const at = { ...within, profile: name, type, name: endpoint.name ?? endpointName }
  const { properties = {} } = await calls.patchEndpoint(at, wanted, signal)
  for (const [key, value] of Object.entries(wanted))
    if (!isSame(properties[key as keyof Settings], value))
      throw notAsAsked(
        `the endpoint ${endpointName}`,
        `${key} ${properties[key as keyof Settings] ?? 'none'}`,
      )
  return words(profile, { name: endpointName, properties }, change.kind)
}

function findEndpoint({ properties }: TrafficProfile, profile: string, name: string): TrafficEndpoint {
  const endpoints = properties?.endpoints ?? []
  const found = endpoints.filter((one) => isSame(one.name, name))
  const [first] = found
  if (first === undefined)
    throw noEndpoint(
      name,
      profile,
      endpoints.flatMap((one) => one.name ?? []),
    )
  if (found.length > 1) throw endpointAmbiguous(name, profile)
  return first
}

function toSettings(change: TrafficChange['change']): Settings {
  switch (change.kind) {
    case 'status':
      return { endpointStatus: change.status === 'enabled' ? 'Enabled' : 'Disabled' }
    case 'weight':
      return { weight: change.weight }
    case 'priority':
      return { priority: change.priority }
    case 'target': {
      const target = change.addresses.find((address) => net.isIP(address) === 0 || isPublicAddress(address))
      if (target === undefined || target === '') throw notPublic(change.addresses)
      return { target }
    }
  }
}

const isSame = (one: unknown, other: unknown): boolean =>
  String(one ?? '').toLowerCase() === String(other ?? '').toLowerCase()

/** What routing a figure counts in. */
const routingOf = { weight: 'Weighted', priority: 'Priority' } as const

function words(
  { name, properties }: TrafficProfile,
  endpoint: { readonly name: string; readonly properties: Settings },
  kind: TrafficChange['change']['kind'],
): string {
  const { endpointStatus, endpointMonitorStatus, weight, priority, target } = endpoint.properties
  const is = {
    status: isSame(endpointStatus, 'Enabled') ? 'switched on' : 'switched off',
    weight: `at weight ${weight}`,
    priority: `at priority ${priority}`,
    target: `sent to ${target}`,
  }[kind]
  const notes = [
    ...(isSame(properties?.profileStatus, 'Disabled') ? ['the profile itself is switched off'] : []),
    ...((kind === 'weight' || kind === 'priority') &&
    !isSame(properties?.trafficRoutingMethod, routingOf[kind])
      ? [`the profile routes by ${properties?.trafficRoutingMethod}, where this does not count`]
      : []),
    ...(endpointMonitorStatus === undefined ? [] : [`its state is ${endpointMonitorStatus}`]),
    ...(properties?.dnsConfig?.ttl === undefined
      ? []
      : [`clients remember the old answer for up to ${properties.dnsConfig.ttl} s`]),
  ]
  return [`The endpoint ${endpoint.name} of ${name} is ${is}`, ...notes].join('; ')
}
