// The requests of `service-calls.ts` through Microsoft's clients. Traffic Manager and DNS have clients of their own, which are large and
// would be needed for five requests alone: these go by hand over the line of the network client, with its sign-in and its retries.
import { createPipelineRequest, type HttpMethods } from '@azure/core-rest-pipeline'
import { Refusal } from '@understudy/base/errors'
import { asking, type Options } from '../asking.ts'
import type { SdkParts } from '../sdk-calls.ts'
import type {
  Condition,
  RecordAddress,
  RecordDocument,
  ServiceCalls,
  TrafficEndpoint,
  TrafficProfile,
  Within,
} from './service-calls.ts'

const TRAFFIC_VERSION = '2022-04-01'
const versionOfZones = { dnsZones: '2018-05-01', privateDnsZones: '2020-06-01' } as const

export function sdkServiceCalls(parts: SdkParts): ServiceCalls {
  const { compute, network } = parts
  const ask = asking(parts)
  /** Null: somebody was quicker. */
  const unlessChanged = async <Result>(work: Promise<Result>): Promise<Result | null> => {
    try {
      return await work
    } catch (error) {
      if (error instanceof Refusal && error.facts.status === 412) return null
      throw error
    }
  }
  const send = <Result>(
    method: HttpMethods,
    { resourceGroup }: Within,
    { path, version, body, headers }: Letter,
    { abortSignal }: Options,
  ): Promise<Result> => {
    const group = `${network.$host}/subscriptions/${network.subscriptionId}/resourceGroups/${encodeURIComponent(resourceGroup)}`
    const url = `${group}/providers/Microsoft.Network/${path.map(encodeURIComponent).join('/')}?api-version=${version}`
    return exchange(parts, { method, url, body, headers }, abortSignal)
  }

  return {
    profile: (within, name, signal) =>
      ask.orNull('look at the Traffic Manager profile', signal, (options) =>
        send<TrafficProfile>('GET', within, letter(TRAFFIC_VERSION, 'trafficManagerProfiles', name), options),
      ),
    patchEndpoint: ({ profile, type, name, ...within }, properties, signal) =>
      ask.once('change the endpoint of Traffic Manager', signal, (options) =>
        send<TrafficEndpoint>(
          'PATCH',
          within,
          { ...letter(TRAFFIC_VERSION, 'trafficManagerProfiles', profile, type, name), body: { properties } },
          options,
        ),
      ),
    hasZone: async ({ zoneType, zone, ...within }, signal) =>
      (await ask.orNull('look at the DNS zone', signal, (options) =>
        send('GET', within, letter(versionOfZones[zoneType], zoneType, zone), options),
      )) !== null,
    record: (at, signal) =>
      ask.orNull('look at the DNS record', signal, (options) =>
        send<RecordDocument>('GET', at, recordLetter(at), options),
      ),
    putRecord: (at, properties, condition, signal) =>
      unlessChanged(
        ask.once('change the DNS record', signal, (options) =>
          send<RecordDocument>(
            'PUT',
            at,
            { ...recordLetter(at), body: { properties }, headers: headersOf(condition) },
            options,
          ),
        ),
      ),
    pool: ({ resourceGroup, loadBalancer, pool }, signal) =>
      ask.orNull('look at the back-end pool', signal, (options) =>
        network.loadBalancerBackendAddressPools.get(resourceGroup, loadBalancer, pool, options),
      ),
    putPool: ({ resourceGroup, loadBalancer, pool }, wanted, signal) =>
      unlessChanged(
        ask.once('change the back-end pool', signal, (options) =>
          network.loadBalancerBackendAddressPools.beginCreateOrUpdateAndWait(
            resourceGroup,
            loadBalancer,
            pool,
            wanted,
            { ...options, ...asRead(wanted) },
          ),
        ),
      ),
    async adaptersOf({ resourceGroup }, machine, signal) {
      const found = await ask.orNull('look at the machine', signal, (options) =>
        compute.virtualMachines.get(resourceGroup, machine, options),
      )
      if (found === null) return null
      const adapters = found.networkProfile?.networkInterfaces ?? []
      // Of one alone Azure need not say that it is the first.
      return adapters
        .toSorted((one, other) => Number(other.primary ?? false) - Number(one.primary ?? false))
        .flatMap(({ id }) => (id === undefined ? [] : [id]))
    },
    adapter: ({ resourceGroup }, name, signal) =>
      ask.orNull('look at the network adapter', signal, (options) =>
        network.networkInterfaces.get(resourceGroup, name, options),
      ),
    putAdapter: ({ resourceGroup }, name, adapter, signal) =>
      unlessChanged(
        ask.once('change the network adapter', signal, (options) =>
          network.networkInterfaces.beginCreateOrUpdateAndWait(resourceGroup, name, adapter, {
            ...options,
            ...asRead(adapter),
          }),
        ),
      ),
    commands: {
      find: ({ resourceGroup, machine, name }, signal) =>
        ask.orNull('look at the script in the machine', signal, (options) =>
          compute.virtualMachineRunCommands.getByVirtualMachine(resourceGroup, machine, name, {
            ...options,
            expand: 'instanceView',
          }),
        ),
      list: ({ resourceGroup, machine }, signal) =>
        ask.all('list the scripts in the machine', signal, (options) =>
          compute.virtualMachineRunCommands.listByVirtualMachine(resourceGroup, machine, options),
        ),
      async create({ resourceGroup, machine, name }, command, signal) {
        await ask.once('run a script in the machine', signal, (options) =>
          compute.virtualMachineRunCommands
            .createOrUpdate(resourceGroup, machine, name, command, options)
            .submitted(),
        )
      },
      async remove({ resourceGroup, machine, name }, signal) {
        await ask.orNull('end the script in the machine', signal, (options) =>
          compute.virtualMachineRunCommands.delete(resourceGroup, machine, name, options).submitted(),
        )
      },
    },
  }
}

type Letter = {
  readonly path: readonly string[]
  readonly version: string
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

const letter = (version: string, ...path: readonly string[]): Letter => ({ path, version })
const recordLetter = ({ zoneType, zone, type, name }: RecordAddress): Letter =>
  letter(versionOfZones[zoneType], zoneType, zone, type, name)

const headersOf = ({ mark }: Condition): Record<string, string> =>
  mark === null ? { 'if-none-match': '*' } : { 'if-match': mark }

/** Never in the place of what somebody else has written since. */
const asRead = ({ etag }: { readonly etag?: string }) =>
  etag === undefined ? {} : { requestOptions: { customHeaders: { 'If-Match': etag } } }

async function exchange<Result>(
  { network }: Pick<SdkParts, 'network'>,
  {
    method,
    url,
    body,
    headers = {},
  }: {
    readonly method: HttpMethods
    readonly url: string
    readonly body: object | undefined
    readonly headers: Readonly<Record<string, string>> | undefined
  },
  abortSignal: AbortSignal,
): Promise<Result> {
  const request = createPipelineRequest({
    method,
    url,
    abortSignal,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (body !== undefined) request.headers.set('content-type', 'application/json')
  for (const [name, value] of Object.entries(headers)) request.headers.set(name, value)
  const answer = await network.sendRequest(request)
  if (answer.status >= 200 && answer.status < 300) return JSON.parse(answer.bodyAsText ?? '{}') as Result
  throw Object.assign(new Error(`status ${answer.status}`), { statusCode: answer.status, response: answer })
}
