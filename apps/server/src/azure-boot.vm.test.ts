// A machine that was replicated into Azure Storage runs in Azure, both emulated: the disks of a point, read from the replica, become
// blobs, disks and a machine of the double, which boots them. Its web page answers.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { copyExtents } from '@understudy/block/copy-extents'
import { openFileReader } from '@understudy/block/file-device'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { azureTarget } from '@understudy/drivers/azure/arm/azure-target'
import {
  addressOfBlob,
  connectDouble,
  emulateAzure,
  emulatedSettings,
} from '@understudy/drivers/azure/arm/double/emulated-azure'
import { type QemuRunner, qemuRunner } from '@understudy/drivers/azure/arm/double/qemu-runner'
import { OWN_NETWORK } from '@understudy/drivers/azure/arm/site-networks'
import { connectAzure } from '@understudy/drivers/azure/azure-calls'
import { openAzureStore } from '@understudy/drivers/azure/azure-store'
import { type Emulator, startEmulator } from '@understudy/drivers/azure/emulator/start-emulator'
import { buildGuestBase, makeGuestDisks } from '@understudy/drivers/kvm/lab/guest-image'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { freePort } from '@understudy/simulator/free-port'
import { afterAll, beforeAll, expect, test } from 'vitest'

const cacheFolder = fileURLToPath(new URL('../../../node_modules/.cache/understudy-lab', import.meta.url))
const DISK_BYTES = 96 * MiB
const key = 'vda' as DiskKey

let folder: string
let emulator: Emulator
let runner: QemuRunner

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-az-'))
  emulator = await startEmulator()
  runner = qemuRunner(folder)
})
afterAll(async () => {
  await runner?.close()
  await emulator?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function replicate(file: string, store: ReturnType<typeof openAzureStore>) {
  const id = 'replica' as ReplicaId
  await store.createReplica({ id, machineName: 'web', compress: false, encrypt: false })
  const replica = await store.openReplica(id, 1)
  const reader = await openFileReader(file)
  const writer = await replica.beginPoint(null, [{ key, bytes: DISK_BYTES }])
  await copyExtents({
    from: reader,
    to: {
      write: (offset, data) => writer.write(key, offset, data),
      zero: (offset, bytes) => writer.zero(key, offset, bytes),
    },
    extents: [{ offset: 0, bytes: DISK_BYTES, kind: 'data' }],
  })
  const facts = {
    instant: 0,
    consistency: 'crash',
    consistencyNote: null,
    checkpoint: null,
    cycle: 'seed',
  } as const
  const point = await writer.seal(facts)
  await reader.close()
  return { replica, point }
}

/** What destroys the machine comes after the point that is wanted. */
async function wreck({ replica, point }: Awaited<ReturnType<typeof replicate>>): Promise<void> {
  const writer = await replica.beginPoint(point.id, [{ key, bytes: DISK_BYTES }])
  await writer.zero(key, 0, DISK_BYTES)
  await writer.seal({
    instant: 1,
    consistency: 'crash',
    consistencyNote: null,
    checkpoint: null,
    cycle: 'delta',
  })
}

const statusOf = async (address: string): Promise<{ machine: string; chain: { state: string } } | null> =>
  fetch(`${address}/status.json`, { signal: AbortSignal.timeout(5000) }).then(
    (answer) =>
      answer.ok ? (answer.json() as Promise<{ machine: string; chain: { state: string } }>) : null,
    () => null,
  )

test('a point in Azure Storage becomes a machine of the emulated Azure that answers with its web page, and goes without a trace', async () => {
  const file = join(folder, 'source.raw')
  const base = await buildGuestBase({ cacheFolder })
  await makeGuestDisks(base, { name: 'web', disks: [{ file, format: 'raw', bytes: DISK_BYTES }] })
  const container = await emulator.makeContainer('replicas')
  const store = openAzureStore({ container, clock: { now: () => Date.now() } })
  const { replica, point } = await replicate(file, store)
  const opened = await replica.openPoint(point.id)
  const reader = present(opened.disks[0], 'the point has the disk').reader

  const storage = await connectAzure(container)
  const { double } = await emulateAzure({ storage, room: runner.room, runner })
  const foreignThings = [...double.site.resources.keys()]
  const target = azureTarget({
    arm: connectDouble(double),
    storage,
    addressOfBlob,
    settings: emulatedSettings,
    clock: { now: () => Date.now() },
    waits: { lookMs: 10, minutes: 1, pause: (milliseconds) => sleep(milliseconds) },
    async askService() {
      const address = runner.pageOf('web')
      const status = address === null ? null : await statusOf(address)
      const note = status === null ? 'no answer yet' : `${status.machine}, chain ${status.chain.state}`
      return { addresses: address === null ? [] : [address], answered: status?.chain.state === 'ok', note }
    },
  })
  const disk = { key, bytes: DISK_BYTES, boot: true }
  const spec: BootSpec = {
    runId: 'run-of-the-guest' as RunId,
    name: 'web',
    mode: 'test',
    hardware: {
      cpus: 1,
      memoryBytes: 128 * MiB,
      firmware: 'bios',
      disks: [{ ...disk, label: 'vda', format: 'raw', bus: 'virtio' }],
      adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: null, model: 'virtio' }],
    },
    disks: [{ ...disk, reader }],
    networks: new Map([['net0', OWN_NETWORK]]),
    trackingId: null,
    placing: { before: { kind: 'nowhere' }, keep: async () => {} },
  }
  const { ref, name } = await target.boot(spec)
  expect(name).toBe('web')
  await opened.close()

  await expect
    .poll(() => target.probe(ref), { timeout: 180_000, interval: 500 })
    .toMatchObject({ answered: true, note: 'web, chain ok' })
  const picture = await target.screenshot(spec.runId)
  expect(picture.toString('latin1', 1, 4)).toBe('PNG')
  expect(picture.length, 'there is something on the screen').toBeGreaterThan(1000)

  // The machine writes to disks of its own: the point is as it was.
  const [again, source] = [await replica.openPoint(point.id), await openFileReader(file)]
  const kept = present(again.disks[0], 'the point has the disk').reader
  for (let offset = 0; offset < DISK_BYTES; offset += 4 * MiB)
    expect(
      (await kept.read(offset, 4 * MiB)).equals(await source.read(offset, 4 * MiB)),
      `at ${offset}`,
    ).toBe(true)
  await again.close()
  await source.close()

  await target.destroy(spec.runId, { kind: 'anywhere' })
  expect([...double.site.resources.keys()]).toEqual(foreignThings)
  const copies: string[] = []
  for await (const blob of storage.list('runs/', {})) copies.push(blob.name)
  expect(copies).toEqual([])
  expect(runner.pageOf('web')).toBeNull()
  expect(double.violations).toEqual([])
})

test('the blob of a chosen point, downloaded as it lies there, is a disk that QEMU starts without anything of ours', async () => {
  const file = join(folder, 'vhd-source.raw')
  const base = await buildGuestBase({ cacheFolder })
  await makeGuestDisks(base, { name: 'web', disks: [{ file, format: 'raw', bytes: DISK_BYTES }] })
  const container = await emulator.makeContainer('vhds')
  const store = openAzureStore({ container, clock: { now: () => Date.now() } })
  await wreck(await replicate(file, store))
  const client = emulator.client(container)
  const snapshots: { name: string; snapshot: string }[] = []
  for await (const { name, snapshot } of client.listBlobsFlat({ includeSnapshots: true }))
    if (name.endsWith('.vhd') && snapshot) snapshots.push({ name, snapshot })
  expect(snapshots).toHaveLength(2)
  const [chosen] = snapshots.toSorted((a, b) => a.snapshot.localeCompare(b.snapshot))
  const { name, snapshot } = present(chosen, 'the first point has a snapshot')
  const vhd = join(folder, 'chosen.vhd')
  await client.getBlobClient(name).withSnapshot(snapshot).downloadToFile(vhd)

  const port = await freePort()
  const guest = spawn(
    'qemu-system-x86_64',
    [
      ...['-machine', 'q35', '-accel', 'tcg,tb-size=64', '-m', '128', '-nodefaults', '-display', 'none'],
      ...['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:80`],
      ...['-device', 'virtio-net-pci,netdev=net', '-drive', `file=${vhd},format=vpc,if=virtio,snapshot=on`],
    ],
    { stdio: 'ignore' },
  )
  try {
    await expect
      .poll(() => statusOf(`http://127.0.0.1:${port}`), { timeout: 180_000, interval: 500 })
      .toMatchObject({ machine: 'web', chain: { state: 'ok' } })
  } finally {
    guest.kill('SIGKILL')
    await once(guest, 'exit')
  }
})
