// Programs that are not ours read a point as it lies in the container: QEMU compares the downloaded blob with the disk and
// takes its size from the footer; rclone lists the container and copies a disk out of it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { mustRun, runProgram } from '@understudy/simulator/foreign-programs'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AzureContainer } from './azure-calls.ts'
import { openAzureStore } from './azure-store.ts'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from './emulator/start-azurite.ts'
import { type Emulator, startEmulator } from './emulator/start-emulator.ts'

let emulator: Emulator
let folder: string
beforeAll(async () => {
  emulator = await startEmulator()
  folder = await mkdtemp(join(tmpdir(), 'understudy-vhd-'))
})
afterAll(async () => {
  await emulator.stop()
  await rm(folder, { recursive: true, force: true })
})

const id = 'replica' as ReplicaId
const key = 'vda' as DiskKey
const clock = { now: () => Date.parse('2026-01-01T12:00:00Z') }
const facts = {
  instant: clock.now(),
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: null,
  cycle: 'delta',
} as const

test('every snapshot of a disk is a fixed VHD with exactly the content of its point, also after it has grown', async () => {
  const random = seededRandom(4)
  const container = await emulator.makeContainer('vhd')
  const store = openAzureStore({ container, clock })
  await store.createReplica({ id, machineName: 'web-1', compress: false, encrypt: false })
  const replica = await store.openReplica(id, 1)
  let content = Buffer.alloc(8 * MiB)
  const versions: Buffer[] = []
  for (const bytes of [8 * MiB, 8 * MiB, 11 * MiB, 9 * MiB]) {
    content = Buffer.concat([content.subarray(0, bytes)], bytes)
    const base = replica.points().at(-1)?.id ?? null
    const writer = await replica.beginPoint(base, [{ key, bytes }])
    for (let count = 0; count < 5; count += 1) {
      const offset = random.below(bytes / 4096 - 64) * 4096
      const data = random.bytes((1 + random.below(64)) * 4096)
      data.copy(content, offset)
      await writer.write(key, offset, data)
    }
    await writer.zero(key, 0, 64 * 1024)
    content.fill(0, 0, 64 * 1024)
    await writer.seal(facts)
    versions.push(Buffer.from(content))
  }

  const snapshots: { name: string; snapshot: string }[] = []
  for await (const { name, snapshot } of emulator.client(container).listBlobsFlat({ includeSnapshots: true }))
    if (name.endsWith('.vhd') && snapshot) snapshots.push({ name, snapshot })
  expect(snapshots).toHaveLength(versions.length)
  snapshots.sort((a, b) => a.snapshot.localeCompare(b.snapshot))
  for (const [index, { name, snapshot }] of snapshots.entries()) {
    const expected = present(versions[index], 'one for each point')
    const vhd = join(folder, `${index}.vhd`)
    const raw = join(folder, `${index}.raw`)
    await writeFile(raw, expected)
    await emulator.client(container).getBlobClient(name).withSnapshot(snapshot).downloadToFile(vhd)
    const info = JSON.parse(await mustRun('qemu-img', ['info', '-f', 'vpc', '--output=json', vhd])) as object
    expect(info).toMatchObject({ format: 'vpc', 'virtual-size': expected.length })
    const compared = await runProgram('qemu-img', ['compare', '-f', 'raw', '-F', 'vpc', raw, vhd])
    expect(compared, `point ${index}`).toMatchObject({ code: 0 })
  }
  const newest = present(versions.at(-1), 'the newest point')
  await checkWithRclone(container, present(snapshots.at(-1), 'its snapshot').name, newest)
  // The comparison can fail.
  await writeFile(join(folder, '0.raw'), present(versions[1], 'the second point'))
  const other = ['compare', '-f', 'raw', '-F', 'vpc', join(folder, '0.raw'), join(folder, '0.vhd')]
  expect((await runProgram('qemu-img', other)).code).toBe(1)
})

/** Nothing has been written since the newest point: the blob itself has its content, and the footer behind it. */
async function checkWithRclone(container: AzureContainer, blob: string, content: Buffer): Promise<void> {
  const remote = `:azureblob:${container.container}`
  const signature = generateBlobSASQueryParameters(
    {
      containerName: container.container,
      permissions: ContainerSASPermissions.parse('rl'),
      expiresOn: new Date(Date.now() + 3_600_000),
    },
    new StorageSharedKeyCredential(EMULATOR_ACCOUNT, EMULATOR_KEY),
  )
  const address = `${container.endpoint}/${container.container}?${signature}`
  const access = ['--config', '', '--retries', '1', '--azureblob-sas-url', address]
  type Entry = { readonly Path: string; readonly Size: number }
  const listed = JSON.parse(
    await mustRun('rclone', ['lsjson', '--recursive', '--files-only', remote, ...access]),
  ) as Entry[]
  expect(listed.find(({ Path }) => Path === blob)?.Size).toBe(content.length + 512)
  const copy = join(folder, 'rclone')
  await mustRun('rclone', ['copyto', `${remote}/${blob}`, copy, ...access])
  expect((await readFile(copy)).subarray(0, content.length).equals(content)).toBe(true)
}
