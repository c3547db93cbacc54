// The part of Azure Resource Manager that steps of plans are made of. `sdk-service-calls.ts` speaks to Azure through Microsoft's clients.
import type { VirtualMachineRunCommand } from '@azure/arm-compute'
import type { BackendAddressPool, NetworkInterface } from '@azure/arm-network'

/** In any resource group of the subscription. */
export type Within = { readonly resourceGroup: string }

export type TrafficEndpoint = {
  readonly id?: string
  readonly name?: string
  /** `Microsoft.Network/trafficManagerProfiles/externalEndpoints`, in whatever case. */
  readonly type?: string
  readonly properties?: {
    readonly endpointStatus?: string
    readonly endpointMonitorStatus?: string
    readonly weight?: number
    readonly priority?: number
    readonly target?: string
  }
}

export type TrafficProfile = {
  readonly name?: string
  readonly properties?: {
    readonly profileStatus?: string
    readonly trafficRoutingMethod?: string
    readonly dnsConfig?: { readonly fqdn?: string; readonly ttl?: number }
    readonly endpoints?: readonly TrafficEndpoint[]
  }
}

/** `dnsZones` are public, `privateDnsZones` are for virtual networks; each says the same in words of its own. */
export type ZoneType = 'dnsZones' | 'privateDnsZones'
export type RecordAddress = Within & {
  readonly zoneType: ZoneType
  readonly zone: string
  readonly type: 'A' | 'AAAA' | 'CNAME'
  readonly name: string
}
export type RecordDocument = {
  readonly etag?: string
  readonly properties?: Readonly<Record<string, unknown>>
}

/** What is changed is as it was read (its mark), or not there yet (null). */
export type Condition = { readonly mark: string | null }

/** Every failure is a Refusal or an Outage of `arm-failures.ts`. Null: it is not there. */
export interface ServiceCalls {
  profile(within: Within, name: string, signal: AbortSignal): Promise<TrafficProfile | null>
  /** What is not named stays. Returns the endpoint as it is then. */
  patchEndpoint(
    within: Within & { readonly profile: string; readonly type: string; readonly name: string },
    properties: NonNullable<TrafficEndpoint['properties']>,
    signal: AbortSignal,
  ): Promise<TrafficEndpoint>
  hasZone(
    within: Within & { readonly zoneType: ZoneType; readonly zone: string },
    signal: AbortSignal,
  ): Promise<boolean>
  record(at: RecordAddress, signal: AbortSignal): Promise<RecordDocument | null>
  /** Null: somebody has changed it meanwhile, and nothing was done. */
  putRecord(
    at: RecordAddress,
    properties: Readonly<Record<string, unknown>>,
    condition: Condition,
    signal: AbortSignal,
  ): Promise<RecordDocument | null>
  pool(
    at: Within & { readonly loadBalancer: string; readonly pool: string },
    signal: AbortSignal,
  ): Promise<BackendAddressPool | null>
  /** Waits until Azure has ended its work. Null: as with `putRecord`. */
  putPool(
    at: Within & { readonly loadBalancer: string; readonly pool: string },
    pool: BackendAddressPool,
    signal: AbortSignal,
  ): Promise<BackendAddressPool | null>
  /** The ids of the adapters of a machine, the first one first; null: there is no such machine. */
  adaptersOf(within: Within, machine: string, signal: AbortSignal): Promise<readonly string[] | null>
  adapter(within: Within, name: string, signal: AbortSignal): Promise<NetworkInterface | null>
  putAdapter(
    within: Within,
    name: string,
    adapter: NetworkInterface,
    signal: AbortSignal,
  ): Promise<NetworkInterface | null>
  readonly commands: {
    /** With how it goes. */
    find(at: CommandAddress, signal?: AbortSignal): Promise<VirtualMachineRunCommand | null>
    list(at: Omit<CommandAddress, 'name'>, signal?: AbortSignal): Promise<readonly VirtualMachineRunCommand[]>
    /** Waits until Azure has taken it on, not until it is in the guest: with a silent agent that takes Azure an hour and more. */
    create(at: CommandAddress, command: VirtualMachineRunCommand, signal?: AbortSignal): Promise<void>
    /** What it runs is ended; waits until Azure has taken that on. One that is not there is fine. */
    remove(at: CommandAddress, signal?: AbortSignal): Promise<void>
  }
}

export type CommandAddress = Within & { readonly machine: string; readonly name: string }
