// From a machine's definition to QEMU's command line. Pure.
import { networkText } from '@understudy/domain/failover/network-text'
import { replicaMark } from '@understudy/domain/failover/replica-mark'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { DefinedAdapter, DefinedDisk, MachineDefinition } from './machine-definition.ts'
import { diskDeviceId, diskNodeName, diskPath, machineFiles } from './machine-definition.ts'

export const QEMU = 'qemu-system-x86_64'
/** Debian's and Ubuntu's package `ovmf`. The variables are a template that every machine gets its own copy of. */
export const UEFI_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd'
export const UEFI_VARIABLES_TEMPLATE = '/usr/share/OVMF/OVMF_VARS_4M.fd'

/** How long a guest's read waits for a replica's NBD server to come back before the guest is stopped on the error. */
export const BACKING_RECONNECT_SECONDS = 60

export type QemuCommand = { readonly command: string; readonly args: readonly string[] }

/**
 * Starts the machine as a daemon that answers on `qmp.sock`; the command itself ends as soon as that socket is there.
 * `paused`: no instruction is run before `cont`. Every path in it is absolute. The process stays when the guest powers
 * off, in run state `shutdown`: what the guest changed last can still be asked for (see `openStoppedDisks`).
 */
export function qemuCommand(
  definition: MachineDefinition,
  folder: string,
  options: { paused: boolean },
): QemuCommand {
  const files = machineFiles(folder)
  const megabytes = Math.ceil(definition.memoryBytes / (1024 * 1024))
  return {
    command: QEMU,
    args: [
      '-name',
      escaped(definition.name),
      '-uuid',
      definition.ref,
      ...machineArguments(definition),
      ...(definition.ownedBy === null ? [] : markArguments(definition.ownedBy, definition.adapters)),
      ...acceleratorArguments(definition),
      '-smp',
      String(definition.cpus),
      '-m',
      String(megabytes),
      '-nodefaults',
      '-no-user-config',
      '-no-shutdown',
      '-vga',
      'std',
      '-display',
      'none',
      '-chardev',
      `file,id=serial,path=${escaped(files.serialLog)},append=on`,
      '-serial',
      'chardev:serial',
      ...(definition.firmware === 'uefi' ? uefiArguments(files.uefiVariables) : []),
      ...definition.disks.flatMap((disk, index) =>
        diskArguments(disk, folder, bootOrder(definition, disk, index)),
      ),
      ...definition.adapters.flatMap(adapterArguments),
      ...(definition.guestAgent ? agentArguments(files.agent) : []),
      '-qmp',
      `unix:${escaped(files.monitor)},server=on,wait=off`,
      '-pidfile',
      files.pid,
      '-daemonize',
      ...(options.paused ? ['-S'] : []),
    ],
  }
}

/** The block graph of one disk, as `-blockdev` and QMP's `blockdev-add` take it. */
export function diskNode(disk: DefinedDisk, folder: string): Readonly<Record<string, unknown>> {
  const file = { driver: 'file', filename: diskPath(folder, disk), discard: 'unmap', aio: 'threads' }
  const node = { driver: disk.format, 'node-name': diskNodeName(disk.key), discard: 'unmap', file }
  return disk.backing === undefined ? node : { ...node, backing: backingNodeName(disk.key) }
}

export const backingNodeName = (key: DiskKey): string => `backing-${key}`

/**
 * What a replica reads that was never written to it. A node of its own, referred to by name: options inside the disk's node
 * would clash with the backing file that its header names.
 */
export function backingNode(disk: DefinedDisk): Readonly<Record<string, unknown>> | null {
  if (disk.backing === undefined) return null
  return {
    driver: 'nbd',
    'node-name': backingNodeName(disk.key),
    'read-only': true,
    server: { type: 'unix', path: disk.backing.path },
    export: disk.backing.exportName,
    // Our server may restart under a running guest: its reads wait instead of failing.
    'reconnect-delay': BACKING_RECONNECT_SECONDS,
  }
}

const machineArguments = (definition: MachineDefinition): string[] => [
  '-machine',
  definition.firmware === 'uefi' ? 'q35,pflash0=uefi-code,pflash1=uefi-variables' : 'q35',
]

/** Stays when the failover is committed: an agent inside never takes the machine for the server that it was copied from. */
const markArguments = (ownedBy: string, adapters: readonly DefinedAdapter[]): string[] => [
  '-smbios',
  `type=11,${replicaTexts(ownedBy, adapters)
    .map((text) => `value=${escaped(text)}`)
    .join(',')}`,
]

/** The mark, and what adapters are to have as addresses. */
export const replicaTexts = (ownedBy: string, adapters: readonly DefinedAdapter[]): readonly string[] => [
  replicaMark(ownedBy),
  ...adapters.flatMap(({ macAddress, address }) =>
    address === undefined ? [] : [networkText(macAddress, address)],
  ),
]

// Never two accelerators in a row: QEMU initialises KVM where guests then do not run, and does not fall back.
const acceleratorArguments = (definition: MachineDefinition): string[] =>
  definition.accelerator === 'kvm'
    ? ['-accel', 'kvm', '-cpu', 'host']
    : ['-accel', 'tcg,tb-size=64', '-cpu', 'qemu64']

const uefiArguments = (variablesPath: string): string[] => [
  '-blockdev',
  JSON.stringify({ driver: 'file', 'node-name': 'uefi-code', filename: UEFI_CODE, 'read-only': true }),
  '-blockdev',
  JSON.stringify({ driver: 'file', 'node-name': 'uefi-variables', filename: variablesPath }),
]

function diskArguments(disk: DefinedDisk, folder: string, bootindex: number): string[] {
  // A guest that is stopped can go on when the server is back; one that saw an I/O error has lost data.
  const onError = disk.backing === undefined ? {} : { rerror: 'stop', werror: 'stop' }
  const device = {
    driver: 'virtio-blk-pci',
    // The id is how `qom-set` finds the device to put a filter between it and the disk.
    id: diskDeviceId(disk.key),
    drive: diskNodeName(disk.key),
    bootindex,
    ...onError,
  }
  const backing = backingNode(disk)
  return [
    ...(backing === null ? [] : ['-blockdev', JSON.stringify(backing)]),
    '-blockdev',
    JSON.stringify(diskNode(disk, folder)),
    '-device',
    JSON.stringify(device),
  ]
}

const bootOrder = (definition: MachineDefinition, disk: DefinedDisk, index: number): number =>
  disk.boot ? 0 : definition.disks.length + index

function adapterArguments(adapter: DefinedAdapter): string[] {
  const device = { driver: 'virtio-net-pci', id: `nic-${adapter.key}`, mac: adapter.macAddress, romfile: '' }
  if (adapter.networkId === null) return ['-device', JSON.stringify(device)]
  const netdev = `net-${adapter.key}`
  return ['-netdev', netdevArgument(adapter, netdev), '-device', JSON.stringify({ ...device, netdev })]
}

function netdevArgument(adapter: DefinedAdapter, id: string): string {
  if (adapter.kind === 'bridge') return `bridge,id=${id},br=${escaped(adapter.bridge ?? '')}`
  const forwards = adapter.forwards.map(
    ({ guestPort, hostPort }) => `,hostfwd=tcp:127.0.0.1:${hostPort}-:${guestPort}`,
  )
  return `user,id=${id},restrict=${adapter.restrict ? 'on' : 'off'}${forwards.join('')}`
}

const agentArguments = (socketPath: string): string[] => [
  '-device',
  'virtio-serial-pci',
  '-chardev',
  `socket,id=agent,path=${escaped(socketPath)},server=on,wait=off`,
  '-device',
  'virtserialport,chardev=agent,name=org.qemu.guest_agent.0',
]

/** QEMU's option lists end a value at a comma; a doubled one stands for itself. */
const escaped = (value: string): string => value.replaceAll(',', ',,')
