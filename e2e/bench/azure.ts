// npm run bench:azure [-- --mib=256 --rounds=3]. Replicas in Azure Storage, against the emulator on this computer: nothing here
// predicts Azure. What counts are ratios, to Microsoft's client writing the same bytes in the same run, and counts of bytes.
import { randomBytes } from 'node:crypto'
import { KiB, MiB, TiB } from '@understudy/base/bytes'
import { isZero } from '@understudy/block/zero-detection'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointDisk, PointFacts } from '@understudy/domain/recovery-points/recovery-point'
import { connectAzure } from '@understudy/drivers/azure/azure-calls'
import { replicaStoreOver } from '@understudy/drivers/azure/azure-store'
import { startEmulator } from '@understudy/drivers/azure/emulator/start-emulator'
import type { StorageCalls } from '@understudy/drivers/azure/storage-calls'
import type { PointWriter, Replica } from '@understudy/engine/ports/replica-store'
import { median, newBars, numberOption } from './bars.ts'

const mib = numberOption('mib', 256)
const rounds = numberOption('rounds', 3)
const bars = newBars('azure')
const id = 'bench' as ReplicaId
const key = 'a' as DiskKey
const facts: PointFacts = {
  instant: Date.now(),
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: null,
  cycle: 'seed',
}
/** Noise, so that nothing has anything to gain. */
const noise = randomBytes(4 * MiB)
const emulator = await startEmulator()
let containers = 0
let peakBytes = 0
const watch = setInterval(() => {
  peakBytes = Math.max(peakBytes, process.memoryUsage().rss)
}, 100)

type Sent = { bytes: number; zeroGrains: number }

/** Looking for zeros in what is sent takes time of the process that is measured: only where they are the question. */
async function openReplica(
  counts: 'bytes' | 'zeros too' = 'bytes',
): Promise<{ replica: Replica; sent: Sent }> {
  containers += 1
  const container = await emulator.makeContainer(`bench-${containers}`, 'azurite')
  const sent: Sent = { bytes: 0, zeroGrains: 0 }
  const calls = counting(await connectAzure(container), sent, counts === 'zeros too')
  const store = replicaStoreOver(async () => calls, { clock: { now: Date.now } })
  await store.createReplica({ id, machineName: 'bench', compress: false, encrypt: false })
  return { replica: await store.openReplica(id, 1), sent }
}

function counting(calls: StorageCalls, sent: Sent, lookForZeros: boolean): StorageCalls {
  const { putPages } = calls
  return {
    ...calls,
    putPages(name, at, signal) {
      sent.bytes += at.data.length
      if (lookForZeros && name.endsWith('.vhd'))
        for (let grain = 0; grain < at.data.length; grain += 4 * KiB)
          if (isZero(at.data.subarray(grain, grain + 4 * KiB))) sent.zeroGrains += 1
      return putPages(name, at, signal)
    },
  }
}

const begin = (replica: Replica, disks: readonly PointDisk[]): Promise<PointWriter> =>
  replica.beginPoint(replica.points().at(-1)?.id ?? null, disks)

/** As a cycle copies: pieces of 256 KiB, sixteen at a time. */
async function copyTo(writer: PointWriter, bytes: number, from = 0): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < bytes) {
      const at = next
      next += 256 * KiB
      await writer.write(key, from + at, noise.subarray(at % (4 * MiB), (at % (4 * MiB)) + 256 * KiB))
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}

async function uploadPlainly(bytes: number): Promise<void> {
  containers += 1
  const container = await emulator.makeContainer(`bench-${containers}`, 'azurite')
  const blob = emulator.client(container).getPageBlobClient('plain.vhd')
  await blob.create(bytes)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < bytes) {
      const at = next
      next += 4 * MiB
      await blob.uploadPages(noise, at, 4 * MiB)
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

async function benchFullCopy(): Promise<void> {
  const [ours, plain]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    plain.push(await secondsOf(() => uploadPlainly(mib * MiB)))
    const { replica } = await openReplica()
    ours.push(
      await secondsOf(async () => {
        const writer = await begin(replica, [{ key, bytes: mib * MiB }])
        await copyTo(writer, mib * MiB)
        await writer.seal(facts)
      }),
    )
  }
  bars.note('azure-full-copy-rate', mib / median(ours), 'MiB/s')
  bars.bar('azure-full-copy-ratio', median(plain) / median(ours), 'x', { atLeast: 0.8 })
}

async function benchDelta(): Promise<void> {
  const { replica, sent } = await openReplica()
  const disks = [{ key, bytes: 10 * 1024 * MiB }]
  await (await begin(replica, disks)).seal(facts)
  const grains = new Set<number>()
  while (grains.size < 300) grains.add(Math.floor(Math.random() * 10 * 256 * 1024))
  const writer = await begin(replica, disks)
  sent.bytes = 0
  const seconds = await secondsOf(async () => {
    for (const grain of grains) await writer.write(key, grain * 4 * KiB, noise.subarray(0, 4 * KiB))
    await writer.seal(facts)
  })
  bars.note('azure-delta-300-time', seconds * 1000, 'ms')
  bars.bar('azure-delta-300-bytes', sent.bytes / (grains.size * 4 * KiB), 'x', { atMost: 1.2 })
}

async function benchSparse(): Promise<void> {
  const { replica, sent } = await openReplica('zeros too')
  const writer = await begin(replica, [{ key, bytes: TiB }])
  await writer.zero(key, 0, TiB)
  // Data with holes, far into the disk.
  await copyTo(writer, mib * MiB, 512 * 1024 * MiB)
  await writer.write(key, 600 * 1024 * MiB, Buffer.concat([noise.subarray(0, MiB), Buffer.alloc(MiB)]))
  await writer.seal(facts)
  bars.bar('azure-sparse-zero-grains', sent.zeroGrains, 'grains', { atMost: 0 })
  bars.note('azure-sparse-bytes', sent.bytes / ((mib + 1) * MiB), 'x')
}

async function benchSeal(): Promise<void> {
  const { replica } = await openReplica()
  const disks = Array.from({ length: 8 }, (_, index) => ({
    key: `disk-${index}` as DiskKey,
    bytes: 1024 * MiB,
  }))
  await (await begin(replica, disks)).seal(facts)
  const times: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const writer = await begin(replica, disks)
    for (const disk of disks)
      for (let count = 0; count < 8; count += 1)
        await writer.write(disk.key, (round * 8 + count) * 8 * MiB, noise.subarray(0, 16 * KiB))
    times.push(await secondsOf(() => writer.seal(facts)))
  }
  bars.bar('azure-seal-8-disks', median(times) * 1000, 'ms', { atMost: 1000 })
}

try {
  await benchFullCopy()
  await benchDelta()
  await benchSparse()
  await benchSeal()
  bars.bar('azure-memory', peakBytes / MiB, 'MiB', { atMost: 512 })
} finally {
  clearInterval(watch)
  await emulator.stop()
}
await bars.finish()
