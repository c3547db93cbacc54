// A member of a back-end pool of a load balancer. What else is in the pool, and what else the adapter has, stays.
import type {
  BackendAddressPool,
  LoadBalancerBackendAddress,
  NetworkInterface,
  NetworkInterfaceIPConfiguration,
} from '@azure/arm-network'
import { present } from '@understudy/base/invariant'
import type { PoolChange } from '@understudy/engine/ports/cloud-services'
import { machineNotFound } from '../arm-failures.ts'
import { readResourceId, sameId } from '../resource-id.ts'
import type { ServiceCalls, Within } from './service-calls.ts'
import {
  changedMeanwhile,
  noAdapter,
  notAsAsked,
  notThere,
  poolOfAdapters,
  poolOfAddresses,
} from './service-failures.ts'

/** What is read and written is written only as it was read; so often that is tried. */
const TRIES = 5

/** May be repeated: what is so already is left alone. */
export async function changePool(
  calls: ServiceCalls,
  within: Within,
  change: Omit<PoolChange, 'resourceGroup'>,
  signal: AbortSignal,
): Promise<string> {
  const { loadBalancer, pool: name, membership, member } = change
  const at = { ...within, loadBalancer, pool: name }
  const label = `${loadBalancer}/${name}`
  for (let tries = 0; tries < TRIES; tries += 1) {
    const pool = await calls.pool(at, signal)
    if (pool === null)
      throw notThere('no-pool', `pool ${name} of a load balancer ${loadBalancer}`, within.resourceGroup)
    const done =
      member.kind === 'adapter'
        ? await moveAdapter(calls, { pool, label, membership, machine: member.machine }, signal)
        : await moveEntry(calls, { at, pool, label, membership, member }, signal)
    if (done !== null) return done
  }
  throw changedMeanwhile(`the pool ${label}`)
}

type Adapter = {
  readonly pool: BackendAddressPool
  readonly label: string
  readonly membership: PoolChange['membership']
  readonly machine: string
}

/** Null: somebody was quicker. */
async function moveAdapter(
  calls: ServiceCalls,
  { pool, label, membership, machine }: Adapter,
  signal: AbortSignal,
): Promise<string | null> {
  const poolId = present(pool.id, 'a pool has an id')
  const { where, machineName, adapter } = await firstAdapter(calls, machine, signal)
  const configuration = firstConfiguration(adapter)
  if (configuration === undefined) throw noAdapter(machineName)
  const pools = configuration.loadBalancerBackendAddressPools ?? []
  const isIn = pools.some(({ id }) => sameId(id, poolId))
  const is = `${machineName} is ${membership === 'in' ? 'in' : 'not in'} the pool ${label}`
  if (isIn === (membership === 'in')) return `${is}; so it was already`
  if (membership === 'in' && ownEntries(pool).length > 0) throw poolOfAddresses(label)
  const wanted =
    membership === 'in' ? [...pools, { id: poolId }] : pools.filter(({ id }) => !sameId(id, poolId))
  const changed = toWrite(adapter, (one) =>
    one === configuration ? { ...one, loadBalancerBackendAddressPools: [...wanted] } : one,
  )
  const after = await calls.putAdapter(where, present(adapter.name, 'an adapter has a name'), changed, signal)
  if (after === null) return null
  const isNow = (firstConfiguration(after)?.loadBalancerBackendAddressPools ?? []).some(({ id }) =>
    sameId(id, poolId),
  )
  if (isNow !== (membership === 'in')) throw notAsAsked(`the pool ${label}`, 'as it was')
  return is
}

async function firstAdapter(calls: ServiceCalls, machine: string, signal: AbortSignal) {
  const { resourceGroup, names } = present(readResourceId(machine), 'a machine goes by its resource id')
  const machineName = present(names[0], 'a machine has a name')
  const adapters = await calls.adaptersOf({ resourceGroup }, machineName, signal)
  if (adapters === null) throw machineNotFound(machine)
  const id = readResourceId(adapters[0] ?? '')
  const where = { resourceGroup: id?.resourceGroup ?? resourceGroup }
  const adapter = id?.names[0] === undefined ? null : await calls.adapter(where, id.names[0], signal)
  if (adapter === null) throw noAdapter(machineName)
  return { where, machineName, adapter }
}

/** Without what only Azure says, and with what is used by its id alone: the client reads more of it than Azure takes back. */
function toWrite(
  { virtualMachine: _, privateEndpoint: __, ...adapter }: NetworkInterface,
  change: (configuration: NetworkInterfaceIPConfiguration) => NetworkInterfaceIPConfiguration,
): NetworkInterface {
  const byId = <Reference extends { readonly id?: string }>(one: Reference | undefined) =>
    one?.id === undefined ? undefined : { id: one.id }
  const { networkSecurityGroup: group, ipConfigurations = [] } = adapter
  return {
    ...adapter,
    ...(group === undefined ? {} : { networkSecurityGroup: byId(group) ?? group }),
    ipConfigurations: ipConfigurations.map((one) => {
      const { subnet, publicIPAddress, ...rest } = change(one)
      return {
        ...rest,
        ...(subnet === undefined ? {} : { subnet: byId(subnet) ?? subnet }),
        ...(publicIPAddress === undefined
          ? {}
          : { publicIPAddress: byId(publicIPAddress) ?? publicIPAddress }),
      }
    }),
  }
}

const firstConfiguration = ({
  ipConfigurations = [],
}: NetworkInterface): NetworkInterfaceIPConfiguration | undefined =>
  ipConfigurations.find(({ primary }) => primary === true) ?? ipConfigurations[0]

/** Azure shows adapters as entries, too. */
const ownEntries = ({
  loadBalancerBackendAddresses = [],
}: BackendAddressPool): readonly LoadBalancerBackendAddress[] =>
  loadBalancerBackendAddresses.filter(
    ({ networkInterfaceIPConfiguration }) => networkInterfaceIPConfiguration === undefined,
  )

type Entry = {
  readonly at: Within & { readonly loadBalancer: string; readonly pool: string }
  readonly pool: BackendAddressPool
  readonly label: string
  readonly membership: PoolChange['membership']
  readonly member: Extract<PoolChange['member'], { readonly kind: 'entry' }>
}

/** Null: somebody was quicker. */
async function moveEntry(
  calls: ServiceCalls,
  { at, pool, label, membership, member }: Entry,
  signal: AbortSignal,
): Promise<string | null> {
  const { name, address, network } = member
  const entries = ownEntries(pool)
  const isMeant = (one: LoadBalancerBackendAddress): boolean => one.name?.toLowerCase() === name.toLowerCase()
  const found = entries.find(isMeant)
  const others = entries.filter((one) => one !== found)
  if (membership === 'out') {
    const is = `${name} is not in the pool ${label}`
    if (found === undefined) return `${is}; so it was already`
    const without = { ...pool, loadBalancerBackendAddresses: others }
    return checked(await calls.putPool(at, without, signal), (now) => !now.some(isMeant), { label, is })
  }
  const is = `${name} is in the pool ${label} as ${address}`
  if (found?.ipAddress === address && sameId(found?.virtualNetwork?.id ?? pool.virtualNetwork?.id, network))
    return `${is}; so it was already`
  if ((pool.backendIPConfigurations ?? []).length > 0) throw poolOfAdapters(label)
  // Of an entry that is there the rest stays, such as whether it may be used.
  const entry: LoadBalancerBackendAddress = {
    ...found,
    name: found?.name ?? name,
    ipAddress: present(address, 'what goes into a pool has an address'),
    virtualNetwork: { id: network },
  }
  const wanted = { ...pool, loadBalancerBackendAddresses: [...others, entry] }
  const isThere = (now: readonly LoadBalancerBackendAddress[]): boolean =>
    now.find(isMeant)?.ipAddress === address
  return checked(await calls.putPool(at, wanted, signal), isThere, { label, is })
}

function checked(
  after: BackendAddressPool | null,
  isSo: (entries: readonly LoadBalancerBackendAddress[]) => boolean,
  { label, is }: { readonly label: string; readonly is: string },
): string | null {
  if (after === null) return null
  if (!isSo(ownEntries(after))) throw notAsAsked(`the pool ${label}`, 'as it was')
  return is
}
