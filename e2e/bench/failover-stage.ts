// What the failover bench clicks at: the product, a source site and a target site of real KVM, and one protection for every
// shape of disk and history. The guest lies at the beginning of every disk; behind it each point changes three blocks.
import { copyFile, mkdir, readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { GiB, KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { buildGuestBase, makeGuestDisks } from '@understudy/drivers/kvm/lab/guest-image'
import { localHost } from '@understudy/drivers/kvm/local-host'
import type { MachineDefinition } from '@understudy/drivers/kvm/machine-definition'
import { type MachineLocation, withMonitor } from '@understudy/drivers/kvm/monitor'
import { endProcess, startMachine } from '@understudy/drivers/kvm/power'
import { loadRunMachine, type RunMachine } from '@understudy/drivers/kvm/runs'
import { diskFileSystem } from '@understudy/journal/disk-file-system'
import { openJournalStore } from '@understudy/journal/journal-store'
import { until } from '../until.ts'
import { type Api, finishJob, listAll } from './api-client.ts'
import { type BenchSite, guestCacheFolder, openSite } from './bench-site.ts'

export const guestBytes = 128 * MiB
export const bootDeadlineSeconds = 120
const jobSeconds = 300
const diskKey = 'vda' as DiskKey

export const variants: readonly Variant[] = [
  { name: '2GiB-50', bytes: 2 * GiB, points: 50 },
  { name: '2GiB-5000', bytes: 2 * GiB, points: 5_000 },
  { name: '200GiB-50', bytes: 200 * GiB, points: 50 },
  { name: '200GiB-5000', bytes: 200 * GiB, points: 5_000 },
]
/** When it must be quick: the two ends, which differ most, with fewer points to make beforehand. */
export const quickVariants: readonly Variant[] = [
  { name: '2GiB-50', bytes: 2 * GiB, points: 50 },
  { name: '200GiB-1000', bytes: 200 * GiB, points: 1_000 },
]
export type Variant = { readonly name: string; readonly bytes: number; readonly points: number }

export type StageSites = {
  readonly source: BenchSite
  readonly folders: { readonly source: string; readonly target: string; readonly replicas: string }
  /** Ends every machine of both sites. */
  close(): Promise<void>
}
export type Stage = {
  /** Where the failed over machines come up. */
  readonly targetFolder: string
  readonly protections: ReadonlyMap<string, string>
}

type Identified = { readonly id: string }
type SeenMachine = Identified & { readonly name: string }

export function openStageSites(folder: string): StageSites {
  const folders = { source: join(folder, 'a'), target: join(folder, 'b'), replicas: join(folder, 'replicas') }
  const source = openSite(folders.source)
  return {
    source,
    folders,
    async close() {
      await source.close()
      for (const machine of await machinesIn(folders.target)) await endProcess(machine)
    },
  }
}

/** Resolves when every variant is protected and paused, has its points, and its source machine is gone. */
export async function prepareStage(
  api: Api,
  { source, folders }: StageSites,
  wanted: { readonly image: string; readonly variants: readonly Variant[] },
): Promise<Stage> {
  for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true })
  const started: MachineLocation[] = []
  for (const variant of wanted.variants) started.push(await startSource(source, wanted.image, variant))
  const protections = await protectAll(api, folders, wanted.variants)
  // The disaster: what the failover asks of the source is answered at once, and nothing of it can be read any more.
  for (const machine of started) await endProcess(machine)
  return { targetFolder: folders.target, protections }
}

export const userAdapter = (hostPort: number | null): MachineDefinition['adapters'][number] => ({
  key: 'nic0',
  macAddress: '52:54:00:12:34:56',
  networkId: 'net',
  model: 'virtio-net-pci',
  kind: 'user',
  restrict: true,
  forwards: hostPort === null ? [] : [{ guestPort: 80, hostPort }],
})

/** It stands still right after its start: every variant's guest comes up from the same blocks. */
async function startSource(site: BenchSite, image: string, variant: Variant): Promise<MachineLocation> {
  const shape = { key: diskKey, format: 'raw', bytes: variant.bytes } as const
  const machine = await site.addMachine(variant.name, [shape], {
    memoryBytes: guestBytes,
    adapters: [userAdapter(null)],
  })
  await placeGuest(image, machine.folder, variant.bytes)
  await startMachine(machine, { bootDeadlineSeconds })
  await withMonitor(machine, (qmp) => qmp.execute('stop'))
  return machine
}

/** A disk that boots and answers on port 80. */
export async function makeGuest(folder: string): Promise<string> {
  const base = await buildGuestBase({ cacheFolder: guestCacheFolder })
  const file = join(folder, 'guest.raw')
  await makeGuestDisks(base, { name: 'lab-web', disks: [{ file, format: 'raw', bytes: guestBytes }] })
  return file
}

export async function placeGuest(image: string, folder: string, bytes: number): Promise<void> {
  const disk = join(folder, `${diskKey}.raw`)
  await copyFile(image, disk)
  await truncate(disk, bytes)
}

async function protectAll(
  api: Api,
  folders: StageSites['folders'],
  wanted: readonly Variant[],
): Promise<ReadonlyMap<string, string>> {
  const source = await makeSite(api, 'bench source', folders.source, folders.replicas)
  const target = await makeSite(api, 'bench target', folders.target, folders.replicas)
  const policy = await api<Identified>('POST', '/policies', {
    name: 'bench',
    intervalSeconds: 86_400,
    lagTargetSeconds: 604_800,
    applicationConsistentEverySeconds: 0,
    retention: [{ everySeconds: 0, forSeconds: 31_536_000 }],
    compress: true,
    encrypt: false,
    priority: 5,
    rateLimitBytesPerSecond: 0,
    commitTimeoutSeconds: 0,
    uncommittedAction: 'commit',
  })
  const machines = await listAll<SeenMachine>(api, `/machines?siteId=${source.id}`)
  const protections = new Map<string, string>()
  for (const variant of wanted) {
    const machine = present(
      machines.find(({ name }) => name === variant.name),
      'the source site has the machine',
    )
    const before = await readdir(folders.replicas)
    const { protectionId, jobId } = await api<{ protectionId: string; jobId: string }>(
      'POST',
      '/protections',
      {
        machineId: machine.id,
        targetSiteId: target.id,
        policyId: policy.id,
        adapters: [{ adapterKey: 'nic0', failoverNetworkId: 'net', testNetworkId: 'net' }],
      },
    )
    await finishJob(api, jobId, jobSeconds)
    await untilState(api, protectionId, 'protected')
    await pause(api, protectionId)
    const [replica] = (await readdir(folders.replicas)).filter((name) => !before.includes(name))
    await addPoints(folders.replicas, present(replica, 'a protection has a replica'), variant)
    protections.set(variant.name, protectionId)
  }
  return protections
}

const makeSite = (
  api: Api,
  name: string,
  machinesFolder: string,
  replicaFolder: string,
): Promise<Identified> =>
  api<Identified>('POST', '/sites', {
    name,
    platform: 'kvm',
    settings: {
      adapter: 'qmp',
      hosts: [{ name: `${name} host`, address: { kind: 'local' }, machinesFolder }],
      accelerator: 'tcg',
      bootDeadlineSeconds,
      networks: [{ id: 'net', name: 'Bench', kind: 'user', isolated: true, probePorts: [80] }],
      replicaFolder,
    },
  })

export async function untilState(api: Api, id: string, state: string): Promise<void> {
  await until(`protection ${id} is ${state}`, jobSeconds, async () => {
    const found = await api<{ readonly state: string }>('GET', `/protections/${id}`)
    return found.state === state ? true : null
  })
}

export async function pause(api: Api, id: string): Promise<void> {
  await api('POST', `/protections/${id}/pause`)
  await untilState(api, id, 'paused')
}

/**
 * The history that days of cycles would have made, written with the journal's own writer while the protection is paused.
 * What the syncs protect against does not happen here, and nothing that is measured afterwards differs.
 */
async function addPoints(folder: string, replicaName: string, variant: Variant): Promise<void> {
  const id = replicaName as ReplicaId
  const store = openJournalStore({
    folder,
    clock: { now: () => Date.now() },
    fs: withoutSyncs(diskFileSystem()),
  })
  // As the owner that the server was until the pause; its next claim comes after this one.
  const epochs = (await readdir(join(folder, replicaName, 'epochs'))).map(Number)
  const replica = await store.openReplica(id, Math.max(...epochs))
  const block = Buffer.alloc(4 * KiB, variant.name)
  const disks = [{ key: diskKey, bytes: variant.bytes }]
  const grains = (variant.bytes - guestBytes) / block.length
  const seeded = present(replica.points().at(-1), 'the seed is a point')
  for (let count = 1; count < variant.points; count += 1) {
    const writer = await replica.beginPoint(replica.points().at(-1)?.id ?? null, disks)
    for (let change = 0; change < 3; change += 1) {
      const share = ((count * 3 + change) * 0.6180339887) % 1
      await writer.write(diskKey, guestBytes + Math.floor(share * grains) * block.length, block)
    }
    await writer.seal({
      instant: seeded.instant + count,
      consistency: 'crash',
      consistencyNote: null,
      checkpoint: null,
      cycle: 'delta',
    })
  }
  if (replica.points().length !== variant.points)
    throw new Error(`There are ${replica.points().length} points`)
  await replica.close()
}

function withoutSyncs(fs: FileSystem): FileSystem {
  const withoutSync = (handle: FileHandle): FileHandle => ({ ...handle, sync: async () => undefined })
  return {
    ...fs,
    syncFolder: async () => undefined,
    open: async (path, mode) => withoutSync(await fs.open(path, mode)),
  }
}

export async function machinesIn(folder: string): Promise<readonly RunMachine[]> {
  const host = localHost({ name: 'bench', machinesFolder: folder })
  const entries = (await host.list(folder)).filter(({ kind }) => kind === 'folder')
  const found = await Promise.all(entries.map(({ name }) => loadRunMachine(host, join(folder, name))))
  return found.filter((machine) => machine !== null)
}
