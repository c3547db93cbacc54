// What this server says of itself: hardware, disks, and what decides whether it can be copied.
import { readdir, readFile, stat } from 'node:fs/promises'
import { hostname, networkInterfaces, cpus as processors, totalmem } from 'node:os'
import { join } from 'node:path'
import type {
  DiscoveredMachine,
  MachineDisk,
  MachineRef,
  NetworkAdapter,
} from '@understudy/domain/machines/machine'
import { type BlockDevice, readWholeDisks, type WholeDisk } from './block-devices.ts'
import { hasPreScripts } from './consistency-scripts.ts'
import { type MountOnDisk, readMountsOn, readRootType } from './mounts.ts'
import type { LinuxSettings } from './settings.ts'
import { isKnownFormat } from './trace-text.ts'

export type ServerFacts = {
  readonly ref: MachineRef
  readonly name: string
  readonly isRoot: boolean
  /** `none`, `integrity` or `confidentiality`; null where the kernel has no such thing. */
  readonly lockdown: string | null
  readonly tracing: 'known' | 'absent' | 'unknown-format'
  readonly disks: readonly WholeDisk[]
  readonly mounts: readonly MountOnDisk[]
  /** Of the file system that this process sees as the root. */
  readonly rootType: string | null
  /** Paths to one NVMe disk: their requests are told under other names. */
  readonly hasNvmePaths: boolean
  readonly hasScripts: boolean
  readonly hardware: DiscoveredMachine['hardware']
}

export async function readServerFacts(settings: LinuxSettings, signal?: AbortSignal): Promise<ServerFacts> {
  const { devices, tracefs, scripts } = settings
  const [disks, machineId, lockdown, tracing, blocks, isUefi, hasScripts] = await Promise.all([
    readWholeDisks(devices, signal),
    readText('/etc/machine-id'),
    readText('/sys/kernel/security/lockdown'),
    readTracing(tracefs),
    readdir('/sys/block').catch(() => []),
    exists('/sys/firmware/efi'),
    hasPreScripts(scripts),
  ])
  const mounts = await readMountsOn(new Set(disks.map(({ device }) => device)))
  return {
    ref: (machineId ?? hostname()) as MachineRef,
    name: hostname(),
    isRoot: process.geteuid?.() === 0,
    lockdown: /\[(\w+)\]/.exec(lockdown ?? '')?.[1] ?? null,
    tracing,
    disks,
    mounts,
    rootType: await readRootType(),
    hasNvmePaths: blocks.some((name) => /^nvme\d+c\d+n\d+$/.test(name)),
    hasScripts,
    hardware: {
      cpus: processors().length,
      memoryBytes: totalmem(),
      firmware: isUefi ? 'uefi' : 'bios',
      disks: toMachineDisks(disks),
      adapters: await readAdapters(),
    },
  }
}

export const toDiscovered = ({ ref, name, hardware, hasScripts }: ServerFacts): DiscoveredMachine => ({
  ref,
  name,
  host: name,
  power: 'running',
  hardware,
  guestAgent: hasScripts,
  ownedBy: null,
})

/** Pure. */
export function toMachineDisks(disks: readonly WholeDisk[]): readonly MachineDisk[] {
  const bootIndex = Math.max(
    0,
    disks.findIndex((disk) => mountPointsOf(disk).includes('/')),
  )
  return disks.map((disk, index) => ({
    key: disk.key,
    label: shown([disk.path, disk.model, holdsWhat(disk)].filter((part) => part !== null).join(', ')),
    bytes: disk.bytes,
    format: 'raw',
    bus: disk.transport ?? 'other',
    boot: index === bootIndex,
  }))
}

const mountPointsOf = (device: BlockDevice): readonly string[] => [
  ...device.mountPoints,
  ...device.children.flatMap(mountPointsOf),
]

/** Partition table, and what is made of it: LVM, arrays, several paths. */
function holdsWhat({ partitionTable, children }: BlockDevice): string | null {
  const below = (device: BlockDevice): string[] => [device.type, ...device.children.flatMap(below)]
  const types = new Set(children.flatMap(below))
  const named = [
    partitionTable?.toUpperCase() ?? null,
    types.has('lvm') ? 'LVM' : null,
    [...types].some((type) => type.startsWith('raid')) ? 'md' : null,
    types.has('crypt') ? 'encrypted' : null,
    types.has('mpath') ? 'multipath' : null,
  ].filter((part) => part !== null)
  return named.length === 0 ? null : named.join(' + ')
}

async function readTracing(tracefs: string): Promise<ServerFacts['tracing']> {
  const format = await readText(join(tracefs, 'events/block/block_rq_complete/format'))
  if (format === null || !(await exists(join(tracefs, 'instances')))) return 'absent'
  return isKnownFormat(format) ? 'known' : 'unknown-format'
}

/** Those of hardware, each with its own address; bridges, tunnels and the like are made of them. */
async function readAdapters(): Promise<readonly NetworkAdapter[]> {
  const found: NetworkAdapter[] = []
  const named = networkInterfaces()
  for (const name of (await readdir('/sys/class/net').catch(() => [])).sort()) {
    const folder = join('/sys/class/net', name)
    if (!(await exists(join(folder, 'device')))) continue
    const addresses = (named[name] ?? []).map(({ cidr, address }) => cidr ?? address)
    found.push(toAdapter(name, (await readText(join(folder, 'address'))) ?? '', addresses))
    if (found.length === MOST_ADAPTERS) break
  }
  return found
}

/** Pure. */
export const toAdapter = (
  name: string,
  macAddress: string,
  addresses: readonly string[],
): NetworkAdapter => ({
  key: name,
  macAddress: shown(macAddress),
  networkId: null,
  model: shown([name, ...addresses].join(', ')),
})

/** Of virtual functions a server may have thousands. */
const MOST_ADAPTERS = 200
const LONGEST_SHOWN = 200

/** What is only shown must not grow a message beyond what the line carries. */
const shown = (text: string): string => text.slice(0, LONGEST_SHOWN)

const readText = async (path: string): Promise<string | null> =>
  (await readFile(path, 'utf8').catch(() => null))?.trim() ?? null

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
