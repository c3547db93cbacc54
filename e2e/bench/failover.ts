// npm run bench:failover [-- --quick]. From the click to the guest's own answer over HTTP, for small and huge disks, with few
// and with thousands of recovery points, beside the same guest's cold boot from a plain disk, turn by turn.
//
// The click is the engine's last step before the platform: the replica is opened in the journal, the newest point in it, and
// the KVM target boots from it. The API and its job queue stand before that; what they add is in the first-failover test.
import { once } from 'node:events'
import { copyFile, rm, truncate } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GiB, KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { openFileReader } from '@understudy/block/file-device'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, MachineHardware } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointFacts } from '@understudy/domain/recovery-points/recovery-point'
import { buildGuestBase, makeGuestDisks } from '@understudy/drivers/kvm/lab/guest-image'
import { localHost } from '@understudy/drivers/kvm/local-host'
import { machineDirectory } from '@understudy/drivers/kvm/machine-directory'
import { endProcess, startMachine } from '@understudy/drivers/kvm/power'
import { probeMachine } from '@understudy/drivers/kvm/probe'
import { loadRunMachine } from '@understudy/drivers/kvm/runs'
import { kvmTarget } from '@understudy/drivers/kvm/target'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import { diskFileSystem } from '@understudy/journal/disk-file-system'
import { openJournalStore } from '@understudy/journal/journal-store'
import { median, newBars } from './bars.ts'
import { guestCacheFolder, installTools, openSite, withFolder } from './bench-site.ts'

const isQuick = process.argv.includes('--quick')
const rounds = isQuick ? 3 : 5
const guestBytes = 128 * MiB
const answerSeconds = 180
const diskKey = 'vda' as DiskKey
const all = [
  { name: '2GiB-50', bytes: 2 * GiB, points: 50 },
  { name: '2GiB-5000', bytes: 2 * GiB, points: 5_000 },
  { name: '200GiB-50', bytes: 200 * GiB, points: 50 },
  { name: '200GiB-5000', bytes: 200 * GiB, points: 5_000 },
] as const
type Variant = (typeof all)[number]
/** When it must be quick, the two ends, which differ most. */
const variants: readonly Variant[] = isQuick ? [all[0], all[3]] : all

const settings = {
  networks: [{ id: 'net', name: 'Bench', kind: 'user' as const, isolated: true, probePorts: [80] }],
  accelerator: 'tcg' as const,
  bootDeadlineSeconds: 120,
}
const hardware: MachineHardware = {
  cpus: 1,
  memoryBytes: 128 * MiB,
  firmware: 'bios',
  disks: [],
  adapters: [{ key: 'nic0', macAddress: '52:54:00:12:34:56', networkId: 'net', model: 'virtio-net-pci' }],
}
const facts: PointFacts = {
  instant: Date.now(),
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: null,
  cycle: 'delta',
}

const bars = newBars(isQuick ? 'failover-quick' : 'failover')
installTools()
await withFolder(async (folder) => {
  const image = await makeGuest(folder)
  for (const variant of variants) await makeReplica(folder, image, variant)
  const cold: number[] = []
  const answers = new Map(variants.map(({ name }) => [name, [] as Failover[]]))
  for (let round = 0; round < rounds; round += 1) {
    cold.push(await coldBoot(folder, image, round))
    for (const variant of variants)
      present(answers.get(variant.name), 'every variant has a list').push(
        await failOver(folder, variant, round),
      )
  }
  judge(cold, answers)
})
await bars.finish()

type Failover = {
  readonly openedSeconds: number
  readonly bootedSeconds: number
  readonly answeredSeconds: number
}

function judge(cold: readonly number[], answers: ReadonlyMap<string, readonly Failover[]>): void {
  bars.note('failover-cold-boot', median(cold), 's')
  const medians: number[] = []
  for (const [name, runs] of answers) {
    bars.note(`failover-${name}-point-open`, median(runs.map(({ openedSeconds }) => openedSeconds)), 's')
    bars.note(`failover-${name}-guest-begins`, median(runs.map(({ bootedSeconds }) => bootedSeconds)), 's')
    const answered = median(runs.map(({ answeredSeconds }) => answeredSeconds))
    medians.push(answered)
    bars.note(`failover-${name}-answers`, answered, 's')
  }
  bars.bar('failover-beyond-cold-boot', Math.max(...medians) - median(cold), 's', { atMost: 60 })
  bars.bar('failover-slowest-to-fastest', Math.max(...medians) / Math.min(...medians), 'x', { atMost: 1.2 })
}

async function makeGuest(folder: string): Promise<string> {
  const base = await buildGuestBase({ cacheFolder: guestCacheFolder })
  const file = join(folder, 'guest.raw')
  await makeGuestDisks(base, { name: 'lab-web', disks: [{ file, format: 'raw', bytes: guestBytes }] })
  return file
}

function openStore(folder: string, fs?: FileSystem): ReplicaStore {
  return openJournalStore({
    folder: join(folder, 'replicas'),
    clock: { now: () => Date.now() },
    ...(fs === undefined ? {} : { fs }),
  })
}

/** The guest at the beginning of the disk; behind it every point changes three blocks somewhere. */
async function makeReplica(folder: string, image: string, variant: Variant): Promise<void> {
  const startedAt = performance.now()
  // What the syncs protect against does not happen here, and nothing that is measured afterwards differs.
  const store = openStore(folder, withoutSyncs(diskFileSystem()))
  const id = variant.name as ReplicaId
  await store.createReplica({ id, machineName: variant.name, compress: true, encrypt: false })
  const replica = await store.openReplica(id, 1)
  const disks = [{ key: diskKey, bytes: variant.bytes }]
  const content = await openFileReader(image)
  const block = Buffer.alloc(4 * KiB, variant.name)
  for (let count = 0; count < variant.points; count += 1) {
    const writer = await replica.beginPoint(replica.points().at(-1)?.id ?? null, disks)
    if (count === 0)
      for (let offset = 0; offset < guestBytes; offset += MiB)
        await writer.write(diskKey, offset, await content.read(offset, MiB))
    for (let change = 0; change < 3; change += 1) {
      const share = ((count * 3 + change) * 0.6180339887) % 1
      const grains = (variant.bytes - guestBytes) / block.length
      await writer.write(diskKey, guestBytes + Math.floor(share * grains) * block.length, block)
    }
    await writer.seal({ ...facts, instant: facts.instant + count })
  }
  await content.close()
  await replica.close()
  bars.note(`failover-${variant.name}-set-up`, (performance.now() - startedAt) / 1000, 's')
}

async function failOver(folder: string, variant: Variant, round: number): Promise<Failover> {
  const machinesFolder = join(folder, 'target')
  const hosts = [localHost({ name: 'target', machinesFolder })]
  await hosts[0]?.makeFolder(machinesFolder)
  const directory = machineDirectory(hosts, () => undefined)
  const target = kvmTarget({ hosts, directory, settings })
  const runId = `${variant.name}-${round}`.toLowerCase() as RunId

  const clickedAt = performance.now()
  const secondsNow = (): number => (performance.now() - clickedAt) / 1000
  const replica = await openStore(folder).openReplica(variant.name as ReplicaId, null)
  const points = replica.points()
  if (points.length !== variant.points) throw new Error(`There are ${points.length} points`)
  const point = await replica.openPoint(present(points.at(-1), 'the newest point').id)
  const openedSeconds = secondsNow()
  try {
    const { ref } = await target.boot({
      runId,
      name: 'bench',
      mode: 'failover',
      hardware,
      disks: point.disks.map((disk) => ({ ...disk, boot: true })),
      networks: new Map([['nic0', 'net']]),
      trackingId: 'bench',
    })
    const bootedSeconds = secondsNow()
    await untilAnswered(() => target.probe(ref))
    return { openedSeconds, bootedSeconds, answeredSeconds: secondsNow() }
  } finally {
    await target.destroy(runId)
    await target.close()
    await point.close()
    await replica.close()
  }
}

/** The same guest on a plain file of the smaller size. */
async function coldBoot(folder: string, image: string, round: number): Promise<number> {
  const machinesFolder = join(folder, 'cold')
  const site = openSite(machinesFolder)
  const shape = { key: 'vda', format: 'raw', bytes: 2 * GiB } as const
  const machine = await site.addMachine(`cold-${round}`, [shape], {
    memoryBytes: hardware.memoryBytes,
    adapters: [
      {
        key: 'nic0',
        macAddress: '52:54:00:12:34:56',
        networkId: 'net',
        model: 'virtio-net-pci',
        kind: 'user',
        restrict: true,
        forwards: [{ guestPort: 80, hostPort: await freePort() }],
      },
    ],
  })
  const disk = join(machine.folder, 'vda.raw')
  await copyFile(image, disk)
  await truncate(disk, shape.bytes)
  const found = present(await loadRunMachine(site.host, machine.folder), 'the machine was just made')
  try {
    const startedAt = performance.now()
    await startMachine(machine, { bootDeadlineSeconds: settings.bootDeadlineSeconds })
    await untilAnswered(() => probeMachine(found))
    return (performance.now() - startedAt) / 1000
  } finally {
    await endProcess(machine)
    await rm(machine.folder, { recursive: true })
  }
}

/** A connection proves nothing behind a forwarder: the guest's own bytes do. */
async function untilAnswered(
  probe: () => Promise<{ readonly answered: boolean; readonly note: string }>,
): Promise<void> {
  const deadline = performance.now() + answerSeconds * 1000
  for (;;) {
    const { answered, note } = await probe()
    if (answered) return
    if (performance.now() > deadline) throw new Error(`No answer within ${answerSeconds} s: ${note}`)
    await sleep(100)
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('A TCP server has a port')
  return address.port
}

function withoutSyncs(fs: FileSystem): FileSystem {
  const withoutSync = (handle: FileHandle): FileHandle => ({ ...handle, sync: async () => undefined })
  return {
    ...fs,
    syncFolder: async () => undefined,
    open: async (path, mode) => withoutSync(await fs.open(path, mode)),
  }
}
