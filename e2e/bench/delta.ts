// npm run bench:delta [-- --quick]. What a cycle costs after the first one: bytes moved for scattered small writes, a cycle
// that finds nothing, and cycles every 5 s of a real Linux guest that writes to two disks as fast as it can.
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GiB, KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { connectGuestAgent } from '@understudy/drivers/kvm/guest-agent'
import { buildGuestBase, makeGuestDisks } from '@understudy/drivers/kvm/lab/guest-image'
import { type MachineLocation, withMonitor } from '@understudy/drivers/kvm/monitor'
import { startMachine } from '@understudy/drivers/kvm/power'
import type { Replica } from '@understudy/engine/ports/replica-store'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { openJournalStore } from '@understudy/journal/journal-store'
import { median, newBars, quantile } from './bars.ts'
import {
  type BenchSite,
  guestCacheFolder,
  installTools,
  mebibytes,
  millisecondsOf,
  openSite,
  openSource,
  run,
  withFolder,
} from './bench-site.ts'
import { withCleanUp } from './clean-up.ts'
import { runOneCycle, trackingId } from './mover.ts'

const isQuick = process.argv.includes('--quick')
const smallWrites = 300
const deltaRounds = isQuick ? 3 : 7
const idleCycles = isQuick ? 15 : 60
const pairs = isQuick ? 2 : 5
const intervalSeconds = 5
const cyclesPerWindow = isQuick ? 1 : 2
const agentDeadlineSeconds = 120
/** A quarter of a MiB at a time, in 4 KiB blocks, anywhere in 32 MiB of a file on either disk, each made durable. */
const writer = `
  dd if=/dev/urandom of=/run/noise bs=64k count=4 2>/dev/null
  for file in /var/log/bench /database/bench; do
    (while :; do
      dd if=/run/noise of=$file bs=4k count=64 seek=$((RANDOM % 128 * 64)) conv=notrunc,fsync 2>/dev/null
    done) &
  done`

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

const bars = newBars(isQuick ? 'delta-quick' : 'delta')

type Stage = { readonly folder: string; readonly site: BenchSite; readonly source: SourcePlatform }

installTools()
await withFolder(async (folder) => {
  const machinesFolder = join(folder, 'machines')
  const site = openSite(machinesFolder)
  const stage = { folder, site, source: openSource(machinesFolder) }
  await withCleanUp(
    () => site.close(),
    async () => {
      await measureSmallWrites(stage)
      await measureWritingGuest(stage)
    },
  )
})
await bars.finish()

async function measureSmallWrites({ folder, site, source }: Stage): Promise<void> {
  const machine = await site.addMachine('scattered', [{ key: 'disk', format: 'qcow2', bytes: 2 * GiB }])
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', join(machine.folder, 'disk.qcow2'), String(2 * GiB))
  await startMachine(machine, { bootDeadlineSeconds: 60 })
  const replica = await newReplica(folder, 'scattered')
  await runOneCycle(source, replica, machine.ref)
  const written = smallWrites * 4 * KiB
  const figures = { read: [] as number[], stored: [] as number[], time: [] as number[], idle: [] as number[] }
  for (let round = 0; round < deltaRounds; round += 1) {
    await writeScattered(machine)
    const startedAt = performance.now()
    const { summary, point } = await runOneCycle(source, replica, machine.ref)
    figures.time.push(performance.now() - startedAt)
    if (summary.kind !== 'delta') throw new Error(`A cycle was no delta: ${summary.reason}`)
    figures.read.push(summary.readBytes / written)
    figures.stored.push(point.storedBytes / written)
    for (let count = 0; count < idleCycles / deltaRounds; count += 1)
      figures.idle.push(
        await millisecondsOf(async () => {
          const idle = await runOneCycle(source, replica, machine.ref)
          if (idle.summary.kind !== 'idle') throw new Error('Something wrote to the disk meanwhile')
        }),
      )
  }
  await replica.close()
  // Nothing is compressed here, so what the journal keeps is what would go over a wire, headers and index included.
  bars.bar('delta-read', median(figures.read), 'x', { atMost: 1.2 })
  bars.bar('delta-stored', median(figures.stored), 'x', { atMost: 1.2 })
  bars.note('delta-cycle', median(figures.time), 'ms')
  bars.bar('idle-cycle', median(figures.idle), 'ms', { atMost: 50 })
  bars.note('idle-cycle-fastest', Math.min(...figures.idle), 'ms')
}

/** Through the device, as a guest would, no two at the same place. */
async function writeScattered(machine: MachineLocation): Promise<void> {
  const offsets = new Set<number>()
  while (offsets.size < smallWrites) offsets.add(randomInt((2 * GiB) / (4 * KiB)) * 4 * KiB)
  const device = '/machine/peripheral/dev-disk/virtio-backend'
  const commands = [...offsets].map((offset) => ({
    execute: 'human-monitor-command',
    arguments: {
      'command-line': `qemu-io -d ${device} "write -q -P ${randomInt(1, 255)} ${offset} 4k"`,
    },
  }))
  await withMonitor(machine, (qmp) => qmp.batch(commands))
}

/** Two disks, one of them qcow2 and one raw; the guest writes to both without a pause. */
async function measureWritingGuest(stage: Stage): Promise<void> {
  const machine = await startWritingGuest(stage.site)
  await startWriters(machine)
  const ratios: number[] = []
  const cycles: { milliseconds: number; changedBytes: number; pauseMilliseconds: number }[] = []
  let before = await writeRate(machine, intervalSeconds * cyclesPerWindow)
  bars.note('guest-writes-undisturbed', mebibytes(before), 'MiB/s')
  for (let pair = 0; pair < pairs; pair += 1) {
    const replica = await newReplica(stage.folder, `writing-${pair}`)
    await runOneCycle(stage.source, replica, machine.ref)
    const during = await writeRate(machine, intervalSeconds * cyclesPerWindow, async () => {
      cycles.push(await timedCycle(stage.source, replica, machine))
    })
    await replica.close()
    // Without its bitmaps too, or their cost would be part of both sides.
    await stage.source.stopTracking(machine.ref, trackingId)
    const after = await writeRate(machine, intervalSeconds * cyclesPerWindow)
    ratios.push(during / ((before + after) / 2))
    before = after
  }
  const times = cycles.map(({ milliseconds }) => milliseconds / 1000)
  bars.note('writing-guest-moved', mebibytes(median(cycles.map(({ changedBytes }) => changedBytes))), 'MiB')
  bars.note('writing-guest-pause', median(cycles.map(({ pauseMilliseconds }) => pauseMilliseconds)), 'ms')
  bars.bar('writing-guest-cycle', median(times), 's', { atMost: intervalSeconds })
  bars.note('writing-guest-slowest-cycle', quantile(times, 1), 's')
  bars.bar('writing-guest-speed-kept', median(ratios), 'x', { atLeast: 0.7 })
}

async function startWritingGuest(site: BenchSite): Promise<MachineLocation> {
  const shape = [
    { key: 'vda', format: 'qcow2', bytes: 256 * MiB },
    { key: 'vdb', format: 'raw', bytes: 256 * MiB },
  ] as const
  const machine = await site.addMachine('writing', shape, { memoryBytes: 128 * MiB, guestAgent: true })
  const base = await buildGuestBase({ cacheFolder: guestCacheFolder })
  const disks = shape.map((disk) => ({ ...disk, file: join(machine.folder, `${disk.key}.${disk.format}`) }))
  await makeGuestDisks(base, { name: 'lab-db', disks })
  await startMachine(machine, { bootDeadlineSeconds: 60 })
  return machine
}

async function startWriters(machine: MachineLocation): Promise<void> {
  const deadline = performance.now() + agentDeadlineSeconds * 1000
  for (;;) {
    try {
      const path = present(machine.agentPath, 'the machine has an agent')
      const agent = await connectGuestAgent(() => machine.host.connect(path), { name: machine.name })
      try {
        await agent.call('guest-exec', { path: '/bin/sh', arg: ['-c', writer] })
        return await untilWriting(machine, deadline)
      } finally {
        agent.close()
      }
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(200)
    }
  }
}

/** On both disks, once their files have their full length. */
async function untilWriting(machine: MachineLocation, deadline: number): Promise<void> {
  while ((await writtenBytes(machine)).some((bytes) => bytes < 8 * MiB)) {
    if (performance.now() > deadline) throw new Error('The guest does not write')
    await sleep(200)
  }
}

/** By disk, as QEMU counts it. */
async function writtenBytes(machine: MachineLocation): Promise<readonly number[]> {
  type Stats = { readonly qdev?: string; readonly stats: { readonly wr_bytes: number } }
  const all = await withMonitor(machine, (qmp) => qmp.execute<readonly Stats[]>('query-blockstats'))
  return all.filter(({ qdev }) => qdev !== undefined).map(({ stats }) => stats.wr_bytes)
}

/** Bytes a second over the window; `work` runs at the beginning of every interval. */
async function writeRate(
  machine: MachineLocation,
  seconds: number,
  work: () => Promise<void> = async () => undefined,
): Promise<number> {
  const startedAt = performance.now()
  const before = sum(await writtenBytes(machine))
  for (let next = 0; next < seconds; next += intervalSeconds) {
    await work()
    await sleep(Math.max(0, startedAt + (next + intervalSeconds) * 1000 - performance.now()))
  }
  const written = sum(await writtenBytes(machine)) - before
  return written / ((performance.now() - startedAt) / 1000)
}

async function timedCycle(source: SourcePlatform, replica: Replica, machine: MachineLocation) {
  const startedAt = performance.now()
  const { summary } = await runOneCycle(source, replica, machine.ref)
  const { changedBytes, pauseMilliseconds } = summary
  return { milliseconds: performance.now() - startedAt, changedBytes, pauseMilliseconds }
}

async function newReplica(folder: string, name: string): Promise<Replica> {
  const store = openJournalStore({ folder: join(folder, 'replicas'), clock: { now: () => Date.now() } })
  const id = name as ReplicaId
  await store.createReplica({ id, machineName: name, compress: false, encrypt: false })
  return store.openReplica(id, 1)
}
