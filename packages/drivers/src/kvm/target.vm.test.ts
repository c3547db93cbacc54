import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { BlockReader } from '@understudy/block/device'
import { openFileReader } from '@understudy/block/file-device'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, MachineHardware, MachineRef } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { anywhere, newPlacing, testRun } from '@understudy/simulator/contracts/platform-harness'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildGuestBase, type GuestDisk, makeGuestDisks } from './lab/guest-image.ts'
import { verifyChain } from './lab/verify-chain.ts'
import { localHost } from './local-host.ts'
import { machineDirectory } from './machine-directory.ts'
import { withMonitor } from './monitor.ts'
import { powerState, processOf } from './power.ts'
import { findRun } from './runs.ts'
import type { KvmNetwork } from './settings.ts'
import { type KvmTarget, kvmTarget } from './target.ts'

// The recipe's result is worth keeping between runs; its name changes with the recipe.
const cacheFolder = fileURLToPath(new URL('../../../../node_modules/.cache/understudy-lab', import.meta.url))
const networks: readonly KvmNetwork[] = [
  { id: 'isolated', name: 'Isolated', kind: 'user', isolated: true, probePorts: [80] },
]
const hardware: MachineHardware = {
  cpus: 1,
  memoryBytes: 128 * MiB,
  firmware: 'bios',
  disks: [],
  adapters: [{ key: 'nic0', macAddress: '52:54:00:12:34:56', networkId: 'prod', model: 'virtio-net-pci' }],
}
const vda = 'vda' as DiskKey
const vdb = 'vdb' as DiskKey

let images: string
let pointFiles: ReadonlyMap<DiskKey, string>
let folder: string
let target: KvmTarget
let readers: BlockReader[]
let runs: RunId[]

beforeAll(async () => {
  const base = await buildGuestBase({ cacheFolder })
  images = await mkdtemp(join(tmpdir(), 'us-img-'))
  const disks: GuestDisk[] = [
    { file: join(images, 'vda.raw'), format: 'raw', bytes: 96 * MiB },
    { file: join(images, 'vdb.raw'), format: 'raw', bytes: 24 * MiB },
  ]
  await makeGuestDisks(base, { name: 'lab-db', disks })
  pointFiles = new Map([
    [vda, join(images, 'vda.raw')],
    [vdb, join(images, 'vdb.raw')],
  ])
})
afterAll(() => rm(images, { recursive: true, force: true }))

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-t-'))
  readers = []
  runs = []
  target = freshTarget()
})
afterEach(async () => {
  for (const runId of runs) await target.destroy(runId, anywhere)
  await target.close()
  for (const reader of readers) await reader.close()
  await rm(folder, { recursive: true, force: true })
})

const host = () => localHost({ name: 'here', machinesFolder: folder })

/** A target that remembers nothing: what a new process has. */
function freshTarget(): KvmTarget {
  const hosts = [host()]
  const directory = machineDirectory(hosts, ({ error }) => {
    throw error
  })
  return kvmTarget({ hosts, directory, settings: { networks, accelerator: 'tcg', bootDeadlineSeconds: 60 } })
}

async function specOf(run: string, more: Partial<BootSpec> = {}): Promise<BootSpec> {
  const runId = testRun(run)
  if (!runs.includes(runId)) runs.push(runId)
  const disks = await Promise.all(
    [...pointFiles].map(async ([key, file]) => {
      const reader = await openFileReader(file)
      readers.push(reader)
      return { key, bytes: reader.bytes, boot: key === vda, reader }
    }),
  )
  const spec: BootSpec = {
    runId,
    name: 'lab-db-test',
    mode: 'test',
    hardware,
    disks,
    networks: new Map([['nic0', 'isolated']]),
    trackingId: null,
    placing: newPlacing(),
  }
  return { ...spec, ...more }
}

type Status = {
  readonly machine: string
  readonly uptimeSeconds: number
  readonly chain: { readonly state: string; readonly step: number; readonly bootCheck: string }
}

async function untilAnswered(ref: MachineRef, seconds = 150): Promise<string> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const { addresses, answered, note } = await target.probe(ref)
    const [address] = addresses
    if (answered && address !== undefined) return address
    if (performance.now() > deadline) throw new Error(`no answer within ${seconds} s: ${note}`)
    await setTimeout(100)
  }
}

async function statusWhen(
  address: string,
  accept: (status: Status) => boolean,
  seconds = 60,
): Promise<Status> {
  const deadline = performance.now() + seconds * 1000
  let last: Status | null = null
  while (performance.now() < deadline) {
    const response = await fetch(`${address}/status.json`, { signal: AbortSignal.timeout(3000) }).catch(
      () => null,
    )
    if (response?.ok) {
      last = (await response.json()) as Status
      if (accept(last)) return last
    }
    await setTimeout(100)
  }
  throw new Error(`the guest did not get there; its last words: ${JSON.stringify(last)}`)
}

const writesOn =
  (status: Status): ((later: Status) => boolean) =>
  (later) =>
    later.chain.step > status.chain.step + 2
const isWriting = (status: Status): boolean => status.chain.state === 'ok' && status.chain.step >= 3

async function dirtyBytes(runId: RunId): Promise<number> {
  const machine = present(await findRun([host()], runId), 'the run has a machine')
  type Node = { readonly 'dirty-bitmaps'?: readonly { readonly count: number }[] }
  const nodes = await withMonitor(machine, (qmp) =>
    qmp.execute<readonly Node[]>('query-named-block-nodes', { flat: true }),
  )
  return nodes.flatMap((node) => node['dirty-bitmaps'] ?? []).reduce((sum, { count }) => sum + count, 0)
}

describe('a replica on KVM', () => {
  test('boots from a recovery point without copying, shows its screen, and leaves nothing behind', async () => {
    const spec = await specOf('run-1')
    expect((await target.preflight(spec)).filter(({ level }) => level === 'blocker')).toEqual([])
    const { ref, checkpoint } = await target.boot(spec)
    expect(checkpoint).toBeNull()
    const address = await untilAnswered(ref)
    const page = await (await fetch(address)).text()
    expect(page).toMatch(/lab-db|The machine has started/)
    await statusWhen(address, isWriting)

    const picture = await target.screenshot(spec.runId)
    expect(picture.subarray(1, 4).toString()).toBe('PNG')
    expect(picture.length).toBeGreaterThan(500)

    const machine = present(await findRun([host()], spec.runId), 'the run has a machine')
    expect(machine.ref).toBe(ref)
    const pid = present(await processOf(machine), 'it runs')
    await target.destroy(spec.runId, anywhere)
    await target.destroy(spec.runId, anywhere)
    expect(await host().commandLineOf(pid)).toBeNull()
    expect(await readdir(folder)).toEqual([])
  })

  test('goes on when our server was away, also under another process, and the first boot is found again', async () => {
    const spec = await specOf('run-2', { trackingId: 'p1', mode: 'failover' })
    const first = await target.boot(spec)
    const address = await untilAnswered(first.ref)
    const before = await statusWhen(address, isWriting)

    await target.close()
    target = freshTarget()
    await setTimeout(1000)
    await target.reattach(spec)
    const after = await statusWhen(address, writesOn(before))
    expect(after.uptimeSeconds).toBeGreaterThan(before.uptimeSeconds)

    expect(await target.boot(spec)).toEqual(first)
    expect(first.checkpoint).toMatch(/^us-p1-/)
    expect(await readdir(folder)).toHaveLength(1)
  })

  test('is held when a read fails instead of losing data, and goes on when its disks are offered again', async () => {
    const spec = await specOf('run-4')
    let reads = 0
    const failing = spec.disks.map((disk) => ({
      ...disk,
      reader: {
        bytes: disk.bytes,
        close: async () => undefined,
        read: async (offset: number, bytes: number) => {
          reads += 1
          if (reads > 60) throw new Error('the store is away')
          return disk.reader.read(offset, bytes)
        },
      },
    }))
    const { ref } = await target.boot({ ...spec, disks: failing })
    const machine = present(await findRun([host()], spec.runId), 'the run has a machine')
    const deadline = performance.now() + 60_000
    while ((await powerState(machine)) !== 'paused' && performance.now() < deadline) await setTimeout(100)
    expect(await powerState(machine)).toBe('paused')
    expect((await target.probe(ref)).answered).toBe(false)

    await target.reattach(spec)
    await statusWhen(await untilAnswered(ref), isWriting)
  })

  test('needs us no more once it is hydrated, and streamed data does not count as changed', async () => {
    const spec = await specOf('run-3', { trackingId: 'p1', mode: 'failover' })
    const { ref } = await target.boot(spec)
    const address = await untilAnswered(ref)
    await expect(target.adopt(spec.runId)).rejects.toMatchObject({ code: 'run/not-hydrated' })

    const parts: number[] = []
    await target.hydrate(spec.runId, ({ doneBytes, totalBytes }) => parts.push(doneBytes / totalBytes))
    expect(parts.at(-1)).toBe(1)
    expect(parts).toEqual([...parts].sort((a, b) => a - b))
    await target.close()
    for (const reader of readers.splice(0)) await reader.close()

    const status = await statusWhen(address, isWriting)
    await statusWhen(address, writesOn(status))
    const dirty = await dirtyBytes(spec.runId)
    expect(dirty).toBeGreaterThan(0)
    // The root file system alone has more than this; the guest writes a few records a second.
    expect(dirty).toBeLessThan(8 * MiB)

    target = freshTarget()
    await target.hydrate(spec.runId, () => undefined)
    await target.adopt(spec.runId)
    await target.stop(spec.runId)
    const machine = present(await findRun([host()], spec.runId), 'it is kept')
    expect(await processOf(machine)).toBeNull()
    expect(await verdictOf(machine.folder)).toMatchObject({ ok: true })
  })
})

/** Of the overlays, which are whole images by then. */
async function verdictOf(machineFolder: string) {
  const files: string[] = []
  for (const key of [vda, vdb]) {
    const raw = join(machineFolder, `${key}.raw`)
    await promisify(execFile)('qemu-img', ['convert', '-O', 'raw', join(machineFolder, `${key}.qcow2`), raw])
    files.push(raw)
  }
  const disks = await Promise.all(files.map(openFileReader))
  try {
    return await verifyChain(disks)
  } finally {
    for (const disk of disks) await disk.close()
  }
}
