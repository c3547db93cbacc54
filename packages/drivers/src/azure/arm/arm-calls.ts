// The part of Azure Resource Manager that running a replica is made of. `sdk-calls.ts` speaks to Azure through Microsoft's clients.
import type { AvailabilitySet, Disk, ResourceSku, Snapshot, Usage, VirtualMachine } from '@azure/arm-compute'
import type {
  LoadBalancer,
  NetworkInterface,
  NetworkSecurityGroup,
  PublicIPAddress,
  VirtualNetwork,
} from '@azure/arm-network'
import type { Permission } from './missing-rights.ts'
import type { StoragePlace } from './storage-region.ts'

/** Resources of one kind in the resource group of the site. Every failure is a Refusal or an Outage of `arm-failures.ts`. */
export interface Shelf<Item> {
  /** Null: it is not there. */
  find(name: string, signal?: AbortSignal): Promise<Item | null>
  list(signal?: AbortSignal): Promise<readonly Item[]>
  /**
   * Asks for it and waits until Azure has ended its work. After an Outage it may be there, be made just now, or come to be later.
   * `false`: one of this name was there and nothing was touched. Only machines are looked after in this way by Azure; of the
   * others an existing one would be changed, so their names are ours alone.
   */
  create(name: string, item: Item, signal?: AbortSignal): Promise<boolean>
  /** Waits until it has gone. One that is not there is fine. */
  remove(name: string, signal?: AbortSignal): Promise<void>
}

export type MachineState = {
  /** The end of Azure's power code: `running`, `starting`, `stopped`, `deallocated`; null when it does not tell. */
  readonly power: string | null
  /** Whether Azure's agent in the guest reports; null without an agent. */
  readonly agentReady: boolean | null
}

export interface ArmCalls {
  readonly machines: Shelf<VirtualMachine>
  readonly disks: Shelf<Disk>
  readonly snapshots: Shelf<Snapshot>
  readonly adapters: Shelf<NetworkInterface>
  readonly addresses: Shelf<PublicIPAddress>
  readonly networks: Shelf<VirtualNetwork>
  readonly groups: Shelf<NetworkSecurityGroup>
  /** Of the whole subscription: a network often lies in a resource group of its own. */
  allNetworks(signal?: AbortSignal): Promise<readonly VirtualNetwork[]>
  allGroups(signal?: AbortSignal): Promise<readonly NetworkSecurityGroup[]>
  allBalancers(signal?: AbortSignal): Promise<readonly LoadBalancer[]>
  /** In the resource group of the site: a machine is in none of another. */
  availabilitySets(signal?: AbortSignal): Promise<readonly AvailabilitySet[]>
  isAddressFree(networkId: string, address: string, signal?: AbortSignal): Promise<boolean>
  /** Null: the machine is not there. */
  stateOf(machine: string, signal?: AbortSignal): Promise<MachineState | null>
  /** Both wait for the end. `deallocate` lets the processor go, so that Azure does not charge for it. */
  start(machine: string, signal?: AbortSignal): Promise<void>
  deallocate(machine: string, signal?: AbortSignal): Promise<void>
  /** The guest is not asked, and Azure keeps the processor. Waits for the end. */
  pullPlug(machine: string, signal?: AbortSignal): Promise<void>
  /** An address with a signature at which the content of a snapshot can be read for so long. */
  grantReading(snapshot: string, seconds: number, signal?: AbortSignal): Promise<string>
  /** Every address of the snapshot stops working. One that has none, or that is not there, is fine. */
  revokeReading(snapshot: string, signal?: AbortSignal): Promise<void>
  /** In place of all the tags that are there. */
  setTags(machine: string, tags: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void>
  /** Of the region: what a machine may be like, and what the subscription may still have. */
  sizes(signal?: AbortSignal): Promise<readonly ResourceSku[]>
  usages(signal?: AbortSignal): Promise<readonly Usage[]>
  /** Where the account of the copies is. */
  regionOfStorage(signal?: AbortSignal): Promise<StoragePlace>
  /** What the sign-in may do there. */
  permissions(where: 'group' | 'subscription', signal?: AbortSignal): Promise<readonly Permission[]>
  /** The same on one resource, wherever it lies; null: nobody tells. */
  permissionsOn(resourceId: string, signal?: AbortSignal): Promise<readonly Permission[] | null>
  /** Whether there is anything of this resource id, wherever it lies; null: nobody tells. */
  exists(resourceId: string, signal?: AbortSignal): Promise<boolean | null>
  /** A picture of the screen as Azure keeps it (a Windows bitmap); null while there is none. */
  screen(machine: string, signal?: AbortSignal): Promise<Buffer | null>
}
