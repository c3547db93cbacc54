// Everything that would make a boot fail or surprise, from facts. Pure.
import { formatBytes, MiB } from '@understudy/base/bytes'
import type { RunId } from '@understudy/domain/failover/failover'
import { chooseFreeName } from '@understudy/domain/machines/choose-free-name'
import { blocker, warning } from '@understudy/domain/machines/finding'
import type { Finding } from '@understudy/domain/machines/machine'
import type { MachineSpec } from '@understudy/engine/ports/target-platform'
import type { HostRoom } from './host-room.ts'
import { DISK_KEY, type MachineDefinition } from './machine-definition.ts'
import type { SiteNetwork } from './networks.ts'
import { LONGEST_NAME_CHARACTERS, replicaFolderName, toMachineName } from './replica-definition.ts'
import type { KvmSettings } from './settings.ts'

export type PreflightSpec = MachineSpec
export type PreflightFacts = {
  readonly settings: Pick<KvmSettings, 'accelerator'> & { readonly networks: readonly SiteNetwork[] }
  readonly rooms: readonly HostRoom[]
  readonly machines: readonly { readonly name: string; readonly definition: MachineDefinition | null }[]
  /** What this run made already does not stand in its way. */
  readonly runId: RunId | null
  /** The name of the folder that a replica gets, when it is not `replicaFolderName`. */
  readonly folderName?: string
}

/** QEMU itself, beside the guest's memory. */
const OVERHEAD_BYTES = 128 * MiB
/** Below this an overlay cannot even hold what a booting guest writes. */
const SMALLEST_FREE_DISK_BYTES = 512 * MiB
/** unix(7) ends a socket's path at 107 bytes; the longest name that we put into a machine's folder. */
const LONGEST_SOCKET_PATH_BYTES = 107
const LONGEST_SOCKET_NAME = '/us-stopped-00000000.sock'

export function preflightFindings(spec: PreflightSpec, facts: PreflightFacts): readonly Finding[] {
  return [...networkFindings(spec, facts), ...machineFindings(spec, facts), ...hostFindings(spec, facts)]
}

/** The host to start on: the one with the most free memory among those that can. Null: none, and `hostFindings` says why. */
export function choosePlace(spec: PreflightSpec, facts: PreflightFacts): HostRoom['host'] | null {
  const able = facts.rooms.filter((room) => room.reachable && obstaclesAt(room, spec, facts).length === 0)
  const byRoom = able.toSorted((a, b) => freeMemory(b) - freeMemory(a))
  return byRoom[0]?.host ?? null
}

const freeMemory = (room: HostRoom): number => (room.reachable ? room.freeMemoryBytes : 0)

function networkFindings(spec: PreflightSpec, { settings, machines, runId }: PreflightFacts): Finding[] {
  return [...new Set(spec.networks.values())].flatMap((id) => {
    const network = settings.networks.find((candidate) => candidate.id === id)
    if (network === undefined)
      return [
        blocker(
          'network/not-found',
          `The target site has no network ${id}`,
          'Choose another network for this machine.',
        ),
      ]
    return [...isolationFindings(spec, network), ...addressFindings(spec, network, machines, runId)]
  })
}

const isolationFindings = (spec: PreflightSpec, network: SiteNetwork): Finding[] =>
  spec.mode === 'test' && !network.isolated
    ? [
        warning(
          'network/not-isolated',
          `In network ${network.name} a machine under test reaches others, and others reach it`,
          'Choose an isolated network for tests.',
        ),
      ]
    : []

/** Two machines with one hardware address in one bridge disturb each other. Machines on user networks are alone. */
function addressFindings(
  spec: PreflightSpec,
  network: SiteNetwork,
  machines: PreflightFacts['machines'],
  runId: RunId | null,
): Finding[] {
  if (network.kind !== 'bridge') return []
  const ours = spec.hardware.adapters.filter(({ key }) => spec.networks.get(key) === network.id)
  const others = machines.filter(({ definition }) => runId === null || definition?.ownedBy !== runId)
  return ours.flatMap(({ macAddress }) => {
    const other = others.find(({ definition }) =>
      definition?.adapters.some(
        (adapter) =>
          adapter.networkId === network.id && adapter.macAddress.toLowerCase() === macAddress.toLowerCase(),
      ),
    )
    if (other === undefined) return []
    const message = `${other.name} has the hardware address ${macAddress} in network ${network.name} already`
    return [warning('network/address-clash', message, 'Keep that machine off, or choose another network.')]
  })
}

function machineFindings(spec: PreflightSpec, { machines, runId }: PreflightFacts): Finding[] {
  const findings: Finding[] = []
  const wished = toMachineName(spec.name)
  const name = freeMachineName(spec.name, { machines, runId })
  if (name !== wished)
    findings.push(
      warning(
        'machine/name-taken',
        `The target site has a machine ${wished} already; the replica will be called ${name}`,
        'Rename one of the two if the name matters.',
      ),
    )
  const longKey = spec.hardware.disks.find(({ key }) => !DISK_KEY.test(key))
  if (longKey !== undefined)
    findings.push(
      blocker(
        'target/disk-key',
        `Disk ${longKey.key} has a name that QEMU cannot take`,
        'Give the disk a device id of at most 22 letters, digits, dots, underscores and dashes.',
      ),
    )
  const otherBus = spec.hardware.disks.find(({ bus }) => !bus.startsWith('virtio'))
  if (otherBus !== undefined)
    findings.push(
      warning(
        'target/disk-bus',
        `Disk ${otherBus.label} is on ${otherBus.bus}; its replica is on virtio`,
        'Make sure that the guest has a virtio disk driver before it is needed.',
      ),
    )
  return findings
}

/** What a machine that shall have this name is called at the site. What this run made already is in nobody's way. */
export function freeMachineName(
  wished: string,
  { machines, runId }: Pick<PreflightFacts, 'machines' | 'runId'>,
): string {
  const others = machines.filter(({ definition }) => !isOfRun(definition, runId))
  return chooseFreeName(
    toMachineName(wished),
    new Set(others.map(({ name }) => name)),
    LONGEST_NAME_CHARACTERS,
  )
}

const isOfRun = (definition: MachineDefinition | null, runId: RunId | null): boolean =>
  runId !== null && definition?.ownedBy === runId

/** A blocker when no host can take the machine, with the reasons of each; what is merely tight is a warning. */
function hostFindings(spec: PreflightSpec, facts: PreflightFacts): Finding[] {
  const place = choosePlace(spec, facts)
  if (place === null) {
    const reasons = facts.rooms.flatMap((room) => obstaclesAt(room, spec, facts))
    const [first] = reasons
    if (first !== undefined && reasons.length === 1) return [first]
    const message = reasons.map((reason) => reason.message).join('; ')
    return [
      blocker(
        'target/no-host',
        `No host of the site can run it: ${message}`,
        'Remove one of these obstacles.',
      ),
    ]
  }
  const room = facts.rooms.find(({ host }) => host === place)
  return room?.reachable ? tightnessAt(room, spec) : []
}

/** A disaster is no time to refuse what may just fit. */
function tightnessAt(room: Extract<HostRoom, { reachable: true }>, { hardware }: PreflightSpec): Finding[] {
  const { name } = room.host
  const neededBytes = hardware.memoryBytes + OVERHEAD_BYTES
  const diskBytes = hardware.disks.reduce((sum, disk) => sum + disk.bytes, 0)
  const findings: Finding[] = []
  if (room.freeMemoryBytes < neededBytes)
    findings.push(
      warning(
        'target/memory-tight',
        `Host ${name} has ${formatBytes(room.freeMemoryBytes)} of memory free; the machine needs ${formatBytes(neededBytes)}`,
        'Stop something there, or add a host.',
      ),
    )
  if (room.freeDiskBytes < diskBytes)
    findings.push(
      warning(
        'target/disk-space-tight',
        `Host ${name} has ${formatBytes(room.freeDiskBytes)} free; the disks may grow to ${formatBytes(diskBytes)}`,
        'Make room before the machine is kept there for long.',
      ),
    )
  return findings
}

function obstaclesAt(room: HostRoom, spec: PreflightSpec, facts: PreflightFacts): Finding[] {
  const { settings } = facts
  const { name, machinesFolder } = room.host
  if (!room.reachable)
    return [
      blocker(
        'target/host-unreachable',
        `Host ${name} cannot be reached: ${room.why}`,
        'Check the host and the connection.',
      ),
    ]
  const findings: Finding[] = []
  if (!room.hasQemu)
    findings.push(
      blocker(
        'target/qemu-missing',
        `Host ${name} has no QEMU`,
        'Install qemu-system-x86 and qemu-utils there.',
      ),
    )
  if (spec.hardware.firmware === 'uefi' && !room.hasUefi)
    findings.push(
      blocker(
        'target/no-uefi',
        `Host ${name} has no UEFI firmware for guests`,
        'Install the package ovmf there.',
      ),
    )
  if (settings.accelerator === 'kvm' && !room.hasKvm)
    findings.push(
      blocker(
        'target/no-kvm',
        `Host ${name} has no /dev/kvm`,
        'Switch virtualisation on, or choose tcg for this site.',
      ),
    )
  findings.push(...bridgeObstacles(room, spec, settings.networks))
  if (room.freeDiskBytes < SMALLEST_FREE_DISK_BYTES)
    findings.push(
      blocker(
        'target/no-disk-space',
        `Host ${name} has only ${formatBytes(room.freeDiskBytes)} free for disks`,
        'Make room there.',
      ),
    )
  // Any run's folder name is as long as that of another run.
  const folderName = facts.folderName ?? replicaFolderName(spec.name, 'x' as RunId)
  const folderBytes = Buffer.byteLength(`${machinesFolder}/${folderName}`)
  if (folderBytes + LONGEST_SOCKET_NAME.length > LONGEST_SOCKET_PATH_BYTES)
    findings.push(
      blocker(
        'target/path-too-long',
        `Sockets below ${machinesFolder} would have paths that are too long`,
        'Choose a shorter machines folder.',
      ),
    )
  return findings
}

const bridgeObstacles = (
  room: Extract<HostRoom, { reachable: true }>,
  spec: PreflightSpec,
  networks: readonly SiteNetwork[],
): Finding[] =>
  networks
    .filter(
      ({ id, bridge }) =>
        bridge !== undefined && [...spec.networks.values()].includes(id) && !room.bridges.has(bridge),
    )
    .map(({ name, bridge, managedByLibvirt }) =>
      managedByLibvirt === true
        ? blocker(
            'network/bridge-missing',
            `On host ${room.host.name} libvirt has no active network ${bridge}`,
            `Start it there (virsh net-start ${bridge}), or choose another network.`,
          )
        : blocker(
            'network/bridge-missing',
            `Host ${room.host.name} has no bridge ${bridge} for network ${name}`,
            'Make the bridge, or correct the network.',
          ),
    )
