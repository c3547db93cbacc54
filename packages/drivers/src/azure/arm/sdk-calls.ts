// The requests of `arm-calls.ts` through Microsoft's clients.
import type { ComputeManagementClient } from '@azure/arm-compute'
import type { NetworkManagementClient } from '@azure/arm-network'
import { createPipelineRequest, type PipelineResponse } from '@azure/core-rest-pipeline'
import { present } from '@understudy/base/invariant'
import type { ArmCalls, MachineState, Shelf } from './arm-calls.ts'
import { type AskingParts, asking, type Options } from './asking.ts'
import type { Permission } from './missing-rights.ts'
import { readResourceId } from './resource-id.ts'
import type { ArmSettings } from './settings.ts'
import type { StoragePlace } from './storage-region.ts'

export type SdkParts = AskingParts & {
  readonly compute: ComputeManagementClient
  readonly network: NetworkManagementClient
  readonly settings: Pick<ArmSettings, 'resourceGroup' | 'region' | 'storageAccountId'>
  /** Reads what Azure hands out an address for, without the sign-in. Replaced in tests. */
  fetchBytes(address: string, signal: AbortSignal): Promise<Buffer>
}

/** How one kind of resource is spoken of in Microsoft's clients. */
type Kind<Item> = {
  readonly noun: string
  get(name: string, options: Options): Promise<Item>
  list(options: Options): AsyncIterable<Item>
  put(name: string, item: Item, options: Options): Promise<unknown>
  remove(name: string, options: Options): Promise<unknown>
}

/** What the clients of all kinds of network resources have alike. */
type NetworkClient<Item> = {
  get(group: string, name: string, options: Options): Promise<Item>
  list(group: string, options: Options): AsyncIterable<Item>
  beginCreateOrUpdateAndWait(group: string, name: string, item: Item, options: Options): Promise<unknown>
  beginDeleteAndWait(group: string, name: string, options: Options): Promise<unknown>
}

const networkKind = <Item>(noun: string, group: string, client: NetworkClient<Item>): Kind<Item> => ({
  noun,
  get: (name, options) => client.get(group, name, options),
  list: (options) => client.list(group, options),
  put: (name, item, options) => client.beginCreateOrUpdateAndWait(group, name, item, options),
  remove: (name, options) => client.beginDeleteAndWait(group, name, options),
})

export function sdkCalls(parts: SdkParts): ArmCalls {
  const { compute, network, settings } = parts
  const group = settings.resourceGroup
  const ask = asking(parts)

  const shelf = <Item>(kind: Kind<Item>): Shelf<Item> => ({
    find: (name, signal) =>
      ask.orNull(`look at the ${kind.noun}`, signal, (options) => kind.get(name, options)),
    list: (signal) => ask.all(`list the ${kind.noun}s`, signal, (options) => kind.list(options)),
    create: (name, item, signal) =>
      ask.unlessThere(`make the ${kind.noun} ${name}`, signal, async (options) => {
        await kind.put(name, item, options)
      }),
    async remove(name, signal) {
      await ask.orNull(`remove the ${kind.noun} ${name}`, signal, (options) => kind.remove(name, options))
    },
  })

  return {
    machines: shelf({
      noun: 'machine',
      get: (name, options) => compute.virtualMachines.get(group, name, options),
      list: (options) => compute.virtualMachines.list(group, options),
      // Never in the place of another: somebody may have taken the name since we looked.
      put: (name, item, options) =>
        compute.virtualMachines
          .createOrUpdate(group, name, item, { ...options, ifNoneMatch: '*' })
          .pollUntilDone(options),
      // What was on its way to its disks is of no use to anybody.
      remove: (name, options) =>
        compute.virtualMachines
          .delete(group, name, { ...options, forceDeletion: true })
          .pollUntilDone(options),
    }),
    disks: shelf({
      noun: 'disk',
      get: (name, options) => compute.disks.get(group, name, options),
      list: (options) => compute.disks.listByResourceGroup(group, options),
      put: (name, item, options) =>
        compute.disks.createOrUpdate(group, name, item, options).pollUntilDone(options),
      remove: (name, options) => compute.disks.delete(group, name, options).pollUntilDone(options),
    }),
    snapshots: shelf({
      noun: 'snapshot',
      get: (name, options) => compute.snapshots.get(group, name, options),
      list: (options) => compute.snapshots.listByResourceGroup(group, options),
      put: (name, item, options) =>
        compute.snapshots.createOrUpdate(group, name, item, options).pollUntilDone(options),
      remove: (name, options) => compute.snapshots.delete(group, name, options).pollUntilDone(options),
    }),
    adapters: shelf(networkKind('network adapter', group, network.networkInterfaces)),
    addresses: shelf(networkKind('public address', group, network.publicIPAddresses)),
    networks: shelf(networkKind('virtual network', group, network.virtualNetworks)),
    groups: shelf(networkKind('security group', group, network.networkSecurityGroups)),

    allNetworks: (signal) =>
      ask.all('list the virtual networks', signal, (options) => network.virtualNetworks.listAll(options)),
    allGroups: (signal) =>
      ask.all('list the security groups', signal, (options) =>
        network.networkSecurityGroups.listAll(options),
      ),
    allBalancers: (signal) =>
      ask.all('list the load balancers', signal, (options) => network.loadBalancers.listAll(options)),
    availabilitySets: (signal) =>
      ask.all('list the availability sets', signal, (options) =>
        compute.availabilitySets.list(group, options),
      ),
    isAddressFree: (networkId, address, signal) =>
      ask.once('ask for an address', signal, async (options) => {
        const id = present(readResourceId(networkId), 'Azure gives whole ids')
        const name = present(id.names[0], 'a network has a name')
        const answer = await network.virtualNetworks.checkIPAddressAvailability(
          id.resourceGroup,
          name,
          address,
          options,
        )
        return answer.available === true
      }),

    stateOf: (machine, signal) =>
      ask.orNull('look at the state of the machine', signal, async (options) => {
        const { statuses = [], vmAgent } = await compute.virtualMachines.instanceView(group, machine, options)
        const code = statuses.find((status) => status.code?.startsWith('PowerState/'))?.code
        return {
          power: code?.split('/')[1] ?? null,
          agentReady:
            vmAgent?.statuses?.some((status) => status.code === 'ProvisioningState/succeeded') ?? null,
        } satisfies MachineState
      }),
    async start(machine, signal) {
      await ask.once('start the machine', signal, (options) =>
        compute.virtualMachines.start(group, machine, options).pollUntilDone(options),
      )
    },
    async deallocate(machine, signal) {
      await ask.once('stop the machine', signal, (options) =>
        compute.virtualMachines.deallocate(group, machine, options).pollUntilDone(options),
      )
    },
    async pullPlug(machine, signal) {
      await ask.once('switch the machine off', signal, (options) =>
        compute.virtualMachines
          .powerOff(group, machine, { ...options, skipShutdown: true })
          .pollUntilDone(options),
      )
    },
    grantReading: (snapshot, seconds, signal) =>
      ask.once('open a snapshot for reading', signal, async (options) => {
        const wanted = { access: 'Read', durationInSeconds: seconds }
        const { accessSAS } = await compute.snapshots
          .grantAccess(group, snapshot, wanted, options)
          .pollUntilDone(options)
        return present(accessSAS, 'Azure gives an address')
      }),
    async revokeReading(snapshot, signal) {
      await ask.orNull('end the reading of a snapshot', signal, (options) =>
        compute.snapshots.revokeAccess(group, snapshot, options).pollUntilDone(options),
      )
    },
    async setTags(machine, tags, signal) {
      await ask.once('tag the machine', signal, (options) =>
        compute.virtualMachines.update(group, machine, { tags: { ...tags } }, options).pollUntilDone(options),
      )
    },

    sizes: (signal) =>
      ask.all('list the machine sizes', signal, (options) =>
        compute.resourceSkus.list({ ...options, filter: `location eq '${settings.region}'` }),
      ),
    usages: (signal) =>
      ask.all('look at the quotas', signal, (options) => compute.usage.list(settings.region, options)),
    regionOfStorage: (signal) =>
      ask.once('look at the storage account', signal, ({ abortSignal }) =>
        regionOfStorage(parts, abortSignal),
      ),
    permissions: (where, signal) =>
      ask.once('look at what it may do', signal, async ({ abortSignal }) => {
        const subscription = `/subscriptions/${parts.network.subscriptionId}`
        const group = `${subscription}/resourceGroups/${settings.resourceGroup}`
        const answer = await permissions(parts, where === 'group' ? group : subscription, abortSignal)
        if (!Array.isArray(answer)) throw failedWith(answer)
        return answer
      }),
    permissionsOn: (resourceId, signal) =>
      ask.once('look at what it may do', signal, async ({ abortSignal }) => {
        const answer = await permissions(parts, resourceId, abortSignal)
        if (Array.isArray(answer)) return answer
        if (answer.status === 403 || answer.status === 404) return null
        throw failedWith(answer)
      }),
    exists: (resourceId, signal) =>
      ask.once('look at what the settings name', signal, ({ abortSignal }) =>
        exists(parts, resourceId, abortSignal),
      ),
    async screen(machine, signal) {
      const address = await ask.orNull('look at the screen', signal, async (options) => {
        const answer = await compute.virtualMachines.retrieveBootDiagnosticsData(group, machine, options)
        return answer.consoleScreenshotBlobUri ?? null
      })
      if (address === null) return null
      return await ask.orNull('fetch the screen', signal, ({ abortSignal }) =>
        parts.fetchBytes(address, abortSignal),
      )
    },
  }
}

const PERMISSIONS_VERSION = '2022-04-01'
/** Roles of one identity at one place come on a page or two. */
const MOST_PAGES = 20

const STORAGE_VERSION = '2023-05-01'

/** A right that nothing else needs: whoever has not got it is not kept from anything. */
async function regionOfStorage(
  { network, settings }: SdkParts,
  abortSignal: AbortSignal,
): Promise<StoragePlace> {
  const url = `${network.$host}${settings.storageAccountId}?api-version=${STORAGE_VERSION}`
  const answer = await network.sendRequest(createPipelineRequest({ url, method: 'GET', abortSignal }))
  // Whoever may not look is told so, and not that it is missing.
  if (answer.status === 404) return { kind: 'missing' }
  if (answer.status === 403) return { kind: 'unclear' }
  if (answer.status !== 200) throw failedWith(answer)
  const { location } = JSON.parse(answer.bodyAsText ?? '{}') as { location?: string }
  return location === undefined ? { kind: 'unclear' } : { kind: 'region', region: location }
}

/** Any version of a provider that has all its kinds will do: only whether it answers counts. */
const ANY_VERSION: Readonly<Record<string, string>> = {
  'microsoft.network': '2023-09-01',
  'microsoft.compute': '2023-09-01',
}

async function exists(
  { network }: SdkParts,
  resourceId: string,
  abortSignal: AbortSignal,
): Promise<boolean | null> {
  const provider = /\/providers\/([^/]+)\//i.exec(resourceId)?.[1]?.toLowerCase() ?? ''
  const version = ANY_VERSION[provider]
  if (version === undefined) return null
  // The pools of an application gateway are a part of it, and cannot be asked for.
  const asked = resourceId.replace(/(\/applicationGateways\/[^/]+)\/.*$/i, '$1')
  const url = `${network.$host}${asked}?api-version=${version}`
  const answer = await network.sendRequest(createPipelineRequest({ url, method: 'GET', abortSignal }))
  if (answer.status === 404) return false
  if (answer.status === 403) return null
  if (answer.status !== 200) throw failedWith(answer)
  return true
}

const failedWith = (answer: PipelineResponse): Error =>
  Object.assign(new Error(`status ${answer.status}`), { statusCode: answer.status, response: answer })

/** Microsoft's client of this service is large and is needed for this one question alone. Returns the answer that is none. */
async function permissions(
  { network }: SdkParts,
  scope: string,
  abortSignal: AbortSignal,
): Promise<Permission[] | PipelineResponse> {
  const found: Permission[] = []
  let url = `${network.$host}${scope}/providers/Microsoft.Authorization/permissions?api-version=${PERMISSIONS_VERSION}`
  for (let page = 0; url !== '' && page < MOST_PAGES; page += 1) {
    const answer = await network.sendRequest(createPipelineRequest({ url, method: 'GET', abortSignal }))
    if (answer.status !== 200) return answer
    const body = JSON.parse(answer.bodyAsText ?? '{}') as { value?: Permission[]; nextLink?: string }
    found.push(...(body.value ?? []))
    url = body.nextLink ?? ''
  }
  return found
}
