// The emulated Azure of the lab is ended and started anew over the same folder: what was acknowledged is there, what was under way has
// failed and is made whole by whoever asks for it again.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turnOfEventLoop } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import { testBoot } from '@understudy/simulator/contracts/platform-harness'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memoryAccount, memoryCalls } from '../../emulator/memory-calls.ts'
import { azureTarget } from '../azure-target.ts'
import { OWN_NETWORK } from '../site-networks.ts'
import { type CloudState, loadPages, openCloudState } from './cloud-state.ts'
import { key } from './double-parts.ts'
import { addressOfBlob, connectDouble, emulateAzure, emulatedSettings, quickWaits } from './emulated-azure.ts'
import { qemuRunner } from './qemu-runner.ts'

const runId = 'run-1' as RunId
const storage = memoryCalls(memoryAccount())
const spec = () =>
  testBoot([Buffer.alloc(MiB, 3)], { runId, network: OWN_NETWORK, mode: 'test', name: 'web' }).spec

let folder: string
let state: CloudState | null = null
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-cloud-'))
})
afterEach(async () => {
  await state?.close()
  state = null
  await rm(folder, { recursive: true, force: true })
})

/** As one more server finds it. No QEMU runs: what is asked of it is written down. `blobs`: as the cloud itself sees them. */
async function openCloud(blobs = storage, heldFor = 0) {
  await state?.close()
  const started: string[] = []
  const pauses: number[] = []
  const troubles: unknown[] = []
  const on = new Set<string>()
  const runner = {
    ...qemuRunner(folder),
    start: async ({ name }: { readonly name: string }) => {
      if (pauses.length < heldFor) throw new Error('Failed to get "write" lock')
      started.push(name)
      on.add(name)
    },
    stop: async (name: string) => void on.delete(name),
    pageOf: (name: string) => (on.has(name) ? `http://127.0.0.1:1/${name}` : null),
  }
  const { double } = await emulateAzure({ storage: blobs, room: runner.room, runner })
  const opened = await openCloudState(folder, double.site, runner, {
    pause: async (milliseconds) => void pauses.push(milliseconds),
    onTrouble: (error) => void troubles.push(error),
  })
  state = opened
  const { handle } = double
  double.handle = async (request) => {
    const answer = await handle(request)
    await opened.save()
    return answer
  }
  const target = azureTarget({
    arm: connectDouble(double),
    storage,
    addressOfBlob,
    settings: emulatedSettings,
    clock: { now: () => 0 },
    waits: quickWaits,
  })
  return { double, target, started, troubles }
}

const diskFiles = async (): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith('disk-'))

type Kept = {
  readonly resources: { type: string; power?: string; properties: { provisioningState: string } }[]
}
/** As a process leaves it that dies in the middle of something. */
async function change(edit: (kept: Kept) => void): Promise<void> {
  const file = join(folder, 'state.json')
  const kept = JSON.parse(await readFile(file, 'utf8')) as Kept
  edit(kept)
  await writeFile(file, JSON.stringify(kept))
}

test('a machine that runs is there again with its disks, and is started again', async () => {
  const { ref } = await (await openCloud()).target.boot(spec())
  expect(await loadPages(folder)).toEqual({ web: 'http://127.0.0.1:1/web' })
  const { double, target, started } = await openCloud()
  expect(started).toEqual(['web'])
  expect((await target.probe(ref)).note).toContain('It runs')
  const [disk] = double.ofType('Microsoft.Compute/disks')
  expect((await disk?.content?.read(0, MiB))?.equals(Buffer.alloc(MiB, 3))).toBe(true)
  expect((await target.boot(spec())).ref).toBe(ref)
  await target.destroy(runId, { kind: 'anywhere' })
  expect(await diskFiles()).toEqual([])
  expect(await loadPages(folder)).toEqual({})
  expect((await openCloud()).started).toEqual([])
})

test('a machine that was stopped stays off', async () => {
  const { target } = await openCloud()
  const { ref } = await target.boot(spec())
  await target.stop(runId)
  const again = await openCloud()
  expect(again.started).toEqual([])
  expect((await again.target.probe(ref)).note).toContain('deallocated')
})

test.each(['Creating', 'Deleting'])(
  'a machine that was %s has failed, and the next attempt has one whole machine',
  async (provisioningState) => {
    await (await openCloud()).target.boot(spec())
    await change(({ resources }) => {
      for (const one of resources)
        if (one.type === 'Microsoft.Compute/virtualMachines') {
          delete one.power
          one.properties.provisioningState = provisioningState
        }
    })
    const { double, target } = await openCloud()
    const machines = () => double.ofType('Microsoft.Compute/virtualMachines')
    expect(machines().map(({ properties }) => properties.provisioningState)).toEqual(['Failed'])
    await target.boot(spec())
    expect(machines().map(({ power }) => power)).toEqual(['running'])
    await target.destroy(runId, { kind: 'anywhere' })
    expect(await diskFiles()).toEqual([])
  },
)

test('a storage that gives no answer while a disk is made of its blob fails that work, and the next attempt succeeds', async () => {
  let failures = 1
  const { target } = await openCloud({
    ...storage,
    async pageFacts(...args) {
      if (failures === 0) return await storage.pageFacts(...args)
      failures -= 1
      throw new Outage({ code: 'azure/no-answer', message: 'The storage gave no answer', remedy: 'Wait.' })
    },
  })
  await expect(target.boot(spec())).rejects.toMatchObject({
    name: 'Outage',
    message: expect.stringContaining('gave no answer'),
  })
  await target.boot(spec())
  await target.destroy(runId, { kind: 'anywhere' })
})

test('content of a disk that nobody asked for to the end is removed, and other files are not', async () => {
  await (await openCloud()).target.boot(spec())
  await writeFile(join(folder, 'disk-left.raw'), 'x')
  await writeFile(join(folder, 'note.txt'), 'x')
  await openCloud()
  expect(await diskFiles()).toHaveLength(1)
  expect(await readdir(folder)).toContain('note.txt')
})

test('a state of another version is not taken for an empty cloud', async () => {
  await openCloud()
  await writeFile(join(folder, 'state.json'), JSON.stringify({ version: 99, resources: [] }))
  await expect(openCloud()).rejects.toThrow('version 99')
})

test('a machine whose disks are still held by the QEMU of a dead server is started as soon as they are free', async () => {
  await (await openCloud()).target.boot(spec())
  expect(await openCloud(storage, 3)).toMatchObject({ started: ['web'], troubles: [] })
  const { double, started, troubles } = await openCloud(storage, Number.POSITIVE_INFINITY)
  expect(started).toEqual([])
  expect(troubles).toHaveLength(1)
  expect(double.ofType('Microsoft.Compute/virtualMachines').map(({ power }) => power)).toEqual(['stopped'])
})

test('a state that is missing does not remove the disks', async () => {
  await (await openCloud()).target.boot(spec())
  await rm(join(folder, 'state.json'))
  await expect(openCloud()).rejects.toThrow('state.json is not there')
  expect(await diskFiles()).toHaveLength(1)
})

test('a disk that goes while the state is written keeps its file as long as the state names it', async () => {
  const { double, target } = await openCloud()
  await target.boot(spec())
  const [disk] = double.ofType('Microsoft.Compute/disks')
  for (const { name, properties } of double.site.resources.values()) properties.note = name
  const saving = state?.save()
  await turnOfEventLoop()
  double.site.resources.delete(key(present(disk, 'the machine has a disk').id))
  await saving
  expect(await readFile(join(folder, 'state.json'), 'utf8')).toContain((await diskFiles())[0])
  await state?.save()
  expect(await diskFiles()).toEqual([])
})

test('content that could not be filled fails its own work alone, and leaves no file', async () => {
  const { target } = await openCloud({
    ...storage,
    readPages: async (blob, range, ...more) => {
      // The footer is read before there is room for the content.
      if (range.bytes > 512) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      return await storage.readPages(blob, range, ...more)
    },
  })
  await expect(target.boot(spec())).rejects.toMatchObject({
    message: expect.stringContaining('no space left on device'),
  })
  expect(await diskFiles()).toEqual([])
})
