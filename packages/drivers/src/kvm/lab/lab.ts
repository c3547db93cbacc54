// The lab: two KVM sites on this computer with two small real machines, to try everything on.
//
//     <folder>/site-a/machines/lab-web    one disk, a web page
//                              lab-db     two disks, a database on the second
//              site-a/replicas
//     <folder>/site-b/machines            empty: where they are failed over to
//              site-b/replicas
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GiB, MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import { isInstalled } from '../../wires/is-installed.ts'
import { chooseFreePorts } from '../free-ports.ts'
import type { Host } from '../host.ts'
import { localHost } from '../local-host.ts'
import { type MachineDefinition, saveMachineDefinition } from '../machine-definition.ts'
import { machineDirectory } from '../machine-directory.ts'
import type { MachineLocation } from '../monitor.ts'
import { endProcess, startMachine } from '../power.ts'
import { probeMachine } from '../probe.ts'
import { QEMU } from '../qemu-command.ts'
import { loadRunRecord } from '../run-record.ts'
import { loadRunMachine, type RunMachine } from '../runs.ts'
import type { KvmNetwork, KvmSettings } from '../settings.ts'
import { buildGuestBase, type GuestBase, type GuestDisk, makeGuestDisks } from './guest-image.ts'
import { missingTool } from './run-tool.ts'

export type LabSite = { readonly name: string; readonly settings: KvmSettings }
export type LabMachine = {
  readonly name: string
  readonly ref: MachineRef
  readonly addresses: readonly string[]
}
/** The first site has the machines, the second is empty. Register both as platform `kvm`, without secrets. */
export type Lab = { readonly sites: readonly [LabSite, LabSite]; readonly machines: readonly LabMachine[] }

export type LabOptions = {
  /** Absolute, not longer than about 60 bytes (sockets lie below it). Everything of the lab is in it. */
  readonly folder: string
  /** Kept between labs: what was built from the distribution's packages. */
  readonly cacheFolder: string
  /** Machines that somebody has switched off on purpose, for a failover for one: they are not started. */
  readonly leaveOff?: ReadonlySet<MachineRef>
  readonly onProgress?: (note: string) => void
  readonly signal?: AbortSignal
}

type LabDisk = Omit<GuestDisk, 'file'> & { readonly key: string }
const guests: readonly { readonly name: string; readonly disks: readonly LabDisk[] }[] = [
  { name: 'lab-web', disks: [{ key: 'vda', format: 'qcow2', bytes: GiB }] },
  {
    name: 'lab-db',
    disks: [
      { key: 'vda', format: 'qcow2', bytes: GiB },
      { key: 'vdb', format: 'raw', bytes: 256 * MiB },
    ],
  },
]
const memoryBytes = 128 * MiB
const bootDeadlineSeconds = 60
const answerSeconds = 180
const tools = [QEMU, 'qemu-img', 'qemu-storage-daemon', 'mke2fs']

const networks: readonly KvmNetwork[] = [
  { id: 'prod', name: 'Production', kind: 'user', isolated: false, probePorts: [80] },
  { id: 'isolated', name: 'Isolated', kind: 'user', isolated: true, probePorts: [80] },
]

/** Why this computer cannot have a lab, or null. Quick. */
export async function findLabObstacle(): Promise<Refusal | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return new Refusal({
      code: 'lab/wrong-system',
      message: 'The lab needs Linux on an x86-64 computer, with the packages of Debian or Ubuntu',
      remedy: 'Start Understudy on such a computer, or register sites of your own.',
    })
  for (const tool of tools) if (!(await isInstalled(tool))) return missingTool(tool)
  return null
}

/**
 * Makes the lab and starts its machines, or goes on where an earlier call stopped: what is there is kept. Takes about a
 * minute the first time, seconds afterwards. A machine that has been failed over is not started again at its first site.
 * Resolves when the machines that were started answer.
 */
export async function createLab(options: LabOptions): Promise<Lab> {
  const { folder, signal, onProgress = () => undefined } = options
  const obstacle = await findLabObstacle()
  if (obstacle !== null) throw obstacle
  const sites = labSites(folder)
  for (const { settings } of sites) await makeFolders(settings)

  const base = await buildGuestBase({ cacheFolder: options.cacheFolder, onProgress, ...withSignal(signal) })
  const host = hostOf(sites[0])
  const machines: LabMachine[] = []
  for (const guest of guests) {
    signal?.throwIfAborted()
    onProgress(`Making ${guest.name}`)
    machines.push(await makeGuest(host, guest, base, signal))
  }
  const started: RunMachine[] = []
  for (const { name, ref } of machines) {
    if (options.leaveOff?.has(ref)) continue
    const machine = await startGuest(host, hostOf(sites[1]), name, signal)
    if (machine !== null) started.push(machine)
  }
  for (const machine of started) {
    onProgress(`Waiting until ${machine.name} answers`)
    await waitForAnswer(machine, signal)
  }
  return { sites, machines }
}

/** The machines of the first site as they are now; none when there is no lab. Quick. */
export async function loadLabMachines({
  folder,
}: Pick<LabOptions, 'folder'>): Promise<readonly LabMachine[]> {
  const host = hostOf(labSites(folder)[0])
  const machines = await Promise.all(
    guests.map(({ name }) => loadRunMachine(host, join(host.machinesFolder, name))),
  )
  return machines.flatMap((machine) => (machine === null ? [] : toLabMachine(machine)))
}

/** Ends every machine of both sites and removes the lab's folder; the cache stays. Repeatable. */
export async function destroyLab({ folder }: Pick<LabOptions, 'folder'>): Promise<void> {
  for (const site of labSites(folder)) {
    const host = hostOf(site)
    for (const { name, kind } of await host.list(host.machinesFolder)) {
      const machine = kind === 'folder' ? await loadRunMachine(host, join(host.machinesFolder, name)) : null
      if (machine !== null) await endProcess(machine)
    }
  }
  await rm(folder, { recursive: true, force: true })
}

export const labSites = (folder: string): readonly [LabSite, LabSite] => [
  labSite('Lab site A', join(folder, 'site-a')),
  labSite('Lab site B', join(folder, 'site-b')),
]

function labSite(name: string, folder: string): LabSite {
  const host = {
    name: `${name} host`,
    address: { kind: 'local' as const },
    machinesFolder: join(folder, 'machines'),
  }
  const replicaFolder = join(folder, 'replicas')
  return {
    name,
    settings: {
      adapter: 'qmp',
      hosts: [host],
      accelerator: 'tcg',
      bootDeadlineSeconds,
      networks,
      replicaFolder,
    },
  }
}

async function makeFolders({ hosts, replicaFolder }: KvmSettings): Promise<void> {
  for (const { machinesFolder } of hosts) await mkdir(machinesFolder, { recursive: true })
  if (replicaFolder !== undefined) await mkdir(replicaFolder, { recursive: true })
}

function hostOf({ settings, name }: LabSite): Host {
  const [host] = settings.hosts
  return localHost({ name, machinesFolder: host?.machinesFolder ?? '' })
}

const withSignal = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })

type Guest = (typeof guests)[number]

/** The definition comes last: with it, the machine is whole. */
async function makeGuest(
  host: Host,
  guest: Guest,
  base: GuestBase,
  signal: AbortSignal | undefined,
): Promise<LabMachine> {
  const folder = join(host.machinesFolder, guest.name)
  const existing = await loadRunMachine(host, folder)
  if (existing !== null) return toLabMachine(existing)
  const disks = guest.disks.map((disk) => ({ ...disk, file: join(folder, fileOf(disk)) }))
  await makeGuestDisks(base, { name: guest.name, disks }, signal)
  const others = await machineDirectory([host], () => undefined).all(signal)
  const takePort = await chooseFreePorts(host, others)
  const definition = guestDefinition(host, guest, takePort())
  await saveMachineDefinition(host, folder, definition)
  return toLabMachine({ name: guest.name, ref: definition.ref, definition })
}

const fileOf = ({ key, format }: LabDisk): string => `${key}.${format}`

function guestDefinition(host: Host, guest: Guest, hostPort: number): MachineDefinition {
  const digest = createHash('sha256').update(`${host.machinesFolder}/${guest.name}`).digest('hex')
  const macAddress = `52:54:00:${digest.slice(0, 2)}:${digest.slice(2, 4)}:${digest.slice(4, 6)}`
  return {
    version: 1,
    ref: randomUUID() as MachineRef,
    name: guest.name,
    cpus: 1,
    memoryBytes,
    firmware: 'bios',
    disks: guest.disks.map((disk, index) => ({
      key: disk.key as DiskKey,
      label: index === 0 ? 'system' : 'database',
      file: fileOf(disk),
      format: disk.format,
      bus: 'virtio',
      boot: index === 0,
      bytes: disk.bytes,
    })),
    adapters: [
      {
        key: 'nic0',
        macAddress,
        networkId: 'prod',
        model: 'virtio-net-pci',
        kind: 'user',
        restrict: false,
        forwards: [{ guestPort: 80, hostPort }],
      },
    ],
    guestAgent: true,
    accelerator: 'tcg',
    ownedBy: null,
  }
}

const toLabMachine = ({
  name,
  ref,
  definition,
}: Pick<RunMachine, 'name' | 'ref' | 'definition'>): LabMachine => ({
  name,
  ref,
  addresses: definition.adapters.flatMap(({ forwards }) =>
    forwards.map(({ hostPort }) => `http://127.0.0.1:${hostPort}`),
  ),
})

/** Null when its place has been taken at the other site: two live copies of one machine would diverge. */
async function startGuest(
  host: Host,
  otherHost: Host,
  name: string,
  signal: AbortSignal | undefined,
): Promise<RunMachine | null> {
  const machine = await loadRunMachine(host, join(host.machinesFolder, name))
  if (machine === null || (await isFailedOver(otherHost, name))) return null
  await startMachine(machine, { bootDeadlineSeconds, signal })
  return machine
}

async function isFailedOver(otherHost: Host, name: string): Promise<boolean> {
  for (const entry of await otherHost.list(otherHost.machinesFolder)) {
    if (entry.kind !== 'folder') continue
    const folder = join(otherHost.machinesFolder, entry.name)
    const machine: Pick<MachineLocation, 'name'> | null = await loadRunMachine(otherHost, folder)
    const record = await loadRunRecord(otherHost, folder)
    if (machine?.name.startsWith(name) && record?.mode === 'failover') return true
  }
  return false
}

async function waitForAnswer(machine: RunMachine, signal: AbortSignal | undefined): Promise<void> {
  const deadline = performance.now() + answerSeconds * 1000
  for (;;) {
    const { addresses, note } = await probeMachine(machine, signal)
    if (addresses.length > 0) return
    if (performance.now() > deadline)
      throw new Outage({
        code: 'lab/no-answer',
        message: `${machine.name} did not answer within ${answerSeconds} s: ${note}`,
        remedy: 'This computer may be too busy; create the lab again, it goes on where it stopped.',
      })
    await sleep(200, undefined, withSignal(signal))
  }
}
