// What may be wrong with the disk that a seed is begun on, or gone on with.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { KiB, MiB } from '@understudy/base/bytes'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { SeedId } from '@understudy/domain/seeds/seed'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toFailure } from './failures.ts'
import { encodeFrame, LARGEST_CONTENT_BYTES } from './frame.ts'
import { openSeedFolders } from './open-seed-folders.ts'

const identity = {
  id: 'seed-1' as SeedId,
  protectionId: 'web' as ProtectionId,
  replicaId: 'replica-1' as ReplicaId,
  machineName: 'web',
}
const vda = 'vda' as DiskKey
const mark = { checkpoint: 'mark-1', disks: [{ key: vda, bytes: 64 * KiB }] }
const point = {
  instant: 5,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: 'mark-1',
  cycle: 'seed',
} as const
const passphrase = 'correct horse'
const rules = { serverFolders: ['/proc'], takenFolders: async () => [] }
const seeds = openSeedFolders(rules)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'us-seed-disks-'))
})
afterEach(() => rm(folder, { recursive: true }))

const inHome = (name: string): string => path.join(folder, 'understudy-seed-seed-1', name)
const open = (fingerprint: string | null, who = identity, folders = seeds) =>
  folders.openWriter({ folder, passphrase }, who, { fingerprint, acceptsServerDisk: false })

async function begun(): Promise<string> {
  const writer = await open(null)
  await writer.moveTo(mark, 'all')
  await writer.write(vda, 0, Buffer.alloc(64 * KiB, 'text'))
  await writer.close()
  return writer.fingerprint
}

async function finished(): Promise<void> {
  const writer = await open(await begun())
  await writer.finish(point)
  await writer.close()
}

test('a seed that was begun is gone on with where it is, and nowhere else', async () => {
  const fingerprint = await begun()
  await (await open(fingerprint)).close()
  await rm(inHome(''), { recursive: true })
  await expect(open(fingerprint)).rejects.toMatchObject({ code: 'seed/not-found' })
  expect(await readdir(folder)).toEqual([])
  await begun()
  await expect(open(fingerprint)).rejects.toMatchObject({ code: 'seed/not-found' })
})

test('a disk of the server keeps its reserve', async () => {
  const full = openSeedFolders({ ...rules, serverFolders: [folder], reserveBytes: 2 ** 60 })
  await expect(open(null, identity, full)).rejects.toMatchObject({ code: 'seed/server-disk' })
  const fingerprint = await begun()
  await expect(open(fingerprint, identity, full)).rejects.toMatchObject({ code: 'seed/disk-full' })
})

test('a complete seed that is damaged is refused, and nothing of it is cut off', async () => {
  await finished()
  const file = inHome('frames-000001.bin')
  const longer = Buffer.concat([await readFile(file), Buffer.from('more')])
  await writeFile(file, longer)
  await expect(open(null)).rejects.toMatchObject({ code: 'seed/damaged' })
  expect((await stat(file)).size).toBe(longer.length)
})

test('what a crash has cut off is said', async () => {
  const fingerprint = await begun()
  const file = inHome('frames-000001.bin')
  await writeFile(file, Buffer.concat([await readFile(file), Buffer.from('torn')]))
  const writer = await open(fingerprint)
  expect(writer.cutBytes).toBe(4)
  await writer.close()
})

test('a link in place of a file is not followed', async () => {
  const fingerprint = await begun()
  const outside = path.join(folder, 'key')
  await writeFile(outside, 'secret')
  await symlink(outside, inHome('manifest.bin.new'))
  await finished()
  expect(await readFile(outside, 'utf8')).toBe('secret')
  await rm(inHome('manifest.bin'))
  await rm(inHome('frames-000001.bin'))
  await symlink(outside, inHome('frames-000001.bin'))
  await expect(open(fingerprint)).rejects.toMatchObject({ code: 'seed/damaged' })
  expect(await readFile(outside, 'utf8')).toBe('secret')
})

test('a link in place of the folder of the seed is refused', async () => {
  await mkdir(path.join(folder, 'other'))
  await symlink(path.join(folder, 'other'), path.join(folder, 'understudy-seed-seed-1'))
  await expect(open(null)).rejects.toMatchObject({ code: 'seed/not-ours' })
})

test('a first file that is far too large is not read', async () => {
  const fingerprint = await begun()
  await writeFile(inHome('seed.json'), Buffer.alloc(MiB, ' '))
  await expect(open(fingerprint)).rejects.toMatchObject({ code: 'seed/damaged' })
})

test('a seed of another replica under the same name is not gone on with', async () => {
  await begun()
  const other = { ...identity, replicaId: 'replica-2' as ReplicaId }
  await expect(open(null, other)).rejects.toMatchObject({ code: 'seed/of-another' })
})

test('a piece that was written anew under its number is told from the first one', async () => {
  const fingerprint = await begun()
  const file = inHome('frames-000001.bin')
  const earlier = await readFile(file)
  await writeFile(file, earlier.subarray(0, -1))
  const writer = await open(fingerprint)
  await writer.write(vda, 0, Buffer.alloc(64 * KiB, 'text'))
  await writer.finish(point)
  await writer.close()
  await writeFile(file, earlier)
  await expect(open(fingerprint)).rejects.toMatchObject({ code: 'seed/damaged' })
  const reader = await seeds.openReader({ folder, passphrase }, identity.id)
  const all = async () => {
    for await (const _ of reader.contents(new AbortController().signal));
  }
  await expect(all()).rejects.toMatchObject({ code: 'seed/damaged' })
})

test('what could not be read as a frame is not written as one, and packing lets others work', async () => {
  const frame = (bytes: number) =>
    encodeFrame(Buffer.alloc(32), 0, {
      kind: 'data',
      disk: 0,
      offset: 0,
      bytes,
      content: Buffer.alloc(bytes),
    })
  await expect(frame(LARGEST_CONTENT_BYTES + 1)).rejects.toMatchObject({ name: 'InvariantError' })
  const order: string[] = []
  setImmediate(() => order.push('others'))
  await frame(32 * MiB)
  order.push('frame')
  expect(order).toEqual(['others', 'frame'])
})

test.each(['ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG', 'EISDIR', 'EINVAL'])(
  '%s is a mistake in the folder and no outage',
  (code) => {
    expect(toFailure('/media/x', Object.assign(new Error(code), { code }))).toMatchObject({
      name: 'Refusal',
      code: 'seed/no-folder',
    })
  },
)
