// Which of Azure's machine sizes a machine gets: the smallest that is not smaller than it, in the order that is least surprising. Pure.
import type { ResourceSku, Usage } from '@azure/arm-compute'
import { GiB } from '@understudy/base/bytes'

export type SizeWish = {
  readonly cpus: number
  readonly memoryBytes: number
  readonly disks: number
  readonly adapters: number
  readonly generation: 'V1' | 'V2'
  readonly needsPremium: boolean
  readonly zone: string | null
  readonly region: string
}

export type MachineSize = {
  readonly name: string
  readonly family: string
  readonly cpus: number
  readonly memoryBytes: number
  /** Beside the one that it starts from, at most. */
  readonly dataDisks: number
}

export type SizeChoice = {
  /** The best first. */
  readonly fitting: readonly MachineSize[]
  /** Those that have the processors and the memory, and what stands against each. */
  readonly refused: readonly { readonly name: string; readonly why: string }[]
}

export function chooseSizes(
  skus: readonly ResourceSku[],
  wish: SizeWish,
  preferred: readonly string[] = [],
): SizeChoice {
  const fitting: MachineSize[] = []
  const refused: { name: string; why: string }[] = []
  for (const sku of skus) {
    const size = toSize(sku)
    if (size === null || size.cpus < wish.cpus || size.memoryBytes < wish.memoryBytes) continue
    const why = obstacle(sku, wish)
    if (why === null) fitting.push(size)
    else refused.push({ name: size.name, why })
  }
  const rank = ({ name }: MachineSize): number => {
    const index = preferred.findIndex((one) => one.toLowerCase() === name.toLowerCase())
    return index < 0 ? preferred.length : index
  }
  return {
    fitting: fitting.toSorted(
      (a, b) =>
        rank(a) - rank(b) ||
        a.cpus - b.cpus ||
        a.memoryBytes - b.memoryBytes ||
        usualness(b) - usualness(a) ||
        a.name.localeCompare(b.name),
    ),
    refused,
  }
}

/** General-purpose families before those for graphics, storage or confidential work, and newer versions before older ones. */
function usualness({ name }: MachineSize): number {
  const version = Number(/_v(\d+)$/.exec(name)?.[1] ?? 1)
  return (/^Standard_[BD]\d/.test(name) ? 100 : 0) + version
}

export function toSize(sku: ResourceSku): MachineSize | null {
  if (sku.resourceType !== 'virtualMachines' || sku.name === undefined) return null
  // A constrained size offers fewer processors than it is charged for.
  const cpus = number(sku, 'vCPUsAvailable') ?? number(sku, 'vCPUs')
  const memory = number(sku, 'MemoryGB')
  if (cpus === null || memory === null) return null
  const dataDisks = number(sku, 'MaxDataDiskCount') ?? 0
  return { name: sku.name, family: sku.family ?? '', cpus, memoryBytes: memory * GiB, dataDisks }
}

function obstacle(sku: ResourceSku, wish: SizeWish): string | null {
  const has = (name: string): string => capability(sku, name) ?? ''
  if (has('CpuArchitectureType') !== '' && has('CpuArchitectureType') !== 'x64') return 'other processors'
  if (has('ConfidentialComputingType') !== '') return 'for confidential machines only'
  if (!has('HyperVGenerations').split(',').includes(wish.generation))
    return wish.generation === 'V1'
      ? 'does not start machines with BIOS'
      : 'does not start machines with UEFI'
  // Sizes with this interface alone have no SCSI disks, which the guest expects.
  const controllers = has('DiskControllerTypes')
  if (controllers !== '' && !controllers.includes('SCSI')) return 'has NVMe disks only'
  if ((number(sku, 'MaxDataDiskCount') ?? 0) < wish.disks - 1)
    return `takes ${has('MaxDataDiskCount')} data disks`
  if ((number(sku, 'MaxNetworkInterfaces') ?? 1) < wish.adapters)
    return `takes ${has('MaxNetworkInterfaces')} network adapters`
  if (wish.needsPremium && has('PremiumIO') !== 'True') return 'takes no premium disks'
  return restriction(sku, wish)
}

function restriction(sku: ResourceSku, { region, zone }: SizeWish): string | null {
  const isHere = (place: string): boolean => sameRegion(place, region)
  for (const { type, values = [], restrictionInfo, reasonCode } of sku.restrictions ?? []) {
    const why =
      reasonCode === 'NotAvailableForSubscription' ? 'not offered to this subscription' : 'out of quota'
    if (type === 'Location' && values.some(isHere)) return why
    if (type === 'Zone' && zone !== null && restrictionInfo?.zones?.includes(zone))
      return `${why} in its zone`
  }
  return zone !== null && !zonesOf(sku, region).includes(zone) ? `not in zone ${zone}` : null
}

const sameRegion = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()

/** In which of the region's zones it is offered. */
export const zonesOf = ({ locationInfo }: ResourceSku, region: string): readonly string[] =>
  locationInfo?.find(({ location = '' }) => sameRegion(location, region))?.zones ?? []

const capability = (sku: ResourceSku, name: string): string | null =>
  sku.capabilities?.find((one) => one.name === name)?.value ?? null

function number(sku: ResourceSku, name: string): number | null {
  const text = capability(sku, name)
  return text === null || Number.isNaN(Number(text)) ? null : Number(text)
}

/** What the subscription may not have more of, in Azure's words for it; null: there is room for a machine of this size. */
export function quotaObstacle(size: MachineSize, usages: readonly Usage[]): string | null {
  const needed = new Map([
    ['cores', size.cpus],
    ['virtualmachines', 1],
    [size.family.toLowerCase(), size.cpus],
  ])
  for (const { name, currentValue, limit } of usages) {
    const more = needed.get(name.value?.toLowerCase() ?? '')
    if (more === undefined || currentValue + more <= limit) continue
    return `${name.localizedValue ?? name.value}: ${currentValue} of ${limit} are in use, ${more} more are needed`
  }
  return null
}
