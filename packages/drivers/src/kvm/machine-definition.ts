// A machine on a QMP host, as it lies in `<machinesFolder>/<name>/machine.json`.
//
//     <machinesFolder>/<name>/machine.json    this definition
//                             *.qcow2 *.raw   disks (or anywhere else on the host, by absolute path)
//                             qmp.sock        while it runs: QEMU's monitor; it serves one client at a time
//                             agent.sock      while it runs: the guest agent
//                             pid serial.log uefi-variables.fd
//                             us-*            ours: export socket, scratch files, what a stopped machine changed
import { isAbsolute, join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { ADDRESS_TEXT } from '@understudy/domain/failover/network-text'
import type { DiskKey, MachineHardware, MachineRef } from '@understudy/domain/machines/machine'
import type { Fields } from './checked-fields.ts'
import { fieldsOf } from './checked-fields.ts'
import type { Host } from './host.ts'
import type { Accelerator } from './settings.ts'

export type DefinedDisk = {
  readonly key: DiskKey
  readonly label: string
  /** Relative to the machine's folder, or absolute. */
  readonly file: string
  readonly format: 'raw' | 'qcow2'
  readonly bus: 'virtio'
  readonly boot: boolean
  readonly bytes: number
  /** Only with qcow2: what was never written here is read from this NBD export. How a replica runs before it is hydrated. */
  readonly backing?: { readonly kind: 'nbd-unix'; readonly path: string; readonly exportName: string }
}

export type DefinedAdapter = {
  readonly key: string
  readonly macAddress: string
  /** Null: not plugged into anything. */
  readonly networkId: string | null
  readonly model: 'virtio-net-pci'
  readonly kind: 'user' | 'bridge'
  /** `user` only: the guest reaches nobody, forwards still reach it. */
  readonly restrict: boolean
  readonly bridge?: string
  /** `user` only: 127.0.0.1:hostPort on the host leads to guestPort. */
  readonly forwards: readonly { readonly guestPort: number; readonly hostPort: number }[]
  /** What a replica is told of the address that it is to have: see toAddressText. */
  readonly address?: string
}

export type MachineDefinition = {
  readonly version: 1
  /** A UUID, the same for the machine's whole life. */
  readonly ref: MachineRef
  readonly name: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly firmware: 'bios' | 'uefi'
  readonly disks: readonly DefinedDisk[]
  readonly adapters: readonly DefinedAdapter[]
  /** Give the machine a channel for the QEMU guest agent. */
  readonly guestAgent: boolean
  readonly accelerator: Accelerator
  readonly ownedBy: string | null
}

export const MACHINE_NAME = /^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$/
/** QEMU node names end at 31 characters, and ours begin with up to 8 of our own (`backing-`). */
export const DISK_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,21}$/
export const ADAPTER_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
export const MAC_ADDRESS = /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/

export type MachineFiles = {
  readonly folder: string
  readonly definition: string
  readonly monitor: string
  readonly agent: string
  readonly serialLog: string
  readonly pid: string
  readonly uefiVariables: string
}

export function machineFiles(folder: string): MachineFiles {
  return {
    folder,
    definition: join(folder, 'machine.json'),
    monitor: join(folder, 'qmp.sock'),
    agent: join(folder, 'agent.sock'),
    serialLog: join(folder, 'serial.log'),
    pid: join(folder, 'pid'),
    uefiVariables: join(folder, 'uefi-variables.fd'),
  }
}

export const diskPath = (folder: string, disk: Pick<DefinedDisk, 'file'>): string =>
  isAbsolute(disk.file) ? disk.file : join(folder, disk.file)

/** QEMU's names of a disk's block node and of its device. */
export const diskNodeName = (key: DiskKey): string => `disk-${key}`
export const diskDeviceId = (key: DiskKey): string => `dev-${key}`

/** Null when there is none. Throws Refusal `kvm/machine-definition` when it is not one of ours. */
export async function loadMachineDefinition(host: Host, folder: string): Promise<MachineDefinition | null> {
  const path = machineFiles(folder).definition
  const text = await host.readFile(path)
  if (text === null) return null
  return checkMachineDefinition(parseJson(text.toString('utf8'), path), path)
}

/** Durable and atomic: a reader sees the old definition or the new one. */
export async function saveMachineDefinition(
  host: Host,
  folder: string,
  definition: MachineDefinition,
): Promise<void> {
  const checked = checkMachineDefinition(definition, 'definition')
  await host.writeFile(machineFiles(folder).definition, `${JSON.stringify(checked, null, 2)}\n`)
}

/** Throws Refusal `kvm/machine-definition`, naming the field. `where` is the file, for the message. */
export function checkMachineDefinition(value: unknown, where: string): MachineDefinition {
  const fields = fieldsOf(value, where, CODE)
  fields.integer('version', 1, 1)
  const definition: MachineDefinition = {
    version: 1,
    ref: fields.text('ref', UUID) as MachineRef,
    name: fields.text('name', MACHINE_NAME),
    cpus: fields.integer('cpus', 1, 512),
    memoryBytes: fields.integer('memoryBytes', 1024 * 1024),
    firmware: fields.oneOf('firmware', ['bios', 'uefi']),
    disks: fields.list('disks', readDisk),
    adapters: fields.list('adapters', readAdapter),
    guestAgent: fields.flag('guestAgent'),
    accelerator: fields.oneOf('accelerator', ['tcg', 'kvm']),
    ownedBy: fields.textOrNull('ownedBy'),
  }
  refuseDuplicates(where, 'disk', definition.disks)
  refuseDuplicates(where, 'adapter', definition.adapters)
  return definition
}

export function toHardware(definition: MachineDefinition): MachineHardware {
  return {
    cpus: definition.cpus,
    memoryBytes: definition.memoryBytes,
    firmware: definition.firmware,
    disks: definition.disks.map(({ key, label, bytes, format, bus, boot }) => ({
      key,
      label,
      bytes,
      format,
      bus,
      boot,
    })),
    adapters: definition.adapters.map(({ key, macAddress, networkId, model }) => ({
      key,
      macAddress,
      networkId,
      model,
    })),
  }
}

const CODE = 'kvm/machine-definition'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function readDisk(fields: Fields): DefinedDisk {
  const format = fields.oneOf('format', ['raw', 'qcow2'])
  const backing = fields.has('backing') ? readBacking(fields.object('backing')) : undefined
  if (backing !== undefined && format !== 'qcow2')
    throw wrong(`${fields.where} has a backing, which only qcow2 can have`)
  const bytes = fields.integer('bytes', 512)
  if (bytes % 512 !== 0) throw wrong(`${fields.where}.bytes is not a multiple of 512`)
  return {
    key: fields.text('key', DISK_KEY) as DiskKey,
    label: fields.text('label'),
    file: fields.text('file'),
    format,
    bus: fields.oneOf('bus', ['virtio']),
    boot: fields.flag('boot'),
    bytes,
    ...(backing === undefined ? {} : { backing }),
  }
}

function readBacking(fields: Fields): NonNullable<DefinedDisk['backing']> {
  const kind = fields.oneOf('kind', ['nbd-unix'])
  return { kind, path: fields.text('path', /^\//), exportName: fields.text('exportName') }
}

function readAdapter(fields: Fields): DefinedAdapter {
  const kind = fields.oneOf('kind', ['user', 'bridge'])
  const bridge = kind === 'bridge' ? fields.text('bridge') : undefined
  return {
    key: fields.text('key', ADAPTER_KEY),
    macAddress: fields.text('macAddress', MAC_ADDRESS),
    networkId: fields.textOrNull('networkId'),
    model: fields.oneOf('model', ['virtio-net-pci']),
    kind,
    restrict: fields.flag('restrict'),
    ...(bridge === undefined ? {} : { bridge }),
    forwards: fields.list('forwards', (forward) => ({
      guestPort: forward.integer('guestPort', 1, 65535),
      hostPort: forward.integer('hostPort', 1, 65535),
    })),
    ...(fields.has('address') ? { address: fields.text('address', ADDRESS_TEXT) } : {}),
  }
}

function refuseDuplicates(where: string, what: string, items: readonly { readonly key: string }[]): void {
  const keys = items.map((item) => item.key)
  const twice = keys.find((key, index) => keys.indexOf(key) !== index)
  if (twice !== undefined) throw wrong(`${where} has the ${what} key "${twice}" twice`)
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw wrong(`${path} is not JSON`, cause)
  }
}

const wrong = (message: string, cause?: unknown): Refusal =>
  new Refusal({ code: CODE, message, remedy: 'Correct or remove this machine.json.', cause })
