// Everything that would make a boot in Azure fail or surprise, from facts. Pure.
import type { ResourceSku, Usage } from '@azure/arm-compute'
import { formatBytes, GiB, TiB } from '@understudy/base/bytes'
import { blocker, warning } from '@understudy/domain/machines/finding'
import type { Finding, NetworkAdapter } from '@understudy/domain/machines/machine'
import type { MachineSpec, SuggestedSize } from '@understudy/engine/ports/target-platform'
import { LARGEST_DISK_BYTES } from '../limits.ts'
import { chooseSizes, type MachineSize, quotaObstacle, type SizeChoice } from './choose-size.ts'
import { contains, isUsable, toNumber, toRange } from './ip-ranges.ts'
import { sameId } from './resource-id.ts'
import { freeMachineName, toMachineName } from './run-names.ts'
import type { AdapterRule, ArmSettings } from './settings.ts'
import { OWN_NETWORK, type SiteSubnet } from './site-networks.ts'

export type PreflightFacts = {
  readonly settings: ArmSettings
  readonly subnets: readonly SiteSubnet[]
  readonly skus: readonly ResourceSku[]
  readonly usages: readonly Usage[]
  /** Of the resource group, without the run's own. */
  readonly machineNames: readonly string[]
  /** Fixed addresses of this machine that somebody has. */
  readonly takenAddresses: ReadonlySet<string>
}

/** The largest disk that a machine starts from, and the largest that BIOS and its partition table reach. */
const LARGEST_BOOT_DISK_BYTES = 4095 * GiB
const LARGEST_BIOS_BOOT_BYTES = 2 * TiB

export function preflightFindings(spec: MachineSpec, facts: PreflightFacts): readonly Finding[] {
  return [
    ...networkFindings(spec, facts),
    ...adapterFindings(spec, facts),
    ...diskFindings(spec),
    ...sizeFindings(spec, facts),
    ...nameFindings(spec, facts),
  ]
}

/** Sizes that the machine can have, the best first; those beyond the quota are left out. */
export function usableSizes(spec: MachineSpec, facts: SizeFacts): readonly MachineSize[] {
  return choiceOf(spec, facts).fitting.filter((size) => quotaObstacle(size, facts.usages) === null)
}

/** Which of them it gets, and why that one. Null: none can be had, which the findings tell. */
export function sizeFor(spec: MachineSpec, facts: SizeFacts): SuggestedSize | null {
  const [size] = usableSizes(spec, facts)
  if (size === undefined) return null
  const { hardware } = spec
  const data = hardware.disks.length - 1
  const has = `${size.cpus} vCPU, ${formatBytes(size.memoryBytes)}`
  const needs = `${hardware.cpus} vCPU, ${formatBytes(hardware.memoryBytes)}`
  const isPreferred = facts.settings.preferredSizes.some((name) => sameName(name, size.name))
  const why = isPreferred ? 'the first of the preferred sizes that fits' : 'the smallest that fits'
  const disks = `${data} data ${data === 1 ? 'disk' : 'disks'} of ${size.dataDisks}`
  return { name: size.name, why: `${has} for ${needs}; ${disks}; ${why}` }
}

const sameName = (left: string, right: string): boolean => left.toLowerCase() === right.toLowerCase()

type SizeFacts = Pick<PreflightFacts, 'settings' | 'skus' | 'usages'>

const choiceOf = ({ hardware }: MachineSpec, { settings, skus }: SizeFacts): SizeChoice =>
  chooseSizes(
    skus,
    {
      cpus: hardware.cpus,
      memoryBytes: hardware.memoryBytes,
      disks: hardware.disks.length,
      // A machine without an adapter is none to Azure.
      adapters: Math.max(1, hardware.adapters.length),
      generation: generationOf(hardware),
      needsPremium: settings.diskType === 'Premium_LRS',
      zone: settings.zone ?? null,
      region: settings.region,
    },
    settings.preferredSizes,
  )

export const generationOf = ({ firmware }: Pick<MachineSpec['hardware'], 'firmware'>): 'V1' | 'V2' =>
  firmware === 'uefi' ? 'V2' : 'V1'

export const ruleFor = (
  { adapters }: ArmSettings,
  { macAddress }: Pick<NetworkAdapter, 'macAddress'>,
  mode: MachineSpec['mode'],
): AdapterRule | undefined =>
  adapters.find((rule) => rule.mode === mode && rule.macAddress.toLowerCase() === macAddress.toLowerCase())

/** The adapters that get a network, in the order of the source. */
export const pluggedAdapters = ({ hardware, networks }: MachineSpec) =>
  hardware.adapters.flatMap((adapter) => {
    const networkId = networks.get(adapter.key)
    return networkId === undefined ? [] : [{ adapter, networkId }]
  })

function networkFindings(spec: MachineSpec, { subnets }: PreflightFacts): Finding[] {
  const plugged = pluggedAdapters(spec)
  const wanted = [...new Set(plugged.map(({ networkId }) => networkId))].filter((id) => id !== OWN_NETWORK)
  return wanted.flatMap((id) => {
    const subnet = subnets.find((one) => sameId(one.id, id))
    if (subnet === undefined)
      return [
        blocker(
          'network/not-found',
          `The target site has no network ${id}`,
          'Choose another network for this machine.',
        ),
      ]
    const found: Finding[] = []
    const needed = plugged.filter(({ networkId }) => sameId(networkId, id)).length
    if (subnet.freeAddresses < needed)
      found.push(
        blocker(
          'network/full',
          `Network ${subnet.name} has ${subnet.freeAddresses} addresses free; the machine needs ${needed}`,
          'Choose another network, or make this one larger.',
        ),
      )
    if (spec.mode === 'test' && !subnet.isolated)
      found.push(
        warning(
          'network/not-isolated',
          `In network ${subnet.name} a machine under test reaches others, and others reach it`,
          'Choose the own network, or a subnet whose security group lets nothing out.',
        ),
      )
    return found
  })
}

function adapterFindings(
  spec: MachineSpec,
  { settings, subnets, takenAddresses }: PreflightFacts,
): Finding[] {
  const plugged = pluggedAdapters(spec)
  if (spec.hardware.adapters.length > 0 && plugged.length < spec.hardware.adapters.length)
    return [
      ...fixedAddressFindings(),
      warning(
        'azure/adapter-left-out',
        'Azure has no adapters without a network: those without one are left out',
        'Choose a network for every adapter if the guest counts them.',
      ),
    ]
  return fixedAddressFindings()

  function fixedAddressFindings(): Finding[] {
    return plugged.flatMap(({ adapter, networkId }) => {
      const address = ruleFor(settings, adapter, spec.mode)?.address
      if (address === undefined) return []
      const subnet = subnets.find((one) => sameId(one.id, networkId))
      if (networkId !== OWN_NETWORK && subnet === undefined) return []
      if (subnet === undefined || !mayHave(subnet, address))
        return [
          blocker(
            'network/address-outside',
            `${address} is no address that ${subnet?.name ?? 'the own network'} has to give`,
            'Change the address in the settings of the site: not the first four and not the last of the subnet.',
          ),
        ]
      if (!takenAddresses.has(address)) return []
      const message = `${address} in network ${subnet.name} is taken`
      return [
        blocker(
          'network/address-taken',
          message,
          'Free the address, or change it in the settings of the site.',
        ),
      ]
    })
  }
}

/** Whether it is one of those that the subnet has to give. */
export function mayHave({ prefixes }: SiteSubnet, address: string): boolean {
  const number = toNumber(address)
  if (number === null) return false
  const ranges = prefixes.map(toRange).filter((range) => range !== null)
  return ranges.some((range) => contains(range, { first: number, last: number }) && isUsable(range, number))
}

function diskFindings({ hardware }: MachineSpec): Finding[] {
  const found: Finding[] = []
  if (hardware.disks.filter(({ boot }) => boot).length === 0)
    found.push(
      blocker(
        'azure/no-boot-disk',
        'The machine has no disk to start from',
        'Take the boot disk into the protection.',
      ),
    )
  for (const { key, label, bytes, boot } of hardware.disks) {
    if (bytes > LARGEST_DISK_BYTES)
      found.push({
        ...blocker(
          'azure/disk-too-large',
          `Disk ${label} has ${formatBytes(bytes)}; Azure makes disks of at most ${formatBytes(LARGEST_DISK_BYTES)} from a copy`,
          'Leave this disk out of the protection.',
        ),
        disk: key,
      })
    else if (boot && bytes > LARGEST_BOOT_DISK_BYTES)
      found.push({
        ...blocker(
          'azure/boot-disk-too-large',
          `Disk ${label} has ${formatBytes(bytes)}; Azure starts machines from at most ${formatBytes(LARGEST_BOOT_DISK_BYTES)}`,
          'Make the boot disk smaller.',
        ),
        disk: key,
      })
    else if (boot && hardware.firmware === 'bios' && bytes > LARGEST_BIOS_BOOT_BYTES)
      found.push({
        ...warning(
          'azure/boot-disk-beyond-bios',
          `Disk ${label} has ${formatBytes(bytes)}; with BIOS only the first ${formatBytes(LARGEST_BIOS_BOOT_BYTES)} can be started from`,
          'Try it in a test failover, or change the machine to UEFI.',
        ),
        disk: key,
      })
  }
  return found
}

function sizeFindings(spec: MachineSpec, facts: PreflightFacts): Finding[] {
  const { hardware } = spec
  const { settings, skus, usages } = facts
  if (skus.length === 0)
    return [
      blocker(
        'azure/region-gone',
        `Azure offers this subscription no machines in ${settings.region}`,
        'Check the name of the region in the settings of the site, or use another region.',
      ),
    ]
  const { fitting, refused } = choiceOf(spec, facts)
  const [best] = fitting
  if (best === undefined) {
    const reasons = refused.slice(0, 3).map(({ name, why }) => `${name}: ${why}`)
    const need = `${hardware.cpus} processors, ${formatBytes(hardware.memoryBytes)}, ${hardware.disks.length} disks, ${hardware.adapters.length} adapters`
    return [
      blocker(
        'azure/no-size',
        `No machine size in ${settings.region} fits (${need})${reasons.length === 0 ? '' : `: ${reasons.join('; ')}`}`,
        'Take disks or adapters out, or ask Azure for more sizes in the region.',
      ),
    ]
  }
  const found = preferenceFindings(settings, fitting)
  const [usable] = usableSizes(spec, facts)
  const obstacle = quotaObstacle(best, usages)
  if (usable === undefined)
    return [
      ...found,
      blocker(
        'azure/quota',
        `The subscription may not have another ${best.name} (${obstacle})`,
        'Ask for a higher quota under "Usage + quotas" of the subscription, or stop something in the region.',
      ),
    ]
  if (usable.name !== best.name)
    found.push(
      warning(
        'azure/other-size',
        `The machine gets the size ${usable.name}: ${best.name} is beyond the quota (${obstacle})`,
        'Ask for a higher quota if the size matters.',
      ),
    )
  return found
}

function preferenceFindings(settings: ArmSettings, fitting: readonly MachineSize[]): Finding[] {
  const isFitting = (name: string): boolean => fitting.some((size) => sameName(size.name, name))
  if (settings.preferredSizes.length === 0 || settings.preferredSizes.some(isFitting)) return []
  return [
    warning(
      'azure/preferred-size',
      `None of the preferred sizes fits or is offered; the machine gets ${fitting[0]?.name}`,
      'Look at the preferred sizes in the settings of the site.',
    ),
  ]
}

function nameFindings(spec: MachineSpec, { machineNames }: PreflightFacts): Finding[] {
  const wished = toMachineName(spec.name)
  const name = freeMachineName(spec.name, machineNames)
  if (name === wished) return []
  return [
    warning(
      'machine/name-taken',
      `The target site has a machine ${wished} already; the replica will be called ${name}`,
      'Rename one of the two if the name matters.',
    ),
  ]
}
