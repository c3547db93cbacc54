// Azure on this computer, as far as running replicas goes: the double of Resource Manager, and disks that it makes of the blobs of a
// container. Emulated: nothing here is Azure.
import { ComputeManagementClient } from '@azure/arm-compute'
import { NetworkManagementClient } from '@azure/arm-network'
import type { HttpClient } from '@azure/core-rest-pipeline'
import { MiB } from '@understudy/base/bytes'
import { invariant, present } from '@understudy/base/invariant'
import { REQUEST_BYTES } from '../../limits.ts'
import type { StorageCalls } from '../../storage-calls.ts'
import { FOOTER_BYTES } from '../../vhd-footer.ts'
import type { ArmCalls } from '../arm-calls.ts'
import { type SdkParts, sdkCalls } from '../sdk-calls.ts'
import { sdkServiceCalls } from '../services/sdk-service-calls.ts'
import type { ServiceCalls } from '../services/service-calls.ts'
import type { ArmSettings } from '../settings.ts'
import type { Waits } from '../target-parts.ts'
import { type ArmDouble, armDouble } from './arm-double.ts'
import { lineTo } from './double-line.ts'
import { ArmError, type DiskContent, filled, type MachineRunner } from './double-parts.ts'
import { BALANCER, PRIVATE_ZONE, PROFILE, ZONE } from './service-rules.ts'

export const emulatedSettings: ArmSettings = {
  subscriptionId: '00000000-0000-4000-8000-000000000001',
  resourceGroup: 'replicas',
  region: 'westeurope',
  storageAccountId:
    '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/replicas/providers/Microsoft.Storage/storageAccounts/emulated',
  diskType: 'StandardSSD_LRS',
  preferredSizes: [],
  adapters: [],
  tags: {},
}

const BLOB_ADDRESS = 'https://emulated.blob.core.windows.net/replicas/'
export const addressOfBlob = (name: string): string => `${BLOB_ADDRESS}${name}`

export type EmulatedAzure = {
  readonly double: ArmDouble
  /** A subnet from which everything can be reached, and one that lets nothing out. */
  readonly openSubnet: string
  readonly closedSubnet: string
}

export async function emulateAzure(options: {
  readonly storage: StorageCalls
  /** Where the blobs of the container are, with a slash at the end. */
  readonly blobAddress?: string
  /** Room for the content of a disk, of zeros. */
  room(bytes: number): Promise<DiskContent>
  readonly runner?: MachineRunner
  readonly workRequests?: number
  readonly listRanges?: number
}): Promise<EmulatedAzure> {
  const { subscriptionId, resourceGroup, region } = emulatedSettings
  const double = armDouble({
    subscriptionId,
    resourceGroup,
    region,
    openBlob: (address) => contentOfBlob(options, address),
    room: options.room,
    ...(options.runner === undefined ? {} : { runner: options.runner }),
    ...(options.listRanges === undefined ? {} : { listRanges: options.listRanges }),
    ...(options.workRequests === undefined ? {} : { workRequests: options.workRequests }),
  })
  const group = await double.place({
    type: 'Microsoft.Network/networkSecurityGroups',
    name: 'closed',
    properties: {
      securityRules: [
        {
          name: 'nothing-out',
          properties: {
            direction: 'Outbound',
            access: 'Deny',
            priority: 200,
            protocol: '*',
            sourceAddressPrefix: '*',
            sourcePortRange: '*',
            destinationAddressPrefix: '*',
            destinationPortRange: '*',
          },
        },
      ],
    },
  })
  const subnet = (name: string, addressPrefix: string, more: object = {}) => ({
    name,
    properties: { addressPrefix, ...more },
  })
  const network = await double.place(
    {
      type: 'Microsoft.Network/virtualNetworks',
      name: 'lan',
      properties: {
        addressSpace: { addressPrefixes: ['10.1.0.0/16'] },
        subnets: [
          subnet('web', '10.1.1.0/24'),
          subnet('test', '10.1.2.0/28', { networkSecurityGroup: { id: group.id } }),
        ],
      },
    },
    'networks',
  )
  const [open, closed] = network.properties.subnets as { readonly id: string }[]
  return {
    double,
    openSubnet: present(open, 'two subnets').id,
    closedSubnet: present(closed, 'two subnets').id,
  }
}

/** What steps of plans change: it stands there, and nobody is sent anywhere by it. */
export async function placeServices(double: ArmDouble): Promise<void> {
  const endpoint = (name: string, target: string, priority: number) => ({
    name,
    type: 'Microsoft.Network/trafficManagerProfiles/externalEndpoints',
    properties: {
      target,
      priority,
      weight: 1,
      endpointStatus: 'Enabled',
      endpointMonitorStatus: 'Online',
      endpointLocation: 'West Europe',
    },
  })
  await double.place({
    type: PROFILE,
    name: 'shop',
    location: 'global',
    properties: {
      profileStatus: 'Enabled',
      trafficRoutingMethod: 'Priority',
      dnsConfig: { relativeName: 'shop', fqdn: 'shop.trafficmanager.example', ttl: 60 },
      monitorConfig: { profileMonitorStatus: 'Online', protocol: 'HTTP', port: 80, path: '/' },
      endpoints: [endpoint('first-site', 'first.example.com', 1), endpoint('azure', '203.0.113.80', 2)],
    },
  })
  await double.place({
    type: ZONE,
    name: 'lab.example',
    location: 'global',
    properties: { zoneType: 'Public' },
  })
  await double.place({ type: PRIVATE_ZONE, name: 'lab.internal', location: 'global' })
  await double.place({
    type: BALANCER,
    name: 'front',
    sku: { name: 'Standard' },
    properties: { backendAddressPools: [{ name: 'web' }, { name: 'addresses' }] },
  })
}

/** As Azure does: a page blob of this container, a whole number of MiB and a footer. */
async function contentOfBlob(
  { storage, room, blobAddress = BLOB_ADDRESS }: Parameters<typeof emulateAzure>[0],
  address: string,
): Promise<DiskContent> {
  const name = address.startsWith(blobAddress)
    ? address.slice(blobAddress.length).split('/').map(decodeURIComponent).join('/')
    : ''
  const facts = await storage.pageFacts(name)
  if (facts === null) throw new ArmError(404, 'BlobNotFound', `The blob ${address} was not found.`)
  const bytes = facts.bytes - FOOTER_BYTES
  const source = { name, snapshot: null }
  const footer = await storage.readPages(source, { offset: bytes, bytes: FOOTER_BYTES })
  const isVhd =
    footer?.toString('latin1', 0, 8) === 'conectix' &&
    footer.readUInt32BE(60) === 2 &&
    footer.readBigUInt64BE(48) === BigInt(bytes)
  if (!isVhd || bytes % MiB !== 0)
    throw new ArmError(400, 'InvalidParameter', `The blob ${address} is no fixed VHD of whole MiB.`)
  const content = await room(bytes)
  return await filled(content, async () => {
    for await (const range of storage.pageRanges(source, { offset: 0, bytes })) {
      const end = range.offset + range.bytes
      for (let at = range.offset; at < end; at += REQUEST_BYTES) {
        const piece = { offset: at, bytes: Math.min(REQUEST_BYTES, end - at) }
        await content.write(at, present(await storage.readPages(source, piece), 'the blob is there'))
      }
    }
  })
}

/** Room in memory, for disks of tests. */
export async function roomInMemory(bytes: number): Promise<DiskContent> {
  const data = Buffer.alloc(bytes)
  return {
    bytes,
    read: async (offset, length) => Buffer.from(data.subarray(offset, offset + length)),
    async write(offset, piece) {
      invariant(offset + piece.length <= bytes, 'inside the disk')
      piece.copy(data, offset)
    },
  }
}

/** Waits that take no time, and an end of patience that is soon reached. */
export const quickWaits: Waits = { lookMs: 60_000, minutes: 30, pause: async () => {} }

type DoubleWay = { readonly httpClient?: HttpClient; readonly operationMinutes?: number }

/** Microsoft's clients, which speak to the double within the process. */
export const connectDouble = (double: ArmDouble, way: DoubleWay = {}): ArmCalls =>
  sdkCalls(doubleParts(double, way))

export const connectServices = (double: ArmDouble, way: DoubleWay = {}): ServiceCalls =>
  sdkServiceCalls(doubleParts(double, way))

function doubleParts(
  double: ArmDouble,
  { httpClient = lineTo(double), operationMinutes = 1 }: DoubleWay,
): SdkParts {
  const { subscriptionId } = emulatedSettings
  const credential = {
    getToken: async () => ({ token: 'emulated', expiresOnTimestamp: Date.now() + 3_600_000 }),
  }
  const options = {
    endpoint: double.address,
    httpClient,
    retryOptions: { maxRetries: 2, retryDelayInMs: 1, maxRetryDelayInMs: 2 },
  }
  return {
    compute: new ComputeManagementClient(credential, subscriptionId, options),
    network: new NetworkManagementClient(credential, subscriptionId, { ...options, $host: double.address }),
    settings: emulatedSettings,
    pollMs: 1,
    operationMinutes,
    fetchBytes: async (address) => Buffer.from(address.split('base64,')[1] ?? '', 'base64'),
  }
}
