// What the libvirt target's parts need of their site, and finding what was made for a run.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Whereabouts } from '@understudy/engine/ports/target-platform'
import { type HostRoom, readHostRoom } from '../host-room.ts'
import type { MachineDefinition } from '../machine-definition.ts'
import type { SiteNetwork } from '../networks.ts'
import type { PreflightFacts } from '../preflight.ts'
import { replicaRef } from '../replica-definition.ts'
import type { ReplicaExports } from '../replica-exports.ts'
import type { RunMachine } from '../runs.ts'
import type { KvmSettings } from '../settings.ts'
import { refuseUnseen } from '../whereabouts.ts'
import type { LibvirtDirectory, LibvirtMachine } from './libvirt-directory.ts'
import type { LibvirtHost } from './libvirt-host.ts'
import { mergeNetworks, readHostNetworks } from './libvirt-networks.ts'
import { all, attribute, one, parseXml } from './xml.ts'

export type LibvirtSite = {
  readonly hosts: readonly LibvirtHost[]
  readonly directory: LibvirtDirectory
  readonly settings: Pick<KvmSettings, 'networks' | 'accelerator' | 'bootDeadlineSeconds'>
  readonly exports: ReplicaExports
  readonly clock: Clock
}

/** A machine that carries the run's tag; `replica` is the same in the words of the rest of this driver. */
export type LibvirtRun = LibvirtMachine & { readonly replica: RunMachine }

/** Null when no host has a machine of this run. A machine of its uuid without its tag is not ours. */
export async function findRun(
  site: LibvirtSite,
  runId: RunId,
  signal?: AbortSignal,
): Promise<LibvirtRun | null> {
  const machine = await site.directory.lookFor(replicaRef(runId), signal)
  return machine !== null && machine.domain.ownedBy === runId ? toRun(machine) : null
}

/** For making and removing: whatever has the run's uuid. Outage when it may be at a host that does not answer. */
export async function findBegun(
  { directory, hosts }: LibvirtSite,
  runId: RunId,
  whereabouts: Whereabouts,
  signal?: AbortSignal,
): Promise<LibvirtMachine | null> {
  const { machine, silent } = await directory.search(replicaRef(runId), signal)
  refuseUnseen(hosts, whereabouts, { found: machine?.host ?? null, silent })
  return machine
}

/** Refusal `run/not-found` when there is nothing. */
export async function getRun(site: LibvirtSite, runId: RunId, signal?: AbortSignal): Promise<LibvirtRun> {
  const machine = await findRun(site, runId, signal)
  if (machine !== null) return machine
  throw new Refusal({
    code: 'run/not-found',
    message: `No libvirt of this site has a machine of run ${runId}`,
    remedy: 'Start it again, or clean it up.',
  })
}

export function toRun(machine: LibvirtMachine): LibvirtRun | null {
  const { definition } = machine.location
  return definition === null ? null : { ...machine, replica: { ...machine.location, definition } }
}

/** Of the hosts that answer. Outage when none does. */
export async function readNetworks(site: LibvirtSite, signal?: AbortSignal): Promise<readonly SiteNetwork[]> {
  const asked = await Promise.allSettled(site.hosts.map((host) => readHostNetworks(host, signal)))
  const failed = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
  const grave = failed.find((error) => !(error instanceof Outage))
  if (grave !== undefined) throw grave
  if (failed.length === asked.length) throw failed[0]
  const found = asked.flatMap((one) => (one.status === 'fulfilled' ? one.value.networks : []))
  return mergeNetworks(site.settings.networks, found)
}

/** Touches nothing but the machines folder, which is made when missing. */
export async function readLibvirtFacts(
  site: LibvirtSite,
  runId: RunId | null,
  signal?: AbortSignal,
): Promise<PreflightFacts & { readonly settings: { readonly networks: readonly SiteNetwork[] } }> {
  const rooms = await Promise.all(site.hosts.map((host) => readLibvirtRoom(site, host, signal)))
  const networks = mergeNetworks(
    site.settings.networks,
    rooms.flatMap((room) => room.networks),
  )
  // A host that is away takes part in nothing; what the others have still counts.
  const { machines } = await site.directory.survey(signal)
  return {
    settings: { accelerator: site.settings.accelerator, networks },
    rooms: rooms.map(({ room }) => room),
    machines: machines.map(({ name, definition }) => ({
      name,
      definition: definition === null ? null : inNetworksOf(definition, networks),
    })),
    runId,
    // Each is as long as the next.
    folderName: 'x'.repeat(12),
  }
}

type Room = { readonly room: HostRoom; readonly networks: readonly SiteNetwork[] }

/** As on plain KVM, except for what libvirt knows better. A libvirt that does not answer is a host that cannot be used. */
async function readLibvirtRoom(
  { settings }: LibvirtSite,
  host: LibvirtHost,
  signal: AbortSignal | undefined,
): Promise<Room> {
  const room = await readHostRoom(host, signal)
  if (!room.reachable) return { room, networks: [] }
  try {
    const [{ networks, present }, hasUefi] = await Promise.all([
      readHostNetworks(host, signal),
      hasUefiFirmware(host, settings, signal),
    ])
    // libvirt has its own way to QEMU, whatever it is called there.
    return { room: { ...room, hasQemu: true, hasUefi, bridges: present }, networks }
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    return { room: { host, reachable: false, why: error.message }, networks: [] }
  }
}

/** https://libvirt.org/formatdomaincaps.html#bios-bootloader: whether libvirt can choose a UEFI by itself. */
async function hasUefiFirmware(
  host: LibvirtHost,
  { accelerator }: LibvirtSite['settings'],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const kind = accelerator === 'kvm' ? 'kvm' : 'qemu'
  const ask = `domcapabilities --arch x86_64 --machine q35 --virttype ${kind}`
  const xml = await host
    .virsh((session) => session.ask(ask), signal)
    .catch((error: unknown) => {
      // It cannot run such machines at all; other findings say so.
      if (error instanceof Outage && error.code === 'kvm/libvirt-failed') return ''
      throw error
    })
  const os = one(one(parseXml(xml), 'domainCapabilities'), 'os')
  const firmware = all(os, 'enum').find((element) => attribute(element, 'name') === 'firmware')
  return firmware !== undefined && all(firmware, 'value').some((value) => value['#'] === 'efi')
}

/** A domain names the bridge; the site may have another name for the network. */
const inNetworksOf = (
  definition: MachineDefinition,
  networks: readonly SiteNetwork[],
): MachineDefinition => ({
  ...definition,
  adapters: definition.adapters.map((adapter) => ({
    ...adapter,
    networkId:
      networks.find(({ bridge }) => bridge !== undefined && bridge === adapter.networkId)?.id ??
      adapter.networkId,
  })),
})
