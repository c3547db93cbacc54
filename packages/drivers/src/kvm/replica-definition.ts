// From what shall boot to the machine that boots it. Pure.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { PresentedHardware } from '@understudy/domain/boot-check/guest-hardware'
import type { RunId } from '@understudy/domain/failover/failover'
import { toAddressText } from '@understudy/domain/failover/network-text'
import type { MachineRef, NetworkAdapter } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import {
  checkMachineDefinition,
  type DefinedAdapter,
  type DefinedDisk,
  MAC_ADDRESS,
  type MachineDefinition,
} from './machine-definition.ts'
import type { KvmNetwork, KvmSettings } from './settings.ts'

/** Disks and adapters of a replica are on virtio, and its screen can be typed at. */
export const kvmHardware: PresentedHardware = { kind: 'virtio', serialLineOnly: false }

export const LONGEST_NAME_CHARACTERS = 63
const NAME_IN_FOLDER_CHARACTERS = 12

export const runDigest = (runId: RunId): string => createHash('sha256').update(`run:${runId}`).digest('hex')

/** The same for every attempt of one run, and told from every other folder by its end. */
export const replicaFolderName = (name: string, runId: RunId): string =>
  `${toMachineName(name).replaceAll(' ', '-').slice(0, NAME_IN_FOLDER_CHARACTERS)}${folderEnd(runId)}`

export const folderEnd = (runId: RunId): string => `-${runDigest(runId).slice(0, 8)}`

/** Where this run's disks are offered to QEMU. */
export const backingSocketPath = (folder: string): string => join(folder, 'us-base.sock')

/** QEMU and our folders take fewer characters than other platforms. */
export function toMachineName(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9._ -]+/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return (plain === '' ? 'machine' : plain).slice(0, LONGEST_NAME_CHARACTERS)
}

/** A version 8 UUID (RFC 9562): ours, and the same for every attempt of one run. */
export function replicaRef(runId: RunId): MachineRef {
  const hex = runDigest(runId)
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ]
  return parts.join('-') as MachineRef
}

/**
 * Every disk is an overlay over what we offer on the socket in `folder`. `takePort` gives the next free port of the host
 * for a forward; networks must exist (preflight has seen to that). Checked: what a source says of its hardware may be the word of
 * whoever has taken that site, and becomes command lines and XML here. Refusal `kvm/machine-definition`.
 */
export function replicaDefinition(
  spec: Omit<BootSpec, 'trackingId' | 'placing'>,
  settings: Pick<KvmSettings, 'networks' | 'accelerator'>,
  place: { readonly folder: string; readonly takePort: () => number },
): MachineDefinition {
  const { hardware } = spec
  const definition: MachineDefinition = {
    version: 1,
    ref: replicaRef(spec.runId),
    name: toMachineName(spec.name),
    cpus: hardware.cpus,
    memoryBytes: hardware.memoryBytes,
    firmware: hardware.firmware,
    disks: spec.disks.map((disk): DefinedDisk => {
      const label = hardware.disks.find(({ key }) => key === disk.key)?.label ?? disk.key
      const backing = {
        kind: 'nbd-unix' as const,
        path: backingSocketPath(place.folder),
        exportName: disk.key,
      }
      const file = `${disk.key}.qcow2`
      return {
        key: disk.key,
        label,
        file,
        format: 'qcow2',
        bus: 'virtio',
        boot: disk.boot,
        bytes: disk.bytes,
        backing,
      }
    }),
    adapters: hardware.adapters.map((adapter) => {
      const networkId = spec.networks.get(adapter.key) ?? null
      const network = settings.networks.find(({ id }) => id === networkId) ?? null
      return replicaAdapter(adapter, network, spec, place.takePort)
    }),
    guestAgent: true,
    accelerator: settings.accelerator,
    ownedBy: spec.runId,
  }
  return checkMachineDefinition(definition, 'the replica')
}

function replicaAdapter(
  adapter: NetworkAdapter,
  network: KvmNetwork | null,
  spec: Pick<BootSpec, 'mode' | 'runId' | 'addresses'>,
  takePort: () => number,
): DefinedAdapter {
  // A source that names no address must not keep its replica from booting.
  const needsOwn = needsOwnAddress(network, spec.mode) || !MAC_ADDRESS.test(adapter.macAddress)
  const macAddress = needsOwn ? ownAddress(spec.runId, adapter.key) : adapter.macAddress
  const address = spec.addresses?.get(adapter.key)
  const told = address === undefined ? {} : { address: toAddressText(address) }
  const common = { key: adapter.key, macAddress, model: 'virtio-net-pci' as const, ...told }
  if (network === null) return { ...common, networkId: null, kind: 'user', restrict: true, forwards: [] }
  if (network.kind === 'bridge') {
    const bridge = present(network.bridge, `network ${network.id} is a bridge`)
    return { ...common, networkId: network.id, kind: 'bridge', restrict: false, bridge, forwards: [] }
  }
  const forwards = network.probePorts.map((guestPort) => ({ guestPort, hostPort: takePort() }))
  return { ...common, networkId: network.id, kind: 'user', restrict: network.isolated, forwards }
}

/** A failover takes the original's place, a test beside it in one network must not answer to its hardware address. */
const needsOwnAddress = (network: KvmNetwork | null, mode: BootSpec['mode']): boolean =>
  mode === 'test' && network?.kind === 'bridge' && !network.isolated

function ownAddress(runId: RunId, adapterKey: string): string {
  const hex = createHash('sha256').update(`mac:${runId}:${adapterKey}`).digest('hex')
  return `52:54:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`
}
