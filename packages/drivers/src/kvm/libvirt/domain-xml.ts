// What a domain's XML says: https://libvirt.org/formatdomain.html

import type { RunId } from '@understudy/domain/failover/failover'
import type {
  DiskKey,
  MachineHardware,
  MachineRef,
  NetworkAdapter,
} from '@understudy/domain/machines/machine'
import { keyOfAlias } from '../device-alias.ts'
import {
  ADAPTER_KEY,
  type DefinedAdapter,
  type DefinedDisk,
  DISK_KEY,
  MAC_ADDRESS,
  type MachineDefinition,
} from '../machine-definition.ts'
import { all, attribute, type Element, namesIn, one, parseXml, textOf } from './xml.ts'

export type DomainDisk = {
  /** As QEMU's device is called, so that it is the same key whether the domain runs or not. Null: no key can be made of it. */
  readonly key: DiskKey | null
  /** `vda` */
  readonly target: string
  readonly bus: string
  readonly format: string
  /** `file`, `block`, `network`, `volume`, ... */
  readonly storage: string
  /** Null: not a file. */
  readonly file: string | null
  readonly boot: boolean
  readonly shareable: boolean
  /** What was never written to the file is read from this export: a replica of ours that is not hydrated. */
  readonly backing: DefinedDisk['backing'] | null
}

export type Domain = {
  readonly ref: MachineRef
  readonly name: string
  /** There is a QEMU process. */
  readonly active: boolean
  readonly cpus: number
  readonly memoryBytes: number
  readonly firmware: 'bios' | 'uefi'
  readonly accelerator: 'tcg' | 'kvm'
  /** Hard disks that the guest can write to, in the order of their targets. */
  readonly disks: readonly DomainDisk[]
  readonly adapters: readonly NetworkAdapter[]
  readonly agentChannel: boolean
  /** `uid:gid` that QEMU runs with, while it runs and libvirt tells. */
  readonly owner: string | null
  /** `apparmor`, `selinux`: what confines QEMU beside its user. */
  readonly confinedBy: string | null
  /** The run that made it, by our tag. */
  readonly ownedBy: RunId | null
}

/** The tag that everything carries that we make: an element of this namespace in the domain's metadata. */
export const TAG_NAMESPACE = 'urn:understudy:run'

/** Null when the text is no domain. */
export function parseDomain(xml: string): Domain | null {
  const domain = all(parseXml(xml), 'domain')[0]
  if (domain === undefined) return null
  const uuid = textOf(domain, 'uuid')
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return null
  const devices = one(domain, 'devices')
  const labels = all(domain, 'seclabel')
  return {
    ref: uuid as MachineRef,
    name: textOf(domain, 'name'),
    active: attribute(domain, 'id') !== '' && attribute(domain, 'id') !== '-1',
    cpus: Number(attribute(one(domain, 'vcpu'), 'current') || textOf(domain, 'vcpu') || '1'),
    memoryBytes: Number(textOf(domain, 'memory') || '0') * 1024,
    firmware: isUefi(one(domain, 'os')) ? 'uefi' : 'bios',
    accelerator: attribute(domain, 'type') === 'kvm' ? 'kvm' : 'tcg',
    disks: withBoot(all(devices, 'disk').filter(isHardDisk)),
    adapters: all(devices, 'interface').map(toAdapter),
    agentChannel: all(devices, 'channel').some(
      (channel) => attribute(one(channel, 'target'), 'name') === 'org.qemu.guest_agent.0',
    ),
    owner: toOwner(textOf(labels.find((label) => attribute(label, 'model') === 'dac') ?? {}, 'label')),
    confinedBy: labels.map((label) => attribute(label, 'model')).find(isConfinement) ?? null,
    ownedBy: toOwnerRun(one(domain, 'metadata')),
  }
}

/** The disks that can be replicated: files on virtio-blk. */
export const replicable = (domain: Domain): readonly (DomainDisk & { key: DiskKey; file: string })[] =>
  domain.disks.filter(
    (disk): disk is DomainDisk & { key: DiskKey; file: string } =>
      disk.key !== null &&
      disk.file !== null &&
      disk.bus === 'virtio' &&
      !disk.shareable &&
      (disk.format === 'raw' || disk.format === 'qcow2'),
  )

/** In the words of the rest of this driver. `bytes` by target; a size that is not known counts as 0. */
export function toDefinition(domain: Domain, bytes: ReadonlyMap<string, number>): MachineDefinition {
  return {
    version: 1,
    ref: domain.ref,
    name: domain.name,
    cpus: domain.cpus,
    memoryBytes: domain.memoryBytes,
    firmware: domain.firmware,
    disks: replicable(domain).map(
      ({ key, target, file, format, boot, backing }): DefinedDisk => ({
        key,
        label: target,
        file,
        format: format === 'raw' ? 'raw' : 'qcow2',
        bus: 'virtio',
        boot,
        bytes: bytes.get(target) ?? 0,
        ...(backing === null || backing === undefined ? {} : { backing }),
      }),
    ),
    adapters: domain.adapters.map(toDefinedAdapter),
    guestAgent: domain.agentChannel,
    accelerator: domain.accelerator,
    ownedBy: domain.ownedBy,
  }
}

export const toHardware = (domain: Domain, bytes: ReadonlyMap<string, number>): MachineHardware => ({
  cpus: domain.cpus,
  memoryBytes: domain.memoryBytes,
  firmware: domain.firmware,
  disks: domain.disks.flatMap(({ key, target, bus, format, boot }) =>
    key === null ? [] : [{ key, label: target, bytes: bytes.get(target) ?? 0, format, bus, boot }],
  ),
  adapters: domain.adapters,
})

/** libvirt starts its domains itself: all that is asked here is whom a machine can reach, and by which hardware address. */
const toDefinedAdapter = ({ key, macAddress, networkId }: NetworkAdapter): DefinedAdapter => ({
  key,
  macAddress,
  networkId,
  model: 'virtio-net-pci',
  kind: networkId === null ? 'user' : 'bridge',
  restrict: false,
  forwards: [],
})

const isHardDisk = (disk: Element): boolean =>
  ['', 'disk'].includes(attribute(disk, 'device')) && all(disk, 'readonly').length === 0

function withBoot(elements: readonly Element[]): readonly DomainDisk[] {
  const disks = elements.map(toDisk)
  const orders = elements.map((disk) => Number(attribute(one(disk, 'boot'), 'order') || 'Infinity'))
  // Without an order the firmware takes the first one.
  const first = Math.max(0, orders.indexOf(Math.min(...orders)))
  return disks.map((disk, index) => ({ ...disk, boot: index === first }))
}

function toDisk(disk: Element): DomainDisk {
  const bus = attribute(one(disk, 'target'), 'bus')
  const target = attribute(one(disk, 'target'), 'dev')
  const file = attribute(one(disk, 'source'), 'file')
  return {
    key: toKey(attribute(one(disk, 'alias'), 'name') || aliasOf(bus, target, one(disk, 'address'))),
    target,
    bus,
    format: attribute(one(disk, 'driver'), 'type') || 'raw',
    storage: attribute(disk, 'type'),
    file: attribute(disk, 'type') === 'file' && file !== '' ? file : null,
    boot: false,
    shareable: all(disk, 'shareable').length > 0,
    backing: toBacking(one(disk, 'backingStore')),
  }
}

function toBacking(backingStore: Element): DomainDisk['backing'] {
  const source = one(backingStore, 'source')
  const host = one(source, 'host')
  if (attribute(source, 'protocol') !== 'nbd' || attribute(host, 'transport') !== 'unix') return null
  return { kind: 'nbd-unix', path: attribute(host, 'socket'), exportName: attribute(source, 'name') }
}

/**
 * How libvirt will call the device once it runs (qemuAssignDeviceDiskAlias in
 * https://gitlab.com/libvirt/libvirt/-/blob/v9.0.0/src/qemu/qemu_alias.c): by target on virtio, by address on a controller.
 */
function aliasOf(bus: string, target: string, address: Element): string {
  if (bus === 'virtio') return `virtio-disk${diskIndex(target)}`
  const [controller, channel, unit, scsiTarget] = ['controller', 'bus', 'unit', 'target'].map(
    (name) => attribute(address, name) || '0',
  )
  if (bus === 'scsi') return `scsi${controller}-${channel}-${scsiTarget}-${unit}`
  return `${bus}${controller}-${channel}-${unit}`
}

/** vda 0, vdz 25, vdaa 26. */
function diskIndex(target: string): number {
  const letters = /^(?:vd|sd|hd|xvd)([a-z]+)/.exec(target)?.[1] ?? 'a'
  return [...letters].reduce((index, letter) => (index + 1) * 26 + letter.charCodeAt(0) - 97, -1)
}

/** As block-graph.ts makes a key of a device's id. */
function toKey(alias: string): DiskKey | null {
  const key = alias.startsWith('dev-') ? alias.slice('dev-'.length) : (keyOfAlias(alias) ?? alias)
  return DISK_KEY.test(key) ? (key as DiskKey) : null
}

/** Key and address become part of what is made at the other site: what is none of either does not get that far. */
function toAdapter(element: Element, index: number): NetworkAdapter {
  const source = one(element, 'source')
  const alias = attribute(one(element, 'alias'), 'name')
  const key = keyOfAlias(alias) ?? alias
  const macAddress = attribute(one(element, 'mac'), 'address')
  return {
    key: ADAPTER_KEY.test(key) ? key : `net${index}`,
    macAddress: MAC_ADDRESS.test(macAddress) ? macAddress : '',
    networkId: attribute(source, 'network') || attribute(source, 'bridge') || null,
    model: attribute(one(element, 'model'), 'type') || 'unknown',
  }
}

/** Our element declares its namespace itself; what its prefix is does not matter. */
function toOwnerRun(metadata: Element): RunId | null {
  for (const name of namesIn(metadata)) {
    const [prefix, local] = name.includes(':') ? name.split(':') : ['', name]
    const declaration = prefix === '' ? 'xmlns' : `xmlns:${prefix}`
    const tag = one(metadata, name)
    const runId = attribute(tag, 'id')
    if (local === 'run' && attribute(tag, declaration) === TAG_NAMESPACE && runId !== '')
      return runId as RunId
  }
  return null
}

const isUefi = (os: Element): boolean =>
  attribute(os, 'firmware') === 'efi' ||
  all(os, 'loader').some((loader) => attribute(loader, 'type') === 'pflash')

const toOwner = (label: string): string | null => {
  const [, user, group] = /^\+?([\w-]+):\+?([\w-]+)$/.exec(label) ?? []
  return user === undefined || group === undefined ? null : `${user}:${group}`
}

const isConfinement = (model: string): boolean => model !== '' && model !== 'dac' && model !== 'none'
