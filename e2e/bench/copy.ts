// npm run bench:copy [-- --quick | --rounds=N]. The first copy of a machine: 2 GiB, a quarter allocated, through the engine's own cycle
// into the journal, beside nbdcopy and virtnbdbackup on equal disks, turn by turn. And the mover's memory, also for 1 TiB.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GiB, MiB, TiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { compareDisks } from '@understudy/block/compare'
import { openFileReader } from '@understudy/block/file-device'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { type MachineLocation, withMonitor } from '@understudy/drivers/kvm/monitor'
import { exportSocketPath, startNbdServer } from '@understudy/drivers/kvm/nbd-server'
import { startMachine } from '@understudy/drivers/kvm/power'
import { openJournalStore } from '@understudy/journal/journal-store'
import { median, newBars, numberOption } from './bars.ts'
import {
  installTools,
  makeNoisyDisk,
  mebibytes,
  millisecondsOf,
  openSite,
  run,
  settleDisks,
  toQcow2,
  withFolder,
} from './bench-site.ts'
import { withCleanUp } from './clean-up.ts'
import type { MoverOrder, MoverReport } from './mover.ts'
import { type PrivateLibvirt, startPrivateLibvirt } from './private-libvirt.ts'

const isQuick = process.argv.includes('--quick')
const rounds = numberOption('rounds', isQuick ? 3 : 7)
const shape = { bytes: 2 * GiB, runBytes: 4 * MiB, strideBytes: 16 * MiB }
const dataBytes = (shape.bytes / shape.strideBytes) * shape.runBytes
const hugeRuns = isQuick ? 64 : 512
const huge = { bytes: TiB, runBytes: MiB, strideBytes: TiB / hugeRuns }

const bars = newBars(isQuick ? 'copy-quick' : 'copy')
const wanted = {
  nbdcopy: { atLeast: 0.67 },
  virtnbdbackup: { atLeast: 4 },
  memory: { atMost: 512 },
} as const

type Mover = {
  seed(order: MoverOrder): Promise<{ milliseconds: number; storedBytes: number; peakBytes: number }>
  close(): void
}

installTools()
await withFolder(async (folder) => {
  const machinesFolder = join(folder, 'machines')
  const site = openSite(machinesFolder)
  await withCleanUp(
    () => site.close(),
    async () => {
      await compareSpeeds(folder, site)
      await measureHuge(folder, site)
    },
  )
})
await bars.finish()

async function compareSpeeds(folder: string, site: ReturnType<typeof openSite>): Promise<void> {
  const machine = await site.addMachine('plain', [{ key: 'disk', format: 'qcow2', bytes: shape.bytes }])
  const image = join(machine.folder, 'disk.qcow2')
  const content = join(folder, 'content.raw')
  await makeNoisyDisk(content, shape)
  await toQcow2(content, image)
  const libvirt = await openPeer(folder, image)
  await startMachine(machine, { bootDeadlineSeconds: 60 })
  const mover = startMover()
  const times = { ours: [] as number[], nbdcopy: [] as number[], virtnbdbackup: [] as number[] }
  let peakBytes = 0
  const close = async (): Promise<void> => {
    mover.close()
    if (libvirt.kind === 'open') await libvirt.peer.close()
  }
  await withCleanUp(close, async () => {
    for (let round = 0; round < rounds; round += 1) {
      times.nbdcopy.push(await timeNbdcopy(folder, machine))
      const seeded = await timeOurs(folder, machine, mover, round === 0 ? content : null)
      times.ours.push(seeded.milliseconds)
      peakBytes = Math.max(peakBytes, seeded.peakBytes)
      if (libvirt.kind === 'open') times.virtnbdbackup.push(await timeVirtnbdbackup(folder, libvirt.peer))
    }
  })
  const rate = (milliseconds: readonly number[]): number =>
    mebibytes(dataBytes) / (median(milliseconds) / 1000)
  // Neighbours in time are compared: what else this computer does, both have to bear.
  const ratio = (others: readonly number[]): number =>
    median(others.map((other, round) => other / present(times.ours[round], 'every round has all three')))
  bars.note('copy-ours', rate(times.ours), 'MiB/s')
  bars.note('copy-nbdcopy', rate(times.nbdcopy), 'MiB/s')
  bars.bar('copy-to-nbdcopy', ratio(times.nbdcopy), 'x', wanted.nbdcopy)
  if (libvirt.kind === 'open') {
    bars.note('copy-virtnbdbackup', rate(times.virtnbdbackup), 'MiB/s')
    // nbdcopy keeps nothing but the bytes: what it cannot reach against virtnbdbackup here, no copy to this medium can.
    const reachable = times.virtnbdbackup.map(
      (other, round) => other / present(times.nbdcopy[round], 'a time'),
    )
    bars.note('nbdcopy-to-virtnbdbackup', median(reachable), 'x')
    bars.bar('copy-to-virtnbdbackup', ratio(times.virtnbdbackup), 'x', wanted.virtnbdbackup)
  } else bars.notMeasured('copy-to-virtnbdbackup', 'x', wanted.virtnbdbackup, libvirt.reason)
  bars.bar('copy-memory', mebibytes(peakBytes), 'MiB', wanted.memory)
}

/** The mover's whole peak, from its start to the sealed point. */
async function measureHuge(folder: string, site: ReturnType<typeof openSite>): Promise<void> {
  const machine = await site.addMachine('huge', [{ key: 'disk', format: 'raw', bytes: huge.bytes }])
  await makeNoisyDisk(join(machine.folder, 'disk.raw'), huge)
  await startMachine(machine, { bootDeadlineSeconds: 60 })
  const mover = startMover()
  try {
    const { milliseconds, peakBytes } = await mover.seed(orderFor(folder, machine, 'huge'))
    bars.note('copy-1TiB-sparse', milliseconds / 1000, 's')
    bars.bar('copy-memory-1TiB-sparse', mebibytes(peakBytes), 'MiB', wanted.memory)
  } finally {
    mover.close()
  }
}

type Peer =
  | { readonly kind: 'open'; readonly peer: PrivateLibvirt }
  | { readonly kind: 'missing'; readonly reason: string }

/** An equal disk of its own for virtnbdbackup. Where it cannot be had, its bar is short and says why. */
async function openPeer(folder: string, image: string): Promise<Peer> {
  try {
    installTools('virtnbdbackup')
    await mkdir(join(folder, 'libvirt'))
    const disk = join(folder, 'libvirt', 'disk.qcow2')
    await copyFile(image, disk)
    const peer = await startPrivateLibvirt(join(folder, 'libvirt'))
    try {
      await peer.startDomain('peer', disk)
      return { kind: 'open', peer }
    } catch (error) {
      await peer.close()
      throw error
    }
  } catch (error) {
    return { kind: 'missing', reason: String(error) }
  }
}

/** The same QEMU shows it the same disk, without our snapshot below: the most favourable there is. */
async function timeNbdcopy(folder: string, machine: MachineLocation): Promise<number> {
  const target = join(folder, 'nbdcopy.raw')
  await withMonitor(machine, async (qmp) => {
    await startNbdServer(qmp, machine)
    await qmp.execute('block-export-add', {
      type: 'nbd',
      id: 'bench',
      'node-name': 'disk-disk',
      name: 'bench',
    })
  })
  await settleDisks()
  const uri = `nbd+unix:///bench?socket=${exportSocketPath(machine)}`
  const milliseconds = await millisecondsOf(() => run('nbdcopy', '--flush', uri, target))
  await withMonitor(machine, (qmp) => qmp.execute('block-export-del', { id: 'bench', mode: 'hard' }))
  await rm(target)
  return milliseconds
}

/** From opening the point at the source to the durable seal and the source's release of it. */
async function timeOurs(folder: string, machine: MachineLocation, mover: Mover, content: string | null) {
  const order = orderFor(folder, machine, 'plain')
  await settleDisks()
  const seeded = await mover.seed(order)
  if (content !== null) await mustEqual(order, content)
  await rm(order.replicasFolder, { recursive: true })
  return seeded
}

function orderFor(folder: string, machine: MachineLocation, id: string): MoverOrder {
  return {
    machinesFolder: join(folder, 'machines'),
    replicasFolder: join(folder, 'replicas'),
    ref: machine.ref,
    replicaId: id as ReplicaId,
    // As the product's own policies say.
    compress: true,
  }
}

/** A fast copy of the wrong bytes is worth nothing. */
async function mustEqual({ replicasFolder, replicaId }: MoverOrder, content: string): Promise<void> {
  const store = openJournalStore({ folder: replicasFolder, clock: { now: () => Date.now() } })
  const replica = await store.openReplica(replicaId, null)
  const point = await replica.openPoint(present(replica.points().at(-1), 'the sealed point').id)
  const file = await openFileReader(content)
  try {
    const copy = present(point.disks[0], 'its disk').reader
    for await (const { offset } of compareDisks(copy, file))
      throw new Error(`The replica differs from the disk at ${offset}`)
  } finally {
    await file.close()
    await point.close()
    await replica.close()
  }
}

/**
 * As its manual shows it, with its own defaults: one worker a disk, no compression. `copy` is a full backup without a checkpoint,
 * which leaves out work that ours includes; and it does not wait until the medium has anything.
 */
async function timeVirtnbdbackup(folder: string, peer: PrivateLibvirt): Promise<number> {
  const target = join(folder, 'virtnbdbackup')
  await settleDisks()
  const milliseconds = await millisecondsOf(() =>
    peer.run('virtnbdbackup', '-d', 'peer', '-l', 'copy', '-o', target),
  )
  await rm(target, { recursive: true })
  return milliseconds
}

function startMover(): Mover {
  const child = fork(fileURLToPath(new URL('./mover.ts', import.meta.url)))
  return {
    async seed(order) {
      child.send(order)
      const [report]: MoverReport[] = await Promise.race([
        once(child, 'message'),
        once(child, 'exit').then(() => [{ failure: 'The mover ended' }]),
      ])
      const answer = present(report, 'a mover reports')
      if ('failure' in answer) throw new Error(answer.failure)
      return answer
    },
    close: () => void child.kill(),
  }
}
